//! A client of HTTP/1.1 that sends what a test tells it to, also what no client would, and reads answers strictly.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{Connection, Server};

/// Longest head of an answer that is read. Bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// An answer of a server, also one that comes before the final one.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The fields of its head, as they came.
    pub fields: Vec<(String, String)>,
    /// What it brings.
    pub body: Vec<u8>,
    /// Answers with 1xx that came before it.
    pub interim: Vec<Answer>,
}

impl Answer {
    /// The value of a field that is there once at most.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(one, _)| one.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there more than once: {self:?}");
        value
    }

    /// The value of a field that has to be there.
    #[track_caller]
    pub fn need(&self, name: &str) -> &str {
        self.field(name).unwrap_or_else(|| panic!("no field {name}: {self:?}"))
    }

    /// A field that is a number, and has to be there.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        let value = self.need(name);
        value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {self:?}"))
    }

    /// What it brings, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What it brings, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The status codes of the answers before it.
    pub fn interim_statuses(&self) -> Vec<u16> {
        self.interim.iter().map(|answer| answer.status).collect()
    }

    /// The path of the URL that it tells. `target`: that of the request, which the URL may be relative to.
    #[track_caller]
    pub fn location(&self, target: &str) -> String {
        let location = self.need("location");
        if let Some((_, rest)) = location.split_once("://") {
            return rest[rest.find('/').expect("a URL with a path")..].to_owned();
        }
        match target.rfind('/') {
            Some(at) if !location.starts_with('/') => format!("{}/{location}", &target[..at]),
            _ => location.to_owned(),
        }
    }

    /// Checks that it refuses with this status and this code, in the words for people.
    #[track_caller]
    pub fn expect_refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?} {}", self.text());
        let text = self.text();
        assert!(text.starts_with(&format!("refused: {code}")), "{text}");
    }
}

/// A client with one connection.
#[derive(Debug)]
pub struct Http {
    connection: Connection,
    host: String,
    /// What came and belongs to later answers.
    ahead: Vec<u8>,
}

impl Http {
    /// Connects to the first address of a server.
    #[track_caller]
    pub fn open(server: &Server) -> Self {
        Self::to(server.address())
    }

    /// Connects to an address; `unix:/path` too.
    #[track_caller]
    pub fn to(address: &str) -> Self {
        let host = if address.starts_with("unix:") { "localhost" } else { address };
        Self { connection: Connection::to(address), host: host.to_owned(), ahead: Vec::new() }
    }

    /// The head of a request, with `Host`, unless `fields` has one.
    pub fn head(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let _ = write!(head, "Host: {}\r\n", self.host);
        }
        for (name, value) in fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// Sends bytes.
    #[track_caller]
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.say(bytes);
    }

    /// Sends bytes to a server that may have ended the connection. Whether it took them.
    pub fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.connection.try_say(bytes)
    }

    /// Sends the head of a request.
    #[track_caller]
    pub fn say_head(&mut self, method: &str, target: &str, fields: &[(&str, &str)]) {
        let head = self.head(method, target, fields);
        self.say(head);
    }

    /// Sends a request with a body, of which the head says how long it is; the answer.
    #[track_caller]
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend(fields);
        self.say_head(method, target, &all);
        self.say(body);
        self.answer()
    }

    /// Sends a request without a body; the answer.
    #[track_caller]
    pub fn ask(&mut self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.say_head(method, target, fields);
        if method == "HEAD" { self.answer_to_head() } else { self.answer() }
    }

    /// Reads an answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.answer_to_head();
        if !matches!(answer.status, 204 | 304) {
            let length = answer.number("content-length") as usize;
            self.read_to(length);
            answer.body = self.ahead.drain(..length).collect();
        }
        answer
    }

    /// Reads an answer that has no body.
    #[track_caller]
    pub fn answer_to_head(&mut self) -> Answer {
        let mut interim = Vec::new();
        loop {
            let answer = self.any_answer();
            if answer.status >= 200 {
                return Answer { interim, ..answer };
            }
            interim.push(answer);
        }
    }

    /// Reads the head of an answer, also of one that is not final.
    #[track_caller]
    pub fn any_answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            assert!(self.ahead.len() < HEAD_BYTES_MAX, "the head of the answer has no end");
            self.read_to(self.ahead.len() + 1);
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).take(end).collect();
        let head = String::from_utf8(head).expect("the head of an answer is text");
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {first:?}"));
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            (name.to_owned(), value.to_owned())
        });
        Answer { status, fields: fields.collect(), body: Vec::new(), interim: Vec::new() }
    }

    /// Checks that the server ends the connection and says nothing more.
    #[track_caller]
    pub fn expect_end(mut self) {
        self.ahead.extend(self.connection.hear_all());
        assert_eq!(String::from_utf8_lossy(&self.ahead), "", "more than was expected");
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        self.connection.finish();
    }

    /// Cuts the connection with a reset.
    pub fn reset(self) {
        self.connection.reset();
    }

    #[track_caller]
    fn read_to(&mut self, count: usize) {
        while self.ahead.len() < count {
            let some = self.connection.hear_some(64 * 1024);
            let so_far = String::from_utf8_lossy(&self.ahead);
            assert!(!some.is_empty(), "the server has closed within its answer: {so_far:?}");
            self.ahead.extend_from_slice(&some);
        }
    }
}

/// A body in chunks of these sizes, in a circle, with its end.
pub fn chunked(content: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut body = Vec::new();
    let (mut rest, mut sizes) = (content, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| (*size).min(rest.len()));
        body.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        body.extend_from_slice(&rest[..size]);
        body.extend_from_slice(b"\r\n");
        rest = &rest[size..];
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

/// The boundary of [`form`].
pub const BOUNDARY: &str = "----boundary7";

/// The media type of [`form`].
pub const FORM: &str = "multipart/form-data; boundary=----boundary7";

/// A form with these files.
pub fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}
