//! Text that a peer chose, made fit for a terminal or a log.

use alloc::string::String;

use crate::deceptive;

/// The text with everything escaped that could move a cursor, forge a line, reverse the reading direction
/// or hide, and cut after `chars_max` characters. Invisible characters stay where an inbox accepts them in
/// a name: see [`EntryName`](crate::EntryName).
pub fn sanitize(text: &str, chars_max: usize) -> String {
    if text.len() <= chars_max && deceptive::is_plain(text) {
        return String::from(text);
    }
    // Cut before it is looked at: what joins two letters hides where the second is cut off.
    let end = text.char_indices().nth(chars_max).map(|(end, _)| end);
    let shown = &text[..end.unwrap_or(text.len())];
    let mut clean = String::with_capacity(shown.len());
    for (char, deceives) in deceptive::characters(shown) {
        if deceives {
            clean.extend(char.escape_default());
        } else {
            clean.push(char);
        }
    }
    if end.is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_escape_and_no_second_line() {
        assert_eq!(sanitize("a\u{1b}[31mb\nc", 80), "a\\u{1b}[31mb\\nc");
        assert_eq!(sanitize("gpj\u{202e}exe", 80), "gpj\\u{202e}exe");
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        for text in ["Übung 実験.txt", "می\u{200C}خواهم", "👨\u{200D}👩\u{200D}👧"]
        {
            assert_eq!(sanitize(text, 80), text);
        }
    }

    #[test]
    fn what_hides_in_a_text_is_shown() {
        assert_eq!(sanitize("re\u{AD}port\u{E0061}", 80), "re\\u{ad}port\\u{e0061}");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(sanitize("abcdef", 3), "abc…");
        assert_eq!(sanitize("ab\u{fc}", 3), "ab\u{fc}");
        // What joined two letters joins nothing any more.
        assert_eq!(sanitize("👨\u{200D}👩", 2), "👨\\u{200d}…");
    }
}
