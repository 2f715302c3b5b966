//! Characters by which a text shows as something else than it is.
//!
//! Control characters and line ends break the line that they are shown in. Invisible characters
//! (Default_Ignorable_Code_Point of Unicode, the bidirectional controls of UAX #9 among them) make two
//! texts look alike or reorder the text around them. Some invisible characters are a part of how a script or
//! an emoji is written: they are accepted where they shape what stands beside them, and deceive
//! everywhere else:
//!
//! - joiners (U+200C, U+200D) after a virama, between two letters of a script that joins its letters,
//!   and, U+200D, between two emoji: after RFC 5892, appendix A, and UTS #51;
//! - a variation selector directly after a character that has variants: an emoji or another symbol, a digit
//!   of a keycap, an ideograph, or one of the few scripts that use them;
//! - Mongolian variation selectors and the vowel separator after a Mongolian letter;
//! - tags after U+1F3F4, up to the cancel tag: the flags of England, Scotland and Wales.

use unicode_normalization::char::canonical_combining_class;

/// The canonical combining class of viramas: Unicode Standard, section 4.3.
const VIRAMA: u8 = 9;

/// Most tags of a flag before its cancel tag: the longest code of a region in UTS #51, annex C.
const FLAG_TAGS_MAX: usize = 6;

/// Fewest tags of a flag: a country and one letter of a region.
const FLAG_TAGS_MIN: usize = 3;

const FLAG: char = '\u{1F3F4}';
const CANCEL_TAG: char = '\u{E007F}';
const KEYCAP: char = '\u{20E3}';
const EMOJI_STYLE: char = '\u{FE0F}';

/// The first character of a text that deceives where it stands.
pub(crate) fn first(text: &str) -> Option<char> {
    if is_plain(text) {
        return None;
    }
    characters(text).find_map(|(c, deceives)| deceives.then_some(c))
}

/// Whether it has nothing but visible characters of ASCII, and spaces: as most texts, which are told fast.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The characters of a text, each with whether it deceives where it stands.
pub(crate) fn characters(text: &str) -> impl Iterator<Item = (char, bool)> {
    text.char_indices().map(move |(index, c)| {
        let (before, rest) = text.split_at(index);
        (c, deceives(before, c, &rest[c.len_utf8()..]))
    })
}

/// Takes bounded time, whatever the texts are.
fn deceives(before: &str, c: char, after: &str) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || (is_invisible(c) && !shapes(before, c, after))
}

/// Whether a character shows nothing by itself. File systems that compare names may leave it out.
pub(crate) fn is_invisible(c: char) -> bool {
    // Default_Ignorable_Code_Point, and the interlinear annotation (U+FFF9 to U+FFFB).
    c >= '\u{AD}'
        && matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether an invisible character changes how the text around it is written.
fn shapes(before: &str, c: char, after: &str) -> bool {
    let Some(previous) = before.chars().next_back() else { return false };
    let next = after.chars().next();
    match c {
        '\u{200C}' | '\u{200D}' if canonical_combining_class(previous) == VIRAMA => true,
        '\u{200C}' | '\u{200D}' if joins_letters(previous) => next.is_some_and(joins_letters),
        '\u{200D}' => {
            let styled = previous == EMOJI_STYLE;
            let emoji = if styled { before.chars().nth_back(1) } else { Some(previous) };
            emoji.is_some_and(is_symbol) && next.is_some_and(is_symbol)
        }
        '\u{FE0E}' | '\u{FE0F}' => {
            let keycap = matches!(previous, '0'..='9' | '#' | '*') && next == Some(KEYCAP);
            is_symbol(previous) || keycap
        }
        '\u{FE00}'..='\u{FE0D}' => is_ideograph(previous) || has_variants(previous),
        '\u{E0100}'..='\u{E01EF}' => is_ideograph(previous),
        '\u{180B}'..='\u{180F}' => matches!(previous, '\u{1820}'..='\u{18AA}'),
        _ if is_tag(c) || c == CANCEL_TAG => is_in_flag(before, c, after),
        _ => false,
    }
}

/// Scripts in which a joiner changes a letter: those that are joined as Arabic is, and those of the family
/// of Brahmi. Their marks are in the same blocks.
fn joins_letters(c: char) -> bool {
    matches!(c,
        '\u{0620}'..='\u{08FF}' | '\u{0900}'..='\u{0DFF}' | '\u{0F40}'..='\u{0FBC}'
        | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17D3}' | '\u{1820}'..='\u{18AA}'
        | '\u{1A20}'..='\u{1AAD}' | '\u{1B00}'..='\u{1C4F}' | '\u{A800}'..='\u{A8FF}'
        | '\u{A980}'..='\u{AADF}' | '\u{ABC0}'..='\u{ABFF}' | '\u{FB50}'..='\u{FDFF}'
        | '\u{FE70}'..='\u{FEFC}' | '\u{10A00}'..='\u{10FFF}' | '\u{11000}'..='\u{11FFF}'
        | '\u{1E900}'..='\u{1E95F}')
        && !is_invisible(c)
}

