//! The end of what a guest wrote, for whoever wants to know why it trapped.

use std::collections::VecDeque;

/// How much is kept. Bytes: a panic with its message, or a traceback of some forty lines.
const LAST_WORDS_BYTES_MAX: usize = 4 * 1024;

/// The last 4 KiB that were written.
#[derive(Default)]
pub(crate) struct LastWords {
    bytes: VecDeque<u8>,
}

impl LastWords {
    pub(in crate::sandbox) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(LAST_WORDS_BYTES_MAX)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(LAST_WORDS_BYTES_MAX);
        self.bytes.drain(..over);
        self.bytes.extend(bytes);
    }

    /// As text. It may begin within a line, and it is the guest's: to be sanitized before it is shown.
    pub(in crate::sandbox) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        // A character that was cut is no fault of the guest's.
        let cut = if bytes.len() < LAST_WORDS_BYTES_MAX { 0 } else { 3 };
        let rest_of_one = bytes.iter().take(cut).take_while(|byte| **byte & 0xc0 == 0x80).count();
        String::from_utf8_lossy(&bytes[rest_of_one..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_whatever_the_writes() {
        let mut words = LastWords::default();
        assert_eq!(words.text(), "");
        for number in 0..10_000 {
            words.push(format!("line {number}\n").as_bytes());
        }
        let text = words.text();
        assert_eq!(text.len(), LAST_WORDS_BYTES_MAX);
        assert!(text.ends_with("line 9998\nline 9999\n"), "{text}");
        words.push(&[b'x'; 1 << 20]);
        words.push(b"end");
        assert!(words.text().ends_with("xend") && words.text().len() == LAST_WORDS_BYTES_MAX);
        assert!(words.bytes.capacity() <= 2 * LAST_WORDS_BYTES_MAX);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        let mut words = LastWords::default();
        words.push(b"a\xff\x80b");
        assert_eq!(words.text(), "a\u{fffd}\u{fffd}b");
        words.push("ä".repeat(LAST_WORDS_BYTES_MAX).as_bytes());
        words.push(b"x");
        assert!(!words.text().contains('\u{fffd}'), "a character was cut");
    }
}
