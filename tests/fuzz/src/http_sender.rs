//! What servers of HTTP answer to a sender.

use sandport_protocol::sender::http::{
    Content, Discovered, Discovery, HttpAnswer, HttpEvent, HttpStep, HttpUpload, HttpUrl, KeptUrl,
    Offered, Outcome, Request,
};

use crate::cutting::choice;

/// Most answers of one input.
const ANSWERS_MAX: usize = 40;

/// How much there is of the file. Bytes: more than is sent in the request that begins an upload.
const SIZE: u64 = 3 * 1024 * 1024;

pub(crate) const WORDS: &[&[u8]] = &[
    b"\0",
    b"200\n",
    b"201\n",
    b"204\n",
    b"307\n",
    b"409\n",
    b"503\n",
    b"location: /files/a\n",
    b"location: http://elsewhere/a\n",
    b"upload-offset: 0\n",
    b"upload-offset: 3145728\n",
    b"upload-complete: ?0\n",
    b"upload-complete: ?1\n",
    b"tus-resumable: 1.0.0\n",
    b"tus-version: 1.0.0\n",
    b"tus-extension: creation,creation-with-upload,termination\n",
    b"accept-patch: application/partial-upload\n",
    b"upload-limit: max-size=100, max-append-size=5\n",
    b"retry-after: 18446744073709551615\n",
    b"content-type: application/json\n",
    b"content-type: application/problem+json\n",
    b"repr-digest: sha-256=:AAAA:\n",
    b"\n{\"result\":\"stored\",\"name\":\"a\",\"size\":5}",
];

/// Answers, each as lines: the status, fields, an empty line, and the content. A zero byte is between two.
fn answers(data: &[u8]) -> Vec<HttpAnswer> {
    let answer = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, content) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(500);
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        HttpAnswer { status, fields: fields.collect(), content: content.as_bytes().to_vec() }
    };
    data.split(|byte| *byte == 0).take(ANSWERS_MAX).map(answer).collect()
}

/// What is sent is one request, to this server, of bytes that there are.
fn check(request: &Request) {
    assert!(request.target.starts_with('/'), "{:?}", request.target);
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_plain(&request.target), "{:?}", request.target);
    for (name, value) in &request.fields {
        assert!(!value.bytes().any(|byte| byte.is_ascii_control()), "{name}: {value:?}");
    }
    if let Content::Part { offset, length } = request.content {
        assert!(offset.checked_add(length).is_some_and(|end| end <= SIZE), "{offset} {length}");
    }
}

pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let answers = answers(rest);
    let mut answers = answers.iter();
    let url: HttpUrl = "http://files.example/dir/".parse().unwrap();
    let mut discovery = Discovery::new(&url);
    let server = loop {
        check(&discovery.request());
        let Some(answer) = answers.next() else { return };
        match discovery.handle_answer(answer) {
            Discovered::Server(server) => break server,
            Discovered::Refused(_) => return,
            _ => {}
        }
    };
    let is_stream = choice & 1 > 0;
    let offered = Offered {
        name: Some("a b/ü".into()),
        size: (!is_stream).then_some(if choice & 2 > 0 { 10 } else { SIZE }),
        modified_ns: Some(-1),
    };
    let kept =
        (choice & 4 > 0).then(|| KeptUrl { url: "/files/old".into(), changed: choice & 8 > 0 });
    let mut upload = HttpUpload::new(&server, &url, offered, kept);
    let (mut safe, mut last, mut is_cut, mut brought) = (0, None, choice & 16 > 0, 0);
    // Each step but the last waits for an answer, for more of a stream, or for time to pass.
    for _ in 0..4 * ANSWERS_MAX {
        match upload.poll_step() {
            HttpStep::Send(request) => {
                check(&request);
                if std::mem::take(&mut is_cut) {
                    upload.handle_cut();
                    continue;
                }
                let Some(answer) = answers.next() else { break };
                last = Some((request, answer.status));
                upload.handle_answer(answer);
            }
            HttpStep::Fetch => {
                brought += SIZE / 2;
                upload.handle_content(0..brought.min(SIZE), brought >= SIZE);
            }
            HttpStep::Over(outcome) => {
                if let Outcome::Stored(said) = outcome {
                    let (request, _) = last.as_ref().expect("an answer");
                    let is_small = said.digests.iter().all(|digest| digest.value.len() <= 64);
                    assert!(is_small, "a digest of any length");
                    assert!(request.method.as_str() != "DELETE", "stored by what ends it");
                }
                assert!(
                    matches!(upload.poll_step(), HttpStep::Over(_)),
                    "it goes on after its end"
                );
                break;
            }
            _ => {}
        }
        while let Some(event) = upload.poll_event() {
            match event {
                HttpEvent::Safe { bytes } => {
                    assert!(bytes > safe && bytes <= SIZE, "{bytes} bytes are safe after {safe}");
                    safe = bytes;
                }
                HttpEvent::Begun { url } => assert!(url.starts_with('/'), "{url:?}"),
                HttpEvent::Resumed { kept } => assert!(kept <= SIZE),
                _ => {}
            }
        }
    }
    if let Some(request) = upload.cancel() {
        check(&request);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let tus = "204\ntus-version: 1.0.0\ntus-extension: creation,creation-with-upload,termination,\
               creation-defer-length\ntus-max-size: 1000000000\n";
    let ietf = "204\naccept-patch: application/partial-upload\nupload-limit: max-size=1000000000\n";
    let conversations: [(u8, Vec<&str>); 8] = [
        (0, vec![tus, "201\nlocation: /files/a\n", "204\nupload-offset: 3145728\n"]),
        (2, vec![tus, "201\nlocation: http://files.example/files/a\nupload-offset: 10\n"]),
        (
            1,
            vec![
                tus,
                "201\nlocation: a\n",
                "204\nupload-offset: 1572864\n",
                "204\nupload-offset: 3145728\n",
            ],
        ),
        (4, vec![tus, "404\n", "201\nlocation: /b\n", "409\n", "200\nupload-offset: 5\n"]),
        (
            0,
            vec![
                ietf,
                "201\nlocation: /files/a\nupload-complete: ?0\n",
                "201\nupload-complete: ?1\ncontent-type: application/json\n\n\
                 {\"result\":\"stored\",\"name\":\"a\",\"size\":3145728,\"digest\":\"blake3:00\"}",
            ],
        ),
        (
            16,
            vec![
                ietf,
                "201\nlocation: /a\n",
                "503\nretry-after: 5\n",
                "204\nupload-offset: 7\nupload-complete: ?0\n",
            ],
        ),
        (2, vec!["405\n", "307\nlocation: /other/\n", "201\nrepr-digest: sha-256=:AAAA:\n"]),
        (12, vec!["307\nlocation: http://elsewhere/\n"]),
    ];
    let text = |(choice, answers): (u8, Vec<&str>)| {
        [vec![choice], answers.join("\0").into_bytes()].concat()
    };
    conversations.into_iter().map(text).collect()
}
