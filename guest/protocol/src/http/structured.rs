//! Structured fields (RFC 9651): Booleans, Integers, and Dictionaries of Integers and of Byte Sequences.
//!
//! What does not parse, or is of another type than it has to be, is as if the whole field were not there (section
//! 4.2): that is the `None` of each function here. Parameters are parsed, and mean nothing to the fields that
//! Sandport knows.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::base64;

mod parser;
#[cfg(test)]
mod tests;

pub(crate) use parser::Bare;
use parser::Parser;

/// The largest Integer: fifteen digits (section 3.3.1).
pub(crate) const INTEGER_MAX: u64 = 999_999_999_999_999;

/// An Item that is a Boolean.
pub(crate) fn boolean(field: &[u8]) -> Option<bool> {
    match Parser::new(field).only_item()? {
        Bare::Boolean(value) => Some(value),
        _ => None,
    }
}

/// An Item that is an Integer, and not negative.
pub(crate) fn unsigned(field: &[u8]) -> Option<u64> {
    match Parser::new(field).only_item()? {
        Bare::Integer(value) => u64::try_from(value).ok(),
        _ => None,
    }
}

/// The members of a Dictionary, in the order in which their keys came first. Lines of one field are joined by commas
/// before.
pub(crate) fn dictionary(field: &[u8]) -> Option<Vec<(String, Bare)>> {
    Parser::new(field).only_dictionary()
}

/// A Boolean, written.
pub(crate) fn write_boolean(value: bool) -> &'static str {
    if value { "?1" } else { "?0" }
}

/// An Integer, written. What has more digits than an Integer may have is the largest one.
pub(crate) fn write_unsigned(value: u64) -> String {
    value.min(INTEGER_MAX).to_string()
}

/// A Dictionary of Integers, written.
pub(crate) fn write_integers<'a>(members: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let members = members.into_iter().map(|(key, value)| (key, write_unsigned(value)));
    join(members)
}

/// A Dictionary of Byte Sequences, written.
pub(crate) fn write_bytes<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let members = members.into_iter();
    join(members.map(|(key, value)| (key, format!(":{}:", base64::encode(value)))))
}

fn join<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    members.map(|(key, value)| key.to_owned() + "=" + &value).collect::<Vec<_>>().join(", ")
}
