//! What a server is told of a file.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::request::Request;
use crate::http::base64;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// What a server is told of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// The name, with `/` between its parts. `None`: the server makes one up, or the address is the name.
    pub name: Option<String>,
    /// Its size in bytes; `None`: it is a stream.
    pub size: Option<u64>,
    /// Modification time in nanoseconds since 1970-01-01T00:00:00Z. HTTP carries seconds, tus milliseconds.
    pub modified_ns: Option<i64>,
}

impl Offered {
    /// Adds the modification time, by the field that rclone and ownCloud use: there is no other that servers read.
    pub(super) fn describe(&self, request: Request) -> Request {
        let seconds = self.modified_ns.map(|ns| ns.div_euclid(NS_PER_S).to_string());
        request.with_some("X-OC-Mtime", seconds)
    }

    /// The value of `Upload-Metadata`, with the keys that clients of tus use. `None`: there is nothing to say.
    pub(super) fn metadata(&self) -> Option<String> {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if let Some(name) = &self.name {
            let last = name.rsplit('/').next().unwrap_or(name);
            pairs.push(("filename", String::from(last)));
            if last.len() < name.len() {
                pairs.push(("relativePath", name.clone()));
            }
        }
        if let Some(ns) = self.modified_ns {
            pairs.push(("lastModified", ns.div_euclid(NS_PER_MS).to_string()));
        }
        let pairs =
            pairs.iter().map(|(key, value)| format!("{key} {}", base64::encode(value.as_bytes())));
        let text = pairs.collect::<Vec<_>>().join(",");
        (!text.is_empty()).then_some(text)
    }
}
