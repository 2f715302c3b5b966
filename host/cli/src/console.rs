//! Writing to the two streams of a terminal: the result to standard output, the talk to standard
//! error.

use std::io::{self, Write};
use std::time::Duration;
#[cfg(feature = "serve")]
use std::time::SystemTime;

use sandport_protocol::text::sanitize;
use serde_json::Value;

/// Longest text from a peer or a path that is shown, in characters. A path that exists fits.
const SHOWN_CHARS_MAX: usize = 4_096;

/// Text from elsewhere, fit for a terminal.
pub(crate) fn clean(text: &str) -> String {
    sanitize(text, SHOWN_CHARS_MAX)
}

/// Why nothing happens for a while.
#[cfg(feature = "serve")]
pub(crate) fn compiling(receiver: &str) -> String {
    format!("Compiling {}. A large component takes a minute.", clean(receiver))
}

/// Writes a line to standard error. Where nobody can read it, nothing can be done.
pub(crate) fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A number of bytes for a person. A server says it of each file, so there are no floats in it, which take long.
pub(crate) fn bytes(count: u64) -> String {
    const PREFIXES: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    let power = count.checked_ilog2().unwrap_or(0) / 10;
    let Some(prefix) = (power as usize).checked_sub(1).and_then(|at| PREFIXES.get(at)) else {
        return format!("{count} B");
    };
    let unit = 1_u128 << (10 * power);
    // Rounded to the nearest tenth.
    let tenths = (u128::from(count) * 10 + unit / 2) / unit;
    format!("{}.{} {prefix}iB", tenths / 10, tenths % 10)
}

/// A time span for a person: `0.3 s`, `2m 5s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 60 && duration.subsec_nanos() == 0 {
        format!("{whole} s")
    } else if whole < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{}m {}s", whole / 60, whole % 60)
    }
}

/// A time as RFC 3339 writes it, in UTC.
#[cfg(feature = "serve")]
pub(crate) fn timestamp(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| time.to_string())
}

/// An age for a table: `12s`, `5m`, `3h`, `4d`.
#[cfg(feature = "serve")]
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A JSON value on one line. Characters that could confuse a terminal are written as escapes, which
/// mean the same.
pub(crate) fn json_line(value: &Value) -> String {
    let line = value.to_string();
    if line.is_ascii() {
        return line;
    }
    let mut escaped = String::with_capacity(line.len());
    let mut buffer = [0; 4];
    for char in line.chars() {
        let alone = char.encode_utf8(&mut buffer);
        if char.is_ascii() || sanitize(alone, 1) == *alone {
            escaped.push(char);
        } else {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn json_keeps_every_name_and_shows_a_terminal_no_tricks() {
        let value = json!({"name": "a\u{202e}b\u{1b}[0m\u{9b}é実"});
        let line = json_line(&value);
        assert!(!line.contains(['\u{202e}', '\u{1b}', '\u{9b}']), "{line}");
        assert!(line.contains("é実"));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1_048_575), "1024.0 KiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(30)), "30 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2m 5s");
    }

    #[cfg(feature = "serve")]
    #[test]
    fn ages_have_one_unit() {
        let ages = [59, 60, 7_199, 86_399, 864_000].map(|it| age(Duration::from_secs(it)));
        assert_eq!(ages, ["59s", "1m", "1h", "23h", "10d"]);
    }
}
