//! Uploads with URLs over HTTP: tus, and the resumable uploads of the IETF, over several connections.

use std::collections::BTreeMap;

use sandport_protocol::Limits;

use crate::cutting::{choice, pieces};
use crate::http::one_of_heads;
use crate::url_uploads::{Server, base64};

/// The choice of an inbox whose disk is full after some bytes.
const FAULT: u8 = 4;

/// What stands between two requests. Each comes over a connection of its own.
const BETWEEN: u8 = 0;

/// What stands for the URL that was told last.
const URL: &[u8] = b"%L";

/// Most requests of one input.
const REQUESTS_MAX: usize = 12;

pub(crate) const WORDS: &[&[u8]] = &[
    b"\x00",
    URL,
    b"\r\n",
    b"\r\n\r\n",
    b"POST /files/ HTTP/1.1\r\nHost: h\r\n",
    b"PATCH %L HTTP/1.1\r\nHost: h\r\n",
    b"HEAD %L HTTP/1.1\r\nHost: h\r\n",
    b"DELETE %L HTTP/1.1\r\nHost: h\r\n",
    b"Tus-Resumable: 1.0.0\r\n",
    b"Upload-Offset: 0\r\n",
    b"Upload-Offset: 5\r\n",
    b"Upload-Length: 10\r\n",
    b"Upload-Defer-Length: 1\r\n",
    b"Upload-Metadata: filename YQ==\r\n",
    b"Upload-Checksum: sha1 AAAA\r\n",
    b"Upload-Concat: partial\r\n",
    b"Upload-Concat: final;%L %L\r\n",
    b"Upload-Draft-Interop-Version: 8\r\n",
    b"Upload-Draft-Interop-Version: 3\r\n",
    b"Upload-Complete: ?1\r\n",
    b"Upload-Complete: ?0\r\n",
    b"Upload-Incomplete: ?1\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Type: application/offset+octet-stream\r\n",
    b"Content-Type: application/partial-upload\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Digest: sha-256=:AAAA:\r\n",
];

/// What came of all requests, as far as it must not depend on how their bytes were cut.
#[derive(Debug, PartialEq)]
struct Outcome {
    published: BTreeMap<String, Vec<u8>>,
    /// Of each upload: its size, its content, and how it has ended.
    kept: Vec<(Option<u64>, Vec<u8>, Option<String>)>,
    /// What each request was answered, and where the upload is then.
    answers: Vec<Option<(u16, Option<String>)>>,
}

