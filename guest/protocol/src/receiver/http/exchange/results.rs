//! What is told of files: a line for a person, an object of JSON for a program.

use alloc::format;
use alloc::string::{String, ToString};

use serde::Serialize;

use crate::receiver::http::problem::refused_line;
use crate::text::sanitize;
use crate::{DETAIL_BYTES_MAX, NAME_BYTES_MAX, Receipt, Refusal};

/// What a person is told of a file that is not stored yet and may be soon.
const PENDING_LINE: &str = "pending: the server has all of it, and is still storing it\n";

/// What became of one file.
#[derive(Debug)]
pub(in crate::receiver::http) struct FileResult {
    /// The name that the client offered. `None`: it offered none.
    pub(in crate::receiver::http) offered: Option<String>,
    pub(in crate::receiver::http) outcome: Outcome,
}

#[derive(Debug)]
pub(in crate::receiver::http) enum Outcome {
    /// It is not known yet: all of it is here, and its commit is under way.
    Pending,
    /// It is stored now.
    Stored(Receipt),
    /// It was here already.
    AlreadyStored(Receipt),
    Refused(Refusal),
}

/// A file in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::receiver::http) struct FileJson {
    /// `stored`, `already-stored`, `refused` or `pending`.
    result: &'static str,
    /// The name under which it is stored, or the offered one of a file that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The offered name, where it is stored under another.
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// `blake3:` and hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl FileResult {
    /// In a line, with its line end.
    pub(in crate::receiver::http) fn line(&self) -> String {
        match &self.outcome {
            Outcome::Stored(receipt) => stored_line("stored", self.renamed_from(receipt), receipt),
            Outcome::AlreadyStored(receipt) => {
                stored_line("already stored", self.renamed_from(receipt), receipt)
            }
            Outcome::Refused(refusal) => {
                let detail = refusal.detail.as_deref().map(presentable);
                let line = refused_line(refusal.code, detail.as_deref());
                match &self.offered {
                    Some(name) => format!("{}: {line}", shown(name)),
                    None => line,
                }
            }
            Outcome::Pending => match &self.offered {
                Some(name) => format!("{}: {PENDING_LINE}", shown(name)),
                None => String::from(PENDING_LINE),
            },
        }
    }

    /// In JSON.
    pub(in crate::receiver::http) fn json(&self) -> FileJson {
        let stored = |result, receipt: &Receipt| FileJson {
            result,
            name: Some(receipt.name.clone()),
            offered: self.renamed_from(receipt).map(String::from),
            size: Some(receipt.size),
            digest: Some(format!("blake3:{}", receipt.digest)),
            code: None,
            detail: None,
        };
        match &self.outcome {
            Outcome::Stored(receipt) => stored("stored", receipt),
            Outcome::AlreadyStored(receipt) => stored("already-stored", receipt),
            Outcome::Refused(_) | Outcome::Pending => {
                let refusal = self.refusal();
                FileJson {
                    result: if refusal.is_some() { "refused" } else { "pending" },
                    name: self.offered.clone(),
                    offered: None,
                    size: None,
                    digest: None,
                    code: refusal.map(|refusal| refusal.code.as_str()),
                    detail: refusal.and_then(|refusal| refusal.detail.as_deref()).map(presentable),
                }
            }
        }
    }

    /// Why it is not stored.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match &self.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    fn renamed_from(&self, receipt: &Receipt) -> Option<&str> {
        self.offered.as_deref().filter(|offered| *offered != receipt.name)
    }
}

fn stored_line(what: &str, renamed_from: Option<&str>, receipt: &Receipt) -> String {
    let name = shown(&receipt.name);
    let offered =
        renamed_from.map(|name| format!(" (offered as {})", shown(name))).unwrap_or_default();
    let bytes = if receipt.size == 1 { "byte" } else { "bytes" };
    format!("{what}: {name}{offered}, {} {bytes}, blake3:{}\n", receipt.size, receipt.digest)
}

fn shown(name: &str) -> String {
    sanitize(name, NAME_BYTES_MAX)
}

fn presentable(detail: &str) -> String {
    sanitize(detail, DETAIL_BYTES_MAX).to_string()
}
