//! Uploads that have URLs, by requests that come in pieces or are cut: wherever that is, the same comes of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use http_answers::digest_of;
use proptest::prelude::*;
use sandport_protocol::Algorithm;
use url_uploads::{Answered, Server, base64, chunked};

const CONTENT: &[u8] = b"hello world";

/// What a client sends to what has its first five bytes already, or to where an upload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tus,
    TusCreation,
    TusInChunks,
    TusChecked,
    Resumable,
    ResumableCreation,
    ResumableInChunks,
    ResumableChecked,
}

const KINDS: [Kind; 8] = [
    Kind::Tus,
    Kind::TusCreation,
    Kind::TusInChunks,
    Kind::TusChecked,
    Kind::Resumable,
    Kind::ResumableCreation,
    Kind::ResumableInChunks,
    Kind::ResumableChecked,
];

const TUS: &str = "Host: h\r\nTus-Resumable: 1.0.0\r\n";
const APPENDED: &str = "Content-Type: application/offset+octet-stream\r\n";
const RESUMABLE: &str = "Host: h\r\nUpload-Draft-Interop-Version: 10\r\n";
const PARTIAL: &str = "Content-Type: application/partial-upload\r\n";

impl Kind {
    fn is_of_tus(self) -> bool {
        matches!(self, Self::Tus | Self::TusCreation | Self::TusInChunks | Self::TusChecked)
    }

    fn is_creation(self) -> bool {
        matches!(self, Self::TusCreation | Self::ResumableCreation)
    }

    /// Nothing of its content counts before all of it is here.
    fn is_checked(self) -> bool {
        matches!(self, Self::TusChecked | Self::ResumableChecked)
    }

    /// Begins an upload and brings its first five bytes. `None`: the request itself begins it.
    fn prepare(self, server: &Server) -> Option<String> {
        if self.is_creation() {
            return None;
        }
        let head = match self.is_of_tus() {
            true => format!(
                "POST /files/ HTTP/1.1\r\n{TUS}{APPENDED}Upload-Length: 11\r\n\
                 Upload-Metadata: filename {}\r\nContent-Length: 5\r\n\r\n",
                base64(b"a")
            ),
            false => format!(
                "PUT /a HTTP/1.1\r\n{RESUMABLE}Upload-Complete: ?0\r\nUpload-Length: 11\r\n\
                 Content-Length: 5\r\n\r\n"
            ),
        };
        Some(server.request(&head, &CONTENT[..5]).location())
    }

    /// The request with its content, and where that begins.
    fn request(self, location: &str) -> (Vec<u8>, usize) {
        let rest = &CONTENT[5..];
        let sha1 = base64(&digest_of(Algorithm::Sha1, rest).value);
        let sha256 = base64(&digest_of(Algorithm::Sha256, rest).value);
        let length = rest.len();
        let of_tus = format!("PATCH {location} HTTP/1.1\r\n{TUS}{APPENDED}Upload-Offset: 5\r\n");
        let resumable = format!(
            "PATCH {location} HTTP/1.1\r\n{RESUMABLE}{PARTIAL}Upload-Offset: 5\r\n\
             Upload-Complete: ?1\r\n"
        );
        let chunks = "Transfer-Encoding: chunked\r\n";
        let (head, content) = match self {
            Self::Tus => (format!("{of_tus}Content-Length: {length}\r\n"), rest.to_vec()),
            Self::TusCreation => (
                format!(
                    "POST /files/ HTTP/1.1\r\n{TUS}{APPENDED}Upload-Length: 11\r\n\
                     Upload-Metadata: filename {}\r\nContent-Length: 11\r\n",
                    base64(b"a")
                ),
                CONTENT.to_vec(),
            ),
            Self::TusInChunks => (format!("{of_tus}{chunks}"), chunked(rest, "")),
            Self::TusChecked => (
                format!("{of_tus}{chunks}Trailer: Upload-Checksum\r\n"),
                chunked(rest, &format!("Upload-Checksum: sha1 {sha1}\r\n")),
            ),
            Self::Resumable => (format!("{resumable}Content-Length: {length}\r\n"), rest.to_vec()),
            Self::ResumableCreation => (
                format!(
                    "PUT /a HTTP/1.1\r\n{RESUMABLE}Upload-Complete: ?1\r\nContent-Length: 11\r\n"
                ),
                CONTENT.to_vec(),
            ),
            Self::ResumableInChunks => (format!("{resumable}{chunks}"), chunked(rest, "")),
            Self::ResumableChecked => (
                format!(
                    "{resumable}Content-Digest: sha-256=:{sha256}:\r\nContent-Length: {length}\r\n"
                ),
                rest.to_vec(),
            ),
        };
        let mut request = format!("{head}\r\n").into_bytes();
        let begins = request.len();
        request.extend(content);
        (request, begins)
    }

    fn head(self, location: &str) -> String {
        let fields = if self.is_of_tus() { TUS } else { RESUMABLE };
        format!("HEAD {location} HTTP/1.1\r\n{fields}\r\n")
    }

    /// Brings what is missing from `offset` on.
    fn finish(self, server: &Server, location: &str, offset: usize) -> Answered {
        let rest = &CONTENT[offset..];
        let fields = match self.is_of_tus() {
            true => format!("{TUS}{APPENDED}"),
            false => format!("{RESUMABLE}{PARTIAL}Upload-Complete: ?1\r\n"),
        };
        let head = format!(
            "PATCH {location} HTTP/1.1\r\n{fields}Upload-Offset: {offset}\r\nContent-Length: {}\r\n\r\n",
            rest.len()
        );
        server.request(&head, rest).answer
    }
}

