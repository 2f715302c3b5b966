//! What a server speaks, and what it takes.

use alloc::string::String;

use super::answer::HttpAnswer;
use super::offered::Offered;
use crate::http::structured::{self, Bare};
use crate::{Refusal, RefusalCode};

/// The version of tus that is spoken.
pub(super) const TUS_VERSION: &str = "1.0.0";

/// The media type of what the resumable uploads of the IETF append.
pub(super) const PARTIAL_UPLOAD: &str = "application/partial-upload";

/// How files are brought to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Resumable uploads of the IETF (draft-ietf-httpbis-resumable-upload), in their newest form.
    Resumable,
    /// tus 1.0.0.
    Tus,
    /// `PUT` of the whole file: what is cut is sent from its beginning.
    Plain,
}

impl Protocol {
    /// A stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resumable => "resumable",
            Self::Tus => "tus",
            Self::Plain => "plain",
        }
    }
}

/// What a server has said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Its name and version, where it tells them; not sanitized.
    pub agent: Option<String>,
    /// Largest file in bytes.
    pub max_file_size: Option<u64>,
    /// Most bytes that one request may append.
    pub max_append_size: Option<u64>,
    /// Extensions of tus: content in the request that begins an upload, a length that follows, and ending an upload.
    pub(super) takes_content_first: bool,
    pub(super) takes_length_later: bool,
    pub(super) takes_deletes: bool,
}

impl Server {
    /// Reads the answer to `OPTIONS`. Where a server speaks both, the resumable uploads of the IETF are chosen: their
    /// last answer can tell the name and the digest of what was stored, and that of tus cannot.
    ///
    /// `Upload-Limit` alone does not count: the drafts that had it before `Accept-Patch` (up to -09) want to be told
    /// their own number, and say it nowhere. A server of these would take an upload that is to be begun for an empty
    /// file.
    pub(super) fn of(answer: &HttpAnswer) -> Self {
        let extension = |name| answer.lists("tus-extension", name);
        let is_tus = answer.is_success()
            && answer.lists("tus-version", TUS_VERSION)
            && extension("creation");
        let protocol = match answer.is_success() && answer.lists("accept-patch", PARTIAL_UPLOAD) {
            true => Protocol::Resumable,
            false if is_tus => Protocol::Tus,
            false => Protocol::Plain,
        };
        let mut server = Self {
            protocol,
            agent: answer.field("server").map(String::from),
            max_file_size: None,
            max_append_size: None,
            takes_content_first: extension("creation-with-upload"),
            takes_length_later: extension("creation-defer-length"),
            takes_deletes: protocol == Protocol::Resumable || extension("termination"),
        };
        match protocol {
            Protocol::Resumable => server.limit(answer),
            Protocol::Tus => server.max_file_size = answer.number("tus-max-size"),
            Protocol::Plain => {}
        }
        server
    }

    /// Takes over what `Upload-Limit` says.
    pub(super) fn limit(&mut self, answer: &HttpAnswer) {
        let list = answer.list("upload-limit");
        let members = list.and_then(|list| structured::dictionary(list.as_bytes()));
        for (key, value) in members.unwrap_or_default() {
            let Bare::Integer(value) = value else { continue };
            match (key.as_str(), u64::try_from(value)) {
                ("max-size", Ok(most)) => self.max_file_size = Some(most),
                // None at all would never come to an end.
                ("max-append-size", Ok(most @ 1..)) => self.max_append_size = Some(most),
                _ => {}
            }
        }
    }

    /// Why a file is not even offered.
    pub(super) fn refusal(&self, file: &Offered) -> Option<Refusal> {
        let Some(size) = file.size else {
            let words = "the server takes no stream: it wants to know the size first";
            let is_refused = self.protocol == Protocol::Tus && !self.takes_length_later;
            return is_refused.then(|| Refusal::new(RefusalCode::UnsupportedVersion, words));
        };
        self.max_file_size.filter(|most| size > *most).map(|most| {
            let words = alloc::format!("the server takes files of up to {most} bytes");
            Refusal::new(RefusalCode::TooLarge, words)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    fn server(status: u16, fields: &[(&str, &str)]) -> Server {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Server::of(&HttpAnswer { status, fields: fields.collect(), content: [].into() })
    }

    #[test]
    fn a_server_is_known_by_what_it_offers() {
        let tus = [("tus-version", "1.0.0,0.2.2"), ("tus-extension", "creation,termination")];
        assert_eq!(server(204, &tus).protocol, Protocol::Tus);
        assert_eq!(
            server(200, &[("accept-patch", "application/partial-upload")]).protocol,
            Protocol::Resumable
        );
        let both = [tus[0], tus[1], ("accept-patch", "text/x, application/partial-upload;q=1")];
        assert_eq!(server(204, &both).protocol, Protocol::Resumable);
        for (status, fields) in [
            (204, &[][..]),
            (404, &tus),
            (204, &[("tus-version", "0.2.2"), ("tus-extension", "creation")]),
            (204, &[("tus-version", "1.0.0"), ("tus-extension", "termination")]),
            (204, &[("upload-limit", "max-size=5")]),
            (405, &[("accept-patch", "application/partial-upload")]),
        ] {
            assert_eq!(server(status, fields).protocol, Protocol::Plain, "{status} {fields:?}");
        }
    }

    #[test]
    fn limits_are_read_and_what_is_none_is_passed_over() {
        let of = |limit| {
            let server = server(204, &[("accept-patch", PARTIAL_UPLOAD), ("upload-limit", limit)]);
            (server.max_file_size, server.max_append_size)
        };
        assert_eq!(of("max-size=7, max-append-size=5;x, min-size=0"), (Some(7), Some(5)));
        assert_eq!(of("max-size=-1, max-append-size=0"), (None, None));
        assert_eq!(of("max-size=?1"), (None, None));
        assert_eq!(of("max-size=7 max"), (None, None));
    }
}
