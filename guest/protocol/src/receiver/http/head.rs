//! The head of a request: request line and fields (RFC 9112), and all that makes one refused whose framing another
//! program on the way could take for something else.

use alloc::format;
use alloc::string::String;

use super::fields::Fields;
use super::problem::Problem;
use super::request::{Content, Version};
use crate::RefusalCode;

/// Longest head. Bytes. The tokens and cookies that proxies add fit; four times what clients of uploads send.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most fields in a head, and most in trailers.
const FIELDS_MAX: usize = 64;

/// Most digits of a `Content-Length`: 2^64 has 20.
const LENGTH_DIGITS_MAX: usize = 20;

/// What was parsed of a head. What it means is not known yet.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) version: Version,
    pub(super) fields: Fields,
}

/// Parses the head at the beginning of `input`. `None`: it is not whole yet. The number is its length.
///
/// # Errors
/// The answer to what is no head of HTTP/1.0 or HTTP/1.1, or too long.
pub(super) fn parse(input: &[u8]) -> Result<Option<(Head, usize)>, Problem> {
    // Some clients send a line end more than a body has, which may be ignored (RFC 9112, section 2.2).
    let before = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let window = &input[before..input.len().min(HEAD_BYTES_MAX)];
    if before > 0 && window.starts_with(b"\r") {
        return Err(malformed("empty lines come before the request"));
    }
    check_line_ends(window)?;
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(window) {
        Ok(httparse::Status::Complete(length)) => {
            let (Some(method), Some(target), Some(version)) =
                (request.method, request.path, request.version)
            else {
                return Err(malformed("the request line is not whole"));
            };
            let mut fields = Fields::default();
            for header in request.headers.iter() {
                fields.push(header.name, header.value);
            }
            let head = Head {
                method: String::from(method),
                target: String::from(target),
                version: if version == 0 { Version::Http10 } else { Version::Http11 },
                fields,
            };
            Ok(Some((head, before + length)))
        }
        Ok(httparse::Status::Partial) if input.len() >= HEAD_BYTES_MAX => Err(too_large()),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(too_large()),
        Err(httparse::Error::Version) => Err(wrong_version(window)),
        Err(error) => Err(malformed(&format!("the head of the request has an {error}"))),
    }
}

/// Parses trailers, which end in an empty line like a head. `None`: they are not whole yet.
///
/// # Errors
/// As of [`parse`].
pub(super) fn parse_trailers(input: &[u8]) -> Result<Option<(Fields, usize)>, Problem> {
    let window = &input[..input.len().min(HEAD_BYTES_MAX)];
    check_line_ends(window)?;
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    match httparse::parse_headers(window, &mut headers) {
        Ok(httparse::Status::Complete((length, headers))) => {
            let mut fields = Fields::default();
            for header in headers {
                fields.push(header.name, header.value);
            }
            Ok(Some((fields, length)))
        }
        Ok(httparse::Status::Partial) if input.len() >= HEAD_BYTES_MAX => Err(too_large()),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(too_large()),
        Err(error) => Err(malformed(&format!("the trailers have an {error}"))),
    }
}

/// How long the body is (RFC 9112, section 6.3).
///
/// # Errors
/// The answer to framing that two programs could understand in two ways. Nothing of the connection can be trusted
/// after it.
pub(super) fn content(version: Version, fields: &Fields) -> Result<Content, Problem> {
    let length = length(fields)?;
    let mut codings = fields.bytes("transfer-encoding");
    let Some(coding) = codings.next() else {
        return Ok(length.map_or(Content::None, Content::Length));
    };
    if version == Version::Http10 {
        return Err(malformed("a request of HTTP/1.0 has no Transfer-Encoding"));
    }
    if length.is_some() {
        return Err(malformed("the request has both a Content-Length and a Transfer-Encoding"));
    }
    if codings.next().is_some() {
        return Err(malformed("the field Transfer-Encoding is there more than once"));
    }
    if coding.eq_ignore_ascii_case(b"chunked") {
        return Ok(Content::Chunked);
    }
    let detail = "the Transfer-Encoding is another than chunked";
    Err(Problem::new(501, RefusalCode::Malformed, detail))
}

fn length(fields: &Fields) -> Result<Option<u64>, Problem> {
    let mut lengths = fields.bytes("content-length");
    let Some(length) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(malformed("the field Content-Length is there more than once"));
    }
    decimal(length).map(Some).ok_or_else(|| malformed("the Content-Length is not a number"))
}

/// A number in decimal digits and nothing else: no sign, no white space, no list, below 2^64.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Lines of a head end in CR LF, and neither is anywhere else. The parser would take a lone LF for a line end
/// (RFC 9112, section 2.2, allows it), and not every program on the way does.
fn check_line_ends(head: &[u8]) -> Result<(), Problem> {
    let mut from = 0;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', &head[from..]) {
        let at = from + at;
        match (head[at], head.get(at + 1)) {
            (b'\r', Some(b'\n')) => {}
            (b'\r', None) => return Ok(()),
            _ => return Err(malformed("the head of the request has a line end that is not CR LF")),
        }
        // What follows the empty line is no part of it.
        if head[at..].starts_with(b"\r\n\r\n") || at == 0 {
            return Ok(());
        }
        from = at + 2;
    }
    Ok(())
}

/// A request of another version of HTTP, or of none.
fn wrong_version(head: &[u8]) -> Problem {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    if words.nth(2).is_some_and(|version| version.starts_with(b"HTTP/")) && words.next().is_none() {
        let detail = "HTTP/1.1 and HTTP/1.0 are spoken here";
        return Problem::new(505, RefusalCode::UnsupportedVersion, detail);
    }
    malformed("the request line has no version of HTTP")
}

fn too_large() -> Problem {
    let detail =
        format!("the head of a request has {HEAD_BYTES_MAX} bytes and {FIELDS_MAX} fields at most");
    Problem::new(431, RefusalCode::TooLarge, detail)
}

fn malformed(detail: &str) -> Problem {
    Problem::new(400, RefusalCode::Malformed, detail)
}
