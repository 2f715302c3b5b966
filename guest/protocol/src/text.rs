//! Text that a peer chose, made fit for a terminal or a log.

use alloc::string::String;

/// The text with everything escaped that could move a cursor, forge a line, or reverse the reading
/// direction, and cut after `chars_max` characters.
pub fn sanitise(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars();
    let mut clean = String::with_capacity(text.len().min(chars_max));
    for char in chars.by_ref().take(chars_max) {
        if is_harmful(char) {
            clean.extend(char.escape_default());
        } else {
            clean.push(char);
        }
    }
    if chars.next().is_some() {
        clean.push('…');
    }
    clean
}

/// Control characters, line and paragraph separators, and what Unicode calls bidirectional formatting
/// (UAX #9), zero-width and byte-order marks.
fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{061C}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_escape_and_no_second_line() {
        assert_eq!(sanitise("a\u{1b}[31mb\nc", 80), "a\\u{1b}[31mb\\nc");
        assert_eq!(sanitise("gpj\u{202e}exe", 80), "gpj\\u{202e}exe");
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        assert_eq!(sanitise("Übung 実験.txt", 80), "Übung 実験.txt");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(sanitise("abcdef", 3), "abc…");
    }
}