fn play(choice: u8, requests: &[&[u8]], cut: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Outcome {
    let max_file_size = (choice & 1 > 0).then_some(20);
    let server = Server::with(Limits { max_file_size, ..Limits::default() });
    server.inbox().has_no_keys = choice & 2 > 0;
    server.inbox().fault_at = (choice & FAULT > 0).then_some(7);
    server.inbox().syncs_always = choice & 8 > 0;
    let mut url = "/files/AAAA".to_owned();
    let mut answers = vec![];
    for request in requests.iter().take(REQUESTS_MAX) {
        let request = with_url(request, &url);
        let mut connection = server.connect();
        for piece in cut(&request) {
            connection.send(&piece);
            connection.run();
        }
        connection.break_off();
        let sent = connection.sent();
        // The length of an answer to a `HEAD` says nothing, so it cannot be taken apart by who does not know which it
        // is.
        let answer = match request.windows(4).any(|word| word == b"HEAD") {
            true => status(sent).map(|status| (one_of_heads(status), None)),
            false => {
                let all = connection.answers(false);
                if let Some(told) = all.iter().rfind(|it| it.field("location").is_some()) {
                    url = told.location();
                }
                let last = all.last().filter(|answer| answer.status >= 200);
                last.map(|last| {
                    let offset = last.field("upload-offset").map(String::from);
                    (one_of_heads(last.status), offset)
                })
            }
        };
        answers.push(answer);
        server.pass(1_000);
    }
    let inbox = server.inbox();
    let kept = inbox.kept.values().map(|kept| {
        let outcome = kept.outcome.as_ref().map(|outcome| format!("{outcome:?}"));
        assert!(kept.size.is_none_or(|size| kept.content.len() as u64 <= size));
        (kept.size, kept.content.clone(), outcome)
    });
    Outcome { published: inbox.published.clone(), kept: kept.collect(), answers }
}

/// The status of the first answer.
fn status(sent: &[u8]) -> Option<u16> {
    let status = sent.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

fn with_url(request: &[u8], url: &str) -> Vec<u8> {
    let (mut rest, mut whole) = (request, vec![]);
    while let Some(at) = rest.windows(URL.len()).position(|word| word == URL) {
        whole.extend_from_slice(&rest[..at]);
        whole.extend_from_slice(url.as_bytes());
        rest = &rest[at + URL.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}

/// Plays requests one after the other; the inbox in memory checks what it is asked.
pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let requests: Vec<&[u8]> = rest.split(|byte| *byte == BETWEEN).collect();
    if requests.iter().any(|request| !request.first().is_some_and(u8::is_ascii_uppercase)) {
        return;
    }
    let whole = play(choice, &requests, |request| vec![request.to_vec()]);
    let cut = play(choice, &requests, pieces);
    // How much came before a fault depends on the pieces.
    if choice & FAULT == 0 {
        assert_eq!(cut, whole);
    }
}

fn tus(line: &str, fields: &str, content: &str) -> String {
    let length = content.len();
    format!(
        "{line} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
    )
}

fn ietf(line: &str, number: u8, fields: &str, content: &str) -> String {
    let length = content.len();
    format!(
        "{line} HTTP/1.1\r\nHost: h\r\nUpload-Draft-Interop-Version: {number}\r\n{fields}\
         Content-Length: {length}\r\n\r\n{content}"
    )
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let stream = "Content-Type: application/offset+octet-stream\r\n";
    let patch = |offset: u64, content: &str| {
        tus("PATCH %L", &format!("{stream}Upload-Offset: {offset}\r\n"), content)
    };
    let partial = "Content-Type: application/partial-upload\r\n";
    let append = |offset: u64, is_last: u8, content: &str| {
        let fields = format!("{partial}Upload-Offset: {offset}\r\nUpload-Complete: ?{is_last}\r\n");
        ietf("PATCH %L", 8, &fields, content)
    };
    let name = format!("Upload-Metadata: filename {},type\r\n", base64(b"a/b"));
    let conversations: Vec<(u8, Vec<String>)> = vec![
        (
            0,
            vec![
                tus("POST /files/", &format!("Upload-Length: 10\r\n{name}"), ""),
                patch(0, "hell"),
                tus("HEAD %L", "", ""),
                patch(4, "o worl"),
                tus("HEAD %L", "", ""),
            ],
        ),
        (
            8,
            vec![
                tus("POST /files/", "Upload-Defer-Length: 1\r\n", ""),
                patch(0, "hello"),
                tus("PATCH %L", &format!("{stream}Upload-Offset: 5\r\nUpload-Length: 5\r\n"), ""),
            ],
        ),
        (
            0,
            vec![
                tus("POST /files/", &format!("Upload-Length: 5\r\n{stream}"), "hello"),
                tus("DELETE %L", "", ""),
                tus("OPTIONS /files/", "", ""),
            ],
        ),
        (
            0,
            vec![
                tus("POST /files/", "Upload-Concat: partial\r\nUpload-Length: 5\r\n", ""),
                patch(0, "hello"),
                tus("POST /files/", "Upload-Concat: final;%L %L\r\n", ""),
            ],
        ),
        (
            4,
            vec![
                tus("POST /files/", "Upload-Length: 10\r\n", ""),
                tus(
                    "PATCH %L",
                    &format!("{stream}Upload-Offset: 0\r\nUpload-Checksum: sha1 AAAA\r\n"),
                    "hello worl",
                ),
                patch(0, "hello worl"),
            ],
        ),
        (
            0,
            vec![
                ietf("POST /a", 8, "Upload-Complete: ?0\r\nUpload-Length: 10\r\n", "hello"),
                ietf("HEAD %L", 8, "", ""),
                append(5, 1, " worl"),
            ],
        ),
        (
            1,
            vec![
                ietf("PUT /b", 8, "Upload-Complete: ?1\r\nContent-Digest: sha-256=:AAAA:\r\n", "x"),
                ietf("POST /c", 3, "Upload-Incomplete: ?1\r\n", "hello"),
                ietf("PATCH %L", 3, "Upload-Offset: 5\r\nUpload-Incomplete: ?0\r\n", ""),
                ietf("DELETE %L", 3, "", ""),
            ],
        ),
        (
            0,
            vec![
                "POST /d HTTP/1.1\r\nHost: h\r\nUpload-Complete: ?0\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\n\r\n"
                    .into(),
                append(5, 1, ""),
            ],
        ),
    ];
    let text = |(choice, requests): (u8, Vec<String>)| {
        [vec![choice], requests.join("\0").into_bytes()].concat()
    };
    conversations.into_iter().map(text).collect()
}
