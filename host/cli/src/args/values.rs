//! Values with units.

#[cfg(feature = "send")]
use std::num::NonZeroUsize;
use std::time::Duration;

#[cfg(feature = "serve")]
use bytesize::ByteSize;
use jiff::SignedDuration;
#[cfg(feature = "send")]
use sandport_client::{CONNECTIONS_MAX, Connections};

/// A number of bytes: `1500`, `10MB`, `4 GiB`.
#[cfg(feature = "serve")]
pub(super) fn size(text: &str) -> Result<u64, String> {
    // What is more than any number of bytes comes out as the highest of them.
    let size = text.parse::<ByteSize>().ok().filter(|size| size.as_u64() < u64::MAX);
    size.map(|size| size.as_u64())
        .ok_or_else(|| String::from("write a number of bytes with a unit: 10MB, 4GiB"))
}

/// A number of bytes that is not 0.
#[cfg(feature = "serve")]
pub(super) fn some_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err(String::from("it has to be a byte at least")),
        size => Ok(size),
    }
}

/// A number of bytes that fits this machine's memory.
#[cfg(feature = "serve")]
pub(super) fn memory(text: &str) -> Result<usize, String> {
    size(text).and_then(|size| usize::try_from(size).map_err(|error| error.to_string()))
}

/// A number of connections: `auto`, or 1 and more.
#[cfg(feature = "send")]
pub(super) fn connections(text: &str) -> Result<Connections, String> {
    if text == "auto" {
        return Ok(Connections::Auto);
    }
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= CONNECTIONS_MAX);
    number
        .map(Connections::Exactly)
        .ok_or_else(|| format!("write a number from 1 to {CONNECTIONS_MAX}, or `auto`"))
}

/// A length of time that is not nothing: `60s`, `500ms`, `1m 30s`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|it| Duration::try_from(it).ok());
    match parsed.or_else(|| days(text)) {
        Some(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        Some(_) => Err(String::from("it has to be a millisecond at least")),
        _ => Err(String::from("write a length of time with a unit: 60s, 500ms, 2m, 7d")),
    }
}

/// Days of 24 hours, which the other notation leaves to calendars.
fn days(text: &str) -> Option<Duration> {
    let days: u64 = text.strip_suffix('d')?.trim_end().parse().ok()?;
    days.checked_mul(24 * 3_600).map(Duration::from_secs)
}

/// A duration as the protocol counts it, as far as that goes: 49 days.
#[cfg(feature = "serve")]
pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
