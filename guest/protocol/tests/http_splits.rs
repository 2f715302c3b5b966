//! However the network cuts requests into segments, and however many come at once, the result is the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use std::collections::BTreeMap;

use http_answers::Answered;
use http_end::{End, HttpEnd, TOKEN, cut};
use proptest::collection::vec;
use proptest::prelude::*;
use sandport_protocol::{Limits, Refusal, RefusalCode};

/// What a connection came to, as far as it must not depend on segments.
#[derive(Debug, PartialEq)]
struct Outcome {
    published: BTreeMap<String, Vec<u8>>,
    /// The final answers.
    answers: Vec<Answered>,
    end: Option<End>,
    discarded: Vec<Option<Refusal>>,
}

fn server() -> HttpEnd {
    let limits = Limits { max_file_size: Some(500), hosts: vec!["h".into()], ..Limits::default() };
    let mut end = HttpEnd::with(limits).with_file("here", b"HERE");
    end.wire.inbox.refused.insert("no".into(), RefusalCode::Exists.into());
    end
}

fn play(pieces: Vec<Vec<u8>>, ends: bool) -> Outcome {
    let end = match ends {
        true => server().send_pieces_and_end(pieces),
        false => server().send_pieces(pieces),
    };
    let answers = http_answers::parse(&end.wire.sent, |_| false);
    // Whether a client is told to continue depends on whether its body is there already.
    let answers = answers.into_iter().filter(|answer| answer.status >= 200).collect();
    Outcome {
        published: end.wire.inbox.published,
        answers,
        end: end.end,
        discarded: end.wire.inbox.discarded,
    }
}

/// Requests that between them use every kind of framing and end without ending the connection.
fn requests() -> Vec<Vec<u8>> {
    let form = "--b\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\ntext\r\n\
                --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f1\"\r\n\r\none\r\n--\r\n-b\r\n\
                --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"no\"\r\n\r\nrefused\r\n\
                --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f2\"\r\n\r\n\r\n--b--\r\n";
    let texts = [
        "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "PUT /here HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhere".to_owned(),
        "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n\
         3;a=\"b\"\r\nabc\r\n0012\r\n0123456789\r\n012345\r\n0\r\nX: y\r\nZ: z\r\n\r\n"
            .to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "PUT /empty HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!(
            "PUT /known HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\
             Accept: application/json\r\nContent-Length: 1\r\n\r\nx"
        ),
        "DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        format!(
            "POST /dir HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\nContent-Length: {}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n\r\n{form}",
            form.len()
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            100,
            &form[..100],
            form.len() - 100,
            &form[100..],
        ),
    ];
    texts.map(String::into_bytes).to_vec()
}

/// Requests whose answer ends the connection, and what follows them.
fn last_requests() -> Vec<Vec<u8>> {
    let texts = [
        "PUT /no HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
        "PUT /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhello",
        "PUT /bad HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "PUT /bad HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /bad HTTP/1.1\r\nHost: h\r\nX: a\nb\r\n\r\n",
        "PUT /old HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\nContent-Type: multipart/form-data; \
         boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; filename=\"x\"\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHos",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

#[test]
fn a_request_may_be_split_at_each_byte() {
    for request in requests() {
        let whole = play(vec![request.clone()], false);
        assert_eq!(whole.answers.len(), 1);
        assert_eq!(whole.end, Some(End::Idle));
        for place in 1..request.len() {
            let split = play(cut(&request, &[place]), false);
            let text = String::from_utf8_lossy(&request[..place]).into_owned();
            assert_eq!(split, whole, "split at {place}, after {text:?}");
        }
        let bytes = request.iter().map(|&byte| vec![byte]).collect();
        assert_eq!(play(bytes, false), whole, "one byte per segment");
    }
}

#[test]
fn a_request_that_ends_the_connection_may_be_split_at_each_byte() {
    for request in last_requests() {
        let whole = play(vec![request.clone()], true);
        for place in 1..request.len() {
            let split = play(cut(&request, &[place]), true);
            let text = String::from_utf8_lossy(&request[..place]).into_owned();
            assert_eq!(split.published, whole.published, "split at {place}, after {text:?}");
            assert_eq!(split.answers, whole.answers, "split at {place}, after {text:?}");
            assert_eq!(split.end, whole.end, "split at {place}, after {text:?}");
        }
    }
}

#[test]
fn requests_that_are_glued_together_are_the_same_requests() {
    let requests = requests();
    let glued = play(vec![requests.concat()], false);
    let one_by_one = play(requests.clone(), false);
    assert_eq!(glued, one_by_one);
    assert_eq!(glued.answers.len(), requests.len());
    for last in last_requests() {
        let all = [requests.concat(), last.clone()].concat();
        let glued = play(vec![all], true);
        let apart = play([requests.clone(), vec![last]].concat(), true);
        assert_eq!(glued.published, apart.published);
        assert_eq!(glued.answers, apart.answers);
        assert_eq!(glued.end, apart.end);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_requests_may_be_split_anyhow(
        chosen in vec(0..10_usize, 1..6),
        last in proptest::option::of(0..10_usize),
        places in vec(any::<usize>(), 0..60),
    ) {
        let (requests, lasts) = (requests(), last_requests());
        let mut all: Vec<Vec<u8>> = chosen.iter().map(|&at| requests[at].clone()).collect();
        all.extend(last.map(|at| lasts[at].clone()));
        let whole = play(vec![all.concat()], last.is_some());
        let split = play(cut(&all.concat(), &places), last.is_some());
        prop_assert_eq!(&split.published, &whole.published);
        prop_assert_eq!(&split.answers, &whole.answers);
        prop_assert_eq!(&split.end, &whole.end);
    }

    /// Whatever is in it and however it is framed, a file is stored as it was sent.
    #[test]
    fn any_content_is_stored_as_it_was_sent(
        content in vec(any::<u8>(), 0..400),
        ends in vec(any::<usize>(), 0..8),
        places in vec(any::<usize>(), 0..40),
        framing in 0..3_u8,
    ) {
        let mut request = match framing {
            0 => format!("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", content.len()),
            1 => "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            _ => "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Type: \
                  multipart/form-data; boundary=bound\r\n\r\n".into(),
        }.into_bytes();
        let mut payload = content.clone();
        if framing == 2 {
            payload = [
                b"--bound\r\nContent-Disposition: form-data; filename=\"x\"\r\n\r\n".as_slice(),
                &content,
                b"\r\n--bound--\r\n",
            ].concat();
        }
        if framing == 0 {
            request.extend(&payload);
        } else {
            for chunk in cut(&payload, &ends).into_iter().filter(|chunk| !chunk.is_empty()) {
                request.extend(format!("{:X}\r\n", chunk.len()).bytes());
                request.extend(&chunk);
                request.extend(b"\r\n");
            }
            request.extend(b"0\r\n\r\n");
        }
        // So unlikely that it need not be avoided.
        prop_assume!(!content.windows(9).any(|window| window == b"\r\n--bound"));
        let outcome = play(cut(&request, &places), false);
        prop_assert_eq!(outcome.published.get("x"), Some(&content));
        prop_assert_eq!(outcome.end, Some(End::Idle));
    }
}