/// Emoji and other symbols that have the two styles of text and emoji.
fn is_symbol(c: char) -> bool {
    matches!(c,
        '\u{00A9}' | '\u{00AE}' | '\u{203C}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21FF}' | '\u{2300}'..='\u{23FF}' | '\u{24C2}' | '\u{25A0}'..='\u{27BF}'
        | '\u{2900}'..='\u{297F}' | '\u{2B00}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}' | '\u{3297}'
        | '\u{3299}' | '\u{1F000}'..='\u{1FAFF}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// What has standardised variants besides ideographs: operators, punctuation of East Asia, Myanmar and
/// Phags-pa letters.
fn has_variants(c: char) -> bool {
    matches!(c,
        '\u{1000}'..='\u{109F}' | '\u{2200}'..='\u{22FF}' | '\u{2A00}'..='\u{2AFF}'
        | '\u{3001}'..='\u{3002}' | '\u{A840}'..='\u{A877}' | '\u{FF01}' | '\u{FF0C}' | '\u{FF0E}'
        | '\u{FF1A}' | '\u{FF1B}' | '\u{FF1F}')
}

/// A tag that stands for a digit or a letter of the code of a region.
fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}')
}

/// Whether a tag belongs to a whole flag.
fn is_in_flag(before: &str, c: char, after: &str) -> bool {
    let tags_before = before.chars().rev().take(FLAG_TAGS_MAX + 1).take_while(|&c| is_tag(c));
    let tags_before = tags_before.count();
    if before.chars().nth_back(tags_before) != Some(FLAG) {
        return false;
    }
    let tags_here = usize::from(c != CANCEL_TAG);
    let tags_after = match tags_here {
        0 => 0,
        _ => after.chars().take(FLAG_TAGS_MAX + 1).take_while(|&c| is_tag(c)).count(),
    };
    let ended = tags_here == 0 || after.chars().nth(tags_after) == Some(CANCEL_TAG);
    let tags = tags_before + tags_here + tags_after;
    ended && (FLAG_TAGS_MIN..=FLAG_TAGS_MAX).contains(&tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first character of a text that deceives.
    fn first(text: &str) -> Option<char> {
        characters(text).find(|(_, deceives)| *deceives).map(|(c, _)| c)
    }

    #[test]
    fn text_of_any_script_deceives_nobody() {
        for text in [
            "Übung 実験 #1",
            // Persian: "I want", "books", and a joiner after a mark.
            "می\u{200C}خواهم",
            "کتاب\u{200C}ها.pdf",
            "نَ\u{200C}ما",
            // Devanagari, Malayalam with a chillu at the end, Sinhala, Bengali.
            "क्\u{200D}ष",
            "क्\u{200C}ष",
            "അവന്\u{200D}.txt",
            "ශ්\u{200D}රී",
            "র\u{200D}্যাব",
            // Mongolian.
            "ᠭ\u{180B}ᠠ",
            "ᠬᠠ\u{180E}ᠨ",
            // Emoji: a family, a style, a style before a joiner, a keycap, a flag.
            "👨\u{200D}👩\u{200D}👧.png",
            "❤\u{FE0F}",
            "❤\u{FE0F}\u{200D}🔥",
            "👩🏽\u{200D}🚀",
            "1\u{FE0F}\u{20E3}",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            // Variants of ideographs.
            "葛\u{E0100}城市",
            "神\u{FE00}",
        ] {
            assert_eq!(first(text), None, "{text}");
        }
    }

    #[test]
    fn an_invisible_character_deceives_where_it_shapes_nothing() {
        for (text, expected) in [
            ("re\u{AD}port", '\u{AD}'),
            ("a\u{200B}b", '\u{200B}'),
            ("می\u{200B}خواهم", '\u{200B}'),
            ("\u{2060}a", '\u{2060}'),
            ("a\u{FEFF}", '\u{FEFF}'),
            ("\u{3164}", '\u{3164}'),
            ("a\u{200D}b", '\u{200D}'),
            ("a\u{200C}b", '\u{200C}'),
            ("کتاب\u{200C}.pdf", '\u{200C}'),
            ("کتاب\u{200C}\u{200C}ها", '\u{200C}'),
            ("क्\u{200D}\u{200D}ष", '\u{200D}'),
            ("👨\u{200C}👩", '\u{200C}'),
            ("👨\u{200D}a", '\u{200D}'),
            ("\u{FE0F}a", '\u{FE0F}'),
            ("a\u{FE0F}", '\u{FE0F}'),
            ("1\u{FE0F}", '\u{FE0F}'),
            ("❤\u{FE0F}\u{FE0F}", '\u{FE0F}'),
            ("a\u{E0100}", '\u{E0100}'),
            ("a\u{E0061}\u{E007F}", '\u{E0061}'),
            ("🏴\u{E0067}\u{E0062}\u{E0073}", '\u{E0067}'),
            (
                "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E0061}\u{E0061}\u{E007F}",
                '\u{E0067}',
            ),
            ("🏴\u{E007F}", '\u{E007F}'),
            ("🏴\u{E0001}", '\u{E0001}'),
            ("a\u{FFF9}b", '\u{FFF9}'),
            ("a\u{202E}b", '\u{202E}'),
            ("a\u{061C}b", '\u{061C}'),
            ("a\u{180E}b", '\u{180E}'),
        ] {
            assert_eq!(first(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn line_ends_and_control_characters_deceive() {
        for c in ['\0', '\n', '\u{1b}', '\u{7f}', '\u{9b}', '\u{2028}', '\u{2029}'] {
            assert_eq!(first(&alloc::format!("a{c}b")), Some(c));
        }
    }
}
