//! The parts of a form (RFC 7578, RFC 2046), found in a stream as it comes.
//!
//! A delimiter is searched for in whole blocks, and payload is given on as it came: of a block that ends within what
//! may be a delimiter only those few bytes are kept.

use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use memchr::memmem::Finder;

use super::fields::Fields;
use super::head::parse_trailers;
use super::parameters::Parameterised;
use crate::{Refusal, RefusalCode};

/// Longest boundary (RFC 2046, section 5.1.1). Bytes.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Most bytes before the first delimiter, which mean nothing. No client sends any.
const PREAMBLE_BYTES_MAX: u64 = 4 * 1024;

/// Most spaces and tabs between a delimiter and its line end.
const PADDING_BYTES_MAX: usize = 64;

/// Finds parts in the body of a form.
#[derive(Debug)]
pub(in crate::receiver::http) struct Scanner {
    /// `CR LF -- boundary`.
    delimiter: Finder<'static>,
    /// What is not parsed yet.
    input: Bytes,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes came before the first delimiter.
    Preamble(u64),
    /// What a delimiter begins with was found, behind a part or before the first one. What follows it tells whether it
    /// is one, and whether it is the last.
    Delimiter { ends_part: bool },
    /// The fields of a part come.
    Head,
    /// The payload of a part comes.
    Payload,
    /// What follows the last delimiter means nothing.
    Epilogue,
}

/// What comes next in a form.
#[derive(Debug, PartialEq)]
pub(in crate::receiver::http) enum Piece {
    /// A part begins, with these fields.
    Part(Fields),
    /// Payload of the part. Never empty.
    Payload(Bytes),
    /// The part is whole.
    PartEnd,
    /// More bytes are needed.
    More,
}

impl Scanner {
    /// For the body of a request with this `Content-Type`.
    ///
    /// # Errors
    /// `malformed`: it names no boundary, or none that can be one.
    pub(super) fn new(content_type: &str) -> Result<Self, Refusal> {
        let content_type = Parameterised::parse(content_type)?;
        let boundary = content_type.get("boundary").unwrap_or_default();
        let is_boundary = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
            && boundary.bytes().all(may_be_in_boundary)
            && !boundary.ends_with(' ');
        if !is_boundary {
            return Err(malformed("the form has no boundary, or one that cannot be one"));
        }
        let delimiter: Vec<u8> = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Self {
            delimiter: Finder::new(&delimiter).into_owned(),
            // The first delimiter may stand at the very beginning.
            input: Bytes::from_static(b"\r\n"),
            stage: Stage::Preamble(0),
        })
    }

    /// Takes more of the body.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.input = match self.input.is_empty() {
            true => bytes,
            false => [self.input.as_ref(), bytes.as_ref()].concat().into(),
        };
    }

    /// Whether the last delimiter came.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Epilogue)
    }

    /// What comes next.
    ///
    /// # Errors
    /// `malformed`: it is not a form.
    pub(super) fn next(&mut self) -> Result<Piece, Refusal> {
        loop {
            match &mut self.stage {
                Stage::Preamble(skipped) => {
                    let (free, found) = free(&self.delimiter, &self.input);
                    *skipped += free as u64;
                    if *skipped > PREAMBLE_BYTES_MAX {
                        return Err(malformed("the form does not begin with its boundary"));
                    }
                    self.input.advance(free);
                    if !found {
                        return Ok(Piece::More);
                    }
                    self.input.advance(self.delimiter.needle().len());
                    self.stage = Stage::Delimiter { ends_part: false };
                }
                Stage::Delimiter { ends_part } => {
                    let ends_part = *ends_part;
                    match delimiter_end(&self.input)? {
                        None => return Ok(Piece::More),
                        Some(DelimiterEnd::Last) => self.stage = Stage::Epilogue,
                        Some(DelimiterEnd::Line(length)) => {
                            self.input.advance(length);
                            self.stage = Stage::Head;
                        }
                    }
                    if ends_part {
                        return Ok(Piece::PartEnd);
                    }
                }
                Stage::Head => {
                    let parsed = parse_trailers(&self.input)
                        .map_err(|_| malformed("the fields of a part do not parse"))?;
                    let Some((fields, length)) = parsed else { return Ok(Piece::More) };
                    self.input.advance(length);
                    self.stage = Stage::Payload;
                    return Ok(Piece::Part(fields));
                }
                Stage::Payload => {
                    let (free, found) = free(&self.delimiter, &self.input);
                    if free > 0 {
                        return Ok(Piece::Payload(self.input.split_to(free)));
                    }
                    if !found {
                        return Ok(Piece::More);
                    }
                    self.input.advance(self.delimiter.needle().len());
                    self.stage = Stage::Delimiter { ends_part: true };
                }
                Stage::Epilogue => {
                    self.input.clear();
                    return Ok(Piece::More);
                }
            }
        }
    }
}

/// What ends a delimiter.
enum DelimiterEnd {
    /// It was the last one.
    Last,
    /// A line end so many bytes long, and a part follows.
    Line(usize),
}

