//! The options that every program takes that receives files: `sandport serve` and the standalone component. Each checks
//! in a test that it has them as they are here, so that who knows one knows the other.

use alloc::format;
use alloc::string::String;
use core::fmt::Display;
use core::ops::RangeInclusive;
use core::str::FromStr;

/// An option as both programs have it. What it does is in their help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedOption {
    /// Its name after `--`. The variable of the environment follows from it: see [`Self::variable`].
    pub name: &'static str,
    /// What stands for its value in help; `None`: it takes none, or a word of a list.
    pub value: Option<&'static str>,
    /// Its default; `None`: there is none, or each program has its own.
    pub default: Option<&'static str>,
}

/// All of them.
pub const SHARED_OPTIONS: &[SharedOption] = &[
    shared("listen", Some("ADDR"), Some("127.0.0.1:6542")),
    shared("conflict", None, Some("rename")),
    // A component can sync no directory.
    shared("durability", None, None),
    shared("watermark-size", Some("SIZE"), Some("64MiB")),
    shared("watermark-time", Some("DURATION"), Some("2s")),
    shared("expire-partial", Some("DURATION"), Some("7d")),
    shared("max-file", Some("SIZE"), None),
    shared("max-connections", Some("N"), Some("1000")),
    shared("idle-timeout", Some("DURATION"), Some("60s")),
    shared("no-classic", None, None),
    shared("classic-name", Some("NAME"), None),
    shared("settle-ms", Some("MS"), Some("50")),
    shared("json", None, None),
    shared("quiet", None, None),
];

const fn shared(
    name: &'static str,
    value: Option<&'static str>,
    default: Option<&'static str>,
) -> SharedOption {
    SharedOption { name, value, default }
}

impl SharedOption {
    /// The variable of the environment that sets it too: `SANDPORT_MAX_FILE` for `max-file`.
    pub fn variable(&self) -> String {
        format!("SANDPORT_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }
}

/// Parses a whole number within a range. What is refused is told which numbers there are.
///
/// ```
/// use sandport_protocol::options::number;
///
/// let percent = number(1..=100_u8);
/// assert_eq!(percent("12"), Ok(12));
/// assert_eq!(percent("-1").unwrap_err(), "write a whole number from 1 to 100");
/// ```
pub fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.ok_or_else(|| format!("write a whole number from {least} to {most}"))
    }
}
