//! What a server has said.

use alloc::string::String;
use alloc::vec::Vec;

use crate::http::structured;

/// How much of the content of an answer is read: a problem, or a result. Bytes. What is longer is left away, and means
/// nothing then.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A final answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Fields in their order, with names in lower case.
    pub fields: Vec<(String, String)>,
    /// The content, up to [`ANSWER_BYTES_MAX`]; empty where there is more.
    pub content: Vec<u8>,
}

impl HttpAnswer {
    /// Whether it is a success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A field that is there once.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        let first = values.next()?;
        values.next().is_none().then(|| first.trim())
    }

    /// All values of a field, as one.
    pub(super) fn list(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Whether a list has a member, whatever follows a `;` in it. Upper and lower case are one.
    pub(super) fn lists(&self, name: &str, member: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|one| {
            one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(member)
        })
    }

    /// A number of decimal digits, as tus writes them.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let text = self.field(name)?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    }

    /// An Integer of a structured field.
    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        structured::unsigned(self.list(name)?.as_bytes())
    }

    /// A Boolean of a structured field.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        structured::boolean(self.list(name)?.as_bytes())
    }

    /// The media type of the content, in lower case and without parameters.
    pub(super) fn media_type(&self) -> String {
        let value = self.field("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}