/// What a client sees of a request, but for the key that is made up.
fn answered(server: &Server, pieces: &[&[u8]]) -> (Vec<u16>, Answered) {
    let mut connection = server.connect();
    for piece in pieces {
        connection.send(piece);
        connection.run();
    }
    let exchanged = connection.exchanged(false);
    (exchanged.interims.iter().map(|interim| interim.status).collect(), exchanged.answer)
}

#[test]
fn a_request_in_two_pieces_is_the_same_request() {
    for kind in KINDS {
        let whole = {
            let server = Server::default();
            let location = kind.prepare(&server).unwrap_or_default();
            let (request, _) = kind.request(&location);
            let whole = answered(&server, &[&request]);
            assert!(matches!(whole.1.status, 201 | 204), "{kind:?} {whole:?}");
            assert_eq!(server.file("a").unwrap(), CONTENT);
            (request, whole)
        };
        for at in 1..whole.0.len() {
            let server = Server::default();
            let location = kind.prepare(&server).unwrap_or_default();
            let (request, _) = kind.request(&location);
            let (first, second) = request.split_at(at);
            assert_eq!(answered(&server, &[first, second]), whole.1, "{kind:?}, cut at {at}");
            assert_eq!(server.file("a").unwrap(), CONTENT, "{kind:?}, cut at {at}");
        }
    }
}

#[test]
fn wherever_a_request_is_cut_the_upload_goes_on_to_its_end() {
    for kind in KINDS {
        for missing in 1.. {
            let server = Server::default();
            let prepared = kind.prepare(&server);
            let (request, begins) = kind.request(prepared.as_deref().unwrap_or_default());
            if missing == request.len() {
                break;
            }
            let at = request.len() - missing;
            let answers = server.cut(std::str::from_utf8(&request[..at]).unwrap(), b"");
            assert_eq!(server.file("a"), None, "{kind:?}, cut at {at}");
            let told = answers.iter().find(|answer| answer.status == 104).map(Answered::location);
            let Some(location) = prepared.or(told) else {
                assert_eq!(server.unfinished(), 0, "{kind:?}, cut at {at}");
                continue;
            };
            let found = server.request(&kind.head(&location), b"");
            let offset: usize = found.field("upload-offset").unwrap().parse().unwrap();
            assert_eq!(server.kept(&location).durable, offset, "what is told is durable");
            let came = at.saturating_sub(begins);
            if kind.is_checked() {
                assert_eq!(offset, 5, "{kind:?}, cut at {at}");
            } else if !matches!(kind, Kind::TusInChunks | Kind::ResumableInChunks) {
                let before = if kind.is_creation() { 0 } else { 5 };
                assert_eq!(offset, before + came, "{kind:?}, cut at {at}");
            }
            assert!(offset <= CONTENT.len());
            if server.file("a").is_none() {
                let last = kind.finish(&server, &location, offset);
                assert!(matches!(last.status, 201 | 204), "{kind:?}, cut at {at}: {last:?}");
            }
            assert_eq!(server.file("a").unwrap(), CONTENT, "{kind:?}, cut at {at}");
        }
    }
}

proptest! {
    #[test]
    fn a_file_comes_through_however_often_it_is_cut(
        is_of_tus in any::<bool>(),
        cuts in proptest::collection::vec((0_usize..40, any::<bool>()), 0..12),
    ) {
        let content: Vec<u8> = (0..200).collect();
        let kind = if is_of_tus { Kind::Tus } else { Kind::Resumable };
        let server = Server::default();
        let head = match is_of_tus {
            true => format!(
                "POST /files/ HTTP/1.1\r\n{TUS}Upload-Length: 200\r\nUpload-Metadata: filename {}\r\n\r\n",
                base64(b"a")
            ),
            false => format!(
                "PUT /a HTTP/1.1\r\n{RESUMABLE}Upload-Complete: ?0\r\nUpload-Length: 200\r\n\
                 Content-Length: 0\r\n\r\n"
            ),
        };
        let location = server.request(&head, b"").location();
        let mut offset = 0;
        let mut requests = cuts.into_iter();
        while server.file("a").is_none() {
            let (brings, is_cut) = requests.next().unwrap_or((200, false));
            let end = (offset + brings).min(content.len());
            let announced = if is_cut { content.len() - offset } else { end - offset };
            let fields = match is_of_tus {
                true => format!("{TUS}{APPENDED}"),
                false if end == content.len() || is_cut => {
                    format!("{RESUMABLE}{PARTIAL}Upload-Complete: ?1\r\n")
                }
                false => format!("{RESUMABLE}{PARTIAL}Upload-Complete: ?0\r\n"),
            };
            let head = format!(
                "PATCH {location} HTTP/1.1\r\n{fields}Upload-Offset: {offset}\r\n\
                 Content-Length: {announced}\r\n\r\n"
            );
            let content = &content[offset..end];
            if is_cut {
                server.cut(&head, content);
            } else {
                let appended = server.request(&head, content);
                prop_assert!(matches!(appended.status, 201 | 204), "{:?}", appended);
            }
            let found = server.request(&kind.head(&location), b"");
            let told: usize = found.field("upload-offset").unwrap().parse().unwrap();
            prop_assert!(told >= offset, "an offset goes back from {} to {}", offset, told);
            offset = told;
        }
        prop_assert_eq!(server.file("a"), Some(content));
    }
}