/// `None`: more bytes are needed.
fn delimiter_end(input: &[u8]) -> Result<Option<DelimiterEnd>, Refusal> {
    if input.starts_with(b"--") {
        return Ok(Some(DelimiterEnd::Last));
    }
    let padding = input.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &input[padding..] {
        _ if padding > PADDING_BYTES_MAX => {}
        [b'\r', b'\n', ..] => return Ok(Some(DelimiterEnd::Line(padding + 2))),
        [] | [b'\r'] => return Ok(None),
        [b'-'] if padding == 0 => return Ok(None),
        _ => {}
    }
    Err(malformed("something follows the boundary of the form in its line"))
}

/// How many bytes come before a delimiter, and whether there is one after them. Where there is none, they are those
/// that no delimiter can begin in.
fn free(delimiter: &Finder<'_>, input: &[u8]) -> (usize, bool) {
    if let Some(at) = delimiter.find(input) {
        return (at, true);
    }
    let needle = delimiter.needle();
    // A carriage return begins a delimiter and is nowhere else in it, so only the last one of them counts.
    let from = input.len().saturating_sub(needle.len() - 1);
    match memchr::memrchr(b'\r', &input[from..]) {
        Some(at) if needle.starts_with(&input[from + at..]) => (from + at, false),
        _ => (input.len(), false),
    }
}

/// `bchars` of RFC 2046.
fn may_be_in_boundary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte)
}

fn malformed(detail: &str) -> Refusal {
    Refusal::new(RefusalCode::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::{format, vec};

    /// The parts of a form that comes in pieces of this length: the names of their first fields, and their payload.
    fn parts(body: &[u8], piece: usize) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        let mut scanner = Scanner::new("multipart/form-data; boundary=xYz")?;
        let mut parts: Vec<(String, Vec<u8>)> = vec![];
        let mut open = false;
        for piece in body.chunks(piece) {
            scanner.push(Bytes::copy_from_slice(piece));
            loop {
                match scanner.next()? {
                    Piece::Part(fields) => {
                        assert!(!core::mem::replace(&mut open, true));
                        parts.push((fields.get("a").unwrap_or_default().to_string(), vec![]));
                    }
                    Piece::Payload(bytes) => {
                        assert!(open && !bytes.is_empty());
                        parts.last_mut().ok_or_else(|| malformed("no part"))?.1.extend(&bytes);
                    }
                    Piece::PartEnd => assert!(core::mem::replace(&mut open, false)),
                    Piece::More => break,
                }
            }
        }
        match scanner.is_over() {
            true => Ok(parts),
            false => Err(malformed("it has no end")),
        }
    }

    #[test]
    fn parts_are_the_same_however_the_body_is_cut() {
        let tricky = b"\r\n--xY\r\n--xy\r\r\n--\r\n-\n--xYz";
        let body = [
            b"preamble\r\n--xYz \t\r\na: 1\r\n\r\n".as_slice(),
            tricky,
            b"\r\n--xYz\r\na: 2\r\nb: c\r\n\r\n\r\n--xYz\r\n\r\nno fields\r\n--xYz--epilogue\r\n--xYz\r\n",
        ]
        .concat();
        let expected = vec![
            (String::from("1"), tricky.to_vec()),
            (String::from("2"), vec![]),
            (String::new(), b"no fields".to_vec()),
        ];
        for piece in 1..=body.len() {
            assert_eq!(parts(&body, piece), Ok(expected.clone()), "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let long = format!("{}--xYz--", "x".repeat(PREAMBLE_BYTES_MAX as usize + 1));
        for body in [
            "",
            "--xYz",
            "--xYz\r\n",
            "--xYz\r\na: 1\r\n\r\nno end",
            "--xYzz\r\na: 1\r\n\r\n\r\n--xYz--",
            "--xYz\na: 1\n\n\n--xYz--",
            "--xYz\r\na 1\r\n\r\n\r\n--xYz--",
            long.as_str(),
        ] {
            for piece in [1, 7, 100_000] {
                assert!(parts(body.as_bytes(), piece).is_err(), "{body}");
            }
        }
    }

    #[test]
    fn a_boundary_has_the_form_that_one_may_have() {
        let longest = "b".repeat(BOUNDARY_BYTES_MAX);
        for good in ["a", "\"a b\"", "\"----=_Part (1)\"", &longest] {
            let content_type = format!("multipart/form-data; boundary={good}");
            assert!(Scanner::new(&content_type).is_ok(), "{good}");
        }
        let too_long = "b".repeat(BOUNDARY_BYTES_MAX + 1);
        for bad in ["", "\"\"", "\"a \"", "a{b", "\"a", "a; boundary=b", "ü", &too_long] {
            let content_type = format!("multipart/form-data; boundary={bad}");
            assert!(Scanner::new(&content_type).is_err(), "{bad}");
        }
        assert!(Scanner::new("multipart/form-data").is_err());
    }
}
