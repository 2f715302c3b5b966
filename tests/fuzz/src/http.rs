//! Connections of HTTP/1.1 that bring files: as bodies and in forms, one request after the other.

use std::collections::BTreeMap;

use sandport_protocol::{Limits, RefusalCode};

use crate::cutting::{choice, pieces};
use crate::http_answers::parse;
use crate::http_end::{End, HttpEnd, TOKEN};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b"GET ",
    b"PUT ",
    b"POST ",
    b"OPTIONS ",
    b"DELETE ",
    b"Host: h\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"Content-Type: multipart/form-data; boundary=b\r\n",
    b"Content-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n",
    b"--b\r\n",
    b"\r\n--b--\r\n",
    b"filename*=UTF-8''%C3%BC",
    b"%2F",
    b"%2e%2e",
    b"\"",
    b"\\",
];

/// The choice of an inbox whose disk is full after some bytes.
const FAULT: u8 = 4;

/// What a connection came to, as far as it must not depend on how its bytes were cut.
#[derive(Debug, PartialEq)]
struct Outcome {
    published: BTreeMap<String, Vec<u8>>,
    /// The final answers: their status, and whether they end the connection. Where none of them can be one to a `HEAD`,
    /// whose length says nothing. Which of several faults a head is refused for depends on what has come of it.
    answers: Option<Vec<(u16, bool)>>,
    /// `None`: the next request may come.
    end: Option<Result<(), RefusalCode>>,
}

fn play(choice: u8, pieces: Vec<Vec<u8>>) -> Outcome {
    let limits = Limits {
        max_file_size: (choice & 1 > 0).then_some(50),
        hosts: vec!["h".into()],
        ..Limits::default()
    };
    let mut end = HttpEnd::with(limits).with_file("here", b"HERE");
    let inbox = &mut end.wire.inbox;
    inbox.refused.insert("no".into(), RefusalCode::Exists.into());
    inbox.wants_identity = choice & 2 > 0;
    inbox.fault_at = (choice & FAULT > 0).then_some(20);
    inbox.renames = (choice & 8 > 0).then(|| "-1".into());
    inbox.commit_fails = (choice & 16 > 0).then(|| RefusalCode::Io.into());
    let has_head = pieces.concat().windows(4).any(|word| word == b"HEAD");
    let end = match choice & 32 > 0 {
        true => end.send_pieces(pieces),
        false => end.send_pieces_and_end(pieces),
    };
    let is_http = end.receivers > 0 && end.wire.sent.starts_with(b"HTTP/");
    let answers = (is_http && !has_head).then(|| {
        let answers = parse(&end.wire.sent, |_| false);
        // Whether a client is told to continue depends on whether its body is there already.
        let answers = answers.iter().filter(|answer| answer.status >= 200);
        answers.map(|answer| (one_of_heads(answer.status), answer.closes())).collect()
    });
    let ended = match end.end.expect("it waits, or has ended") {
        End::Closed(outcome) => Some(outcome.map_err(|refusal| one_of_refusals(refusal.code))),
        End::Idle => None,
    };
    Outcome { published: end.wire.inbox.published, answers, end: ended }
}

/// A status for all that a head may be refused with before it is understood.
pub(crate) fn one_of_heads(status: u16) -> u16 {
    if matches!(status, 431 | 501 | 505) { 400 } else { status }
}

/// A code for the same.
fn one_of_refusals(code: RefusalCode) -> RefusalCode {
    match code {
        RefusalCode::UnsupportedVersion | RefusalCode::TooLarge => RefusalCode::Malformed,
        code => code,
    }
}

/// Plays requests; the ends in memory check that each keeps to its part.
pub(crate) fn run(data: &[u8]) {
    let (choice, requests) = choice(data);
    if !requests.first().is_some_and(u8::is_ascii_uppercase) {
        return;
    }
    let whole = play(choice, vec![requests.to_vec()]);
    let stored: usize = whole.published.values().map(Vec::len).sum();
    assert!(stored <= b"HERE".len() + requests.len(), "{stored} bytes are stored");
    let cut = play(choice, pieces(requests));
    if choice & FAULT > 0 {
        // A fault is met early or late: whether all of a body was read then decides whether the connection goes on.
        assert_eq!(cut.published, whole.published);
    } else {
        assert_eq!(cut, whole);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let form = "--b\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\ntext\r\n\
                --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f1\"\r\n\r\none\r\n--\r\n-b\r\n\
                --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"no\"\r\n\r\nrefused\r\n\
                --b\r\nContent-Disposition: form-data; filename*=UTF-8''%C3%BC\r\n\r\n\r\n--b--\r\n";
    let of_form = |fields: &str| {
        let length = form.len();
        format!(
            "POST /dir/ HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {length}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n\r\n{form}"
        )
    };
    let chunked_form = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        100,
        &form[..100],
        form.len() - 100,
        &form[100..],
    );
    let two = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
               GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
    let requests: [(u8, String); 16] = [
        (0, two.into()),
        (32, two.into()),
        (0, "PUT /here HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhere".into()),
        (
            0,
            "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n\
             3;a=\"b\"\r\nabc\r\n0012\r\n0123456789\r\n012345\r\n0\r\nX: y\r\nZ: z\r\n\r\n"
                .into(),
        ),
        (32, "OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".into()),
        (
            2,
            format!(
                "PUT /known HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\
                 Accept: application/json\r\nContent-Length: 1\r\n\r\nx"
            ),
        ),
        (8, of_form("Origin: http://h\r\n")),
        (32 | 16, of_form("")),
        (4, of_form("Accept: application/json\r\n")),
        (0, chunked_form),
        (1, "PUT /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n".into()),
        (0, "PUT /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhello".into()),
        (
            0,
            "PUT /bad HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                .into(),
        ),
        (0, "PUT /old HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n".into()),
        (
            0,
            "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n\
             Access-Control-Request-Method: PUT\r\n\r\n"
                .into(),
        ),
        (0, "PUT http://[::1]:80/%C3%BC/b?c HTTP/1.1\r\nHost: [::1]:80\r\n\r\n".into()),
    ];
    requests.map(|(choice, text)| [&[choice], text.as_bytes()].concat()).to_vec()
}
