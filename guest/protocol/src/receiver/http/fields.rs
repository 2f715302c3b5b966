//! The fields of a request or of its trailers (RFC 9110, section 5).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Refusal, RefusalCode};

/// Fields in the order in which they came. Names are kept in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::receiver) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// Adds a field. `name` may be in any case; white space around the value is not part of it.
    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.trim_ascii().to_vec()));
    }

    /// Whether there is a field of this name, whatever its value. Names are asked for in lower case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.bytes(name).next().is_some()
    }

    /// The first value of this name that is text (UTF-8, of which ASCII is a part).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of this name that are text, one for each line.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.bytes(name).filter_map(|value| core::str::from_utf8(value).ok())
    }

    /// The value of a field that may be there once at most.
    ///
    /// # Errors
    /// `malformed`: it is there twice, or is not text.
    pub(super) fn single(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.bytes(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(malformed(format!("the field {name} is there more than once")));
        }
        match core::str::from_utf8(value) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(malformed(format!("the field {name} is not UTF-8"))),
        }
    }

    /// All lines of this name as the one list that they are (RFC 9110, section 5.3): joined by a comma. `None`: there
    /// is no such line, or one of them is not text.
    pub(super) fn list(&self, name: &str) -> Option<String> {
        let mut list: Option<String> = None;
        for value in self.bytes(name) {
            let text = core::str::from_utf8(value).ok()?;
            match &mut list {
                Some(list) => {
                    list.push_str(", ");
                    list.push_str(text);
                }
                None => list = Some(String::from(text)),
            }
        }
        list
    }

    /// The members of a list of tokens, without white space and empty ones. The case is as it came.
    pub(super) fn tokens(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(|line| line.split(',')).map(str::trim).filter(|one| !one.is_empty())
    }

    /// All values of this name, one for each line.
    pub(super) fn bytes(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_slice())
    }
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(RefusalCode::Malformed, detail)
}
