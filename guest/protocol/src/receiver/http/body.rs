//! The body of a request as its framing has it: pieces of payload, then the end (RFC 9112, sections 6 and 7).

use bytes::{Buf, Bytes};

use super::fields::Fields;
use super::head::{HEAD_BYTES_MAX, parse_trailers};
use super::problem::Problem;
use super::request::Content;
use crate::{HEADER_READ_BYTES_MAX, LARGE_DATA_BYTES, READ_BYTES_MAX, RefusalCode};

/// Longest line before a chunk, with its extensions. Bytes. No client sends any.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Most hexadecimal digits of the size of a chunk: 2^64 - 1 has 16.
const CHUNK_DIGITS_MAX: usize = 16;

/// Where the body stands.
#[derive(Debug)]
pub(super) struct Body {
    stage: Stage,
    /// How many bytes the framing before the last chunk had, and how many its payload: the next one is as long, most
    /// often. Where chunks are large it is read by itself, so that what follows it is spliced.
    last_line_bytes: usize,
    last_chunk_bytes: u64,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes of payload are left, and then the body ends.
    Payload(u64),
    /// The size of a chunk comes, after the line end of the chunk before if there was one.
    Size { is_first: bool },
    /// So many bytes are left of a chunk.
    Chunk(u64),
    /// The trailers come.
    Trailers,
    /// The body was whole.
    End,
}

/// What the body has next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// So many bytes of payload are to be taken: [`Body::take`].
    Payload(u64),
    /// More bytes are needed to tell.
    More,
    /// The body is whole, with these trailers.
    End(Fields),
}

impl Body {
    pub(super) fn new(content: Content) -> Self {
        let stage = match content {
            Content::None => Stage::Payload(0),
            Content::Length(length) => Stage::Payload(length),
            Content::Chunked => Stage::Size { is_first: true },
        };
        Self { stage, last_line_bytes: 0, last_chunk_bytes: 0 }
    }

    /// Parses framing at the beginning of `input` and takes it off.
    ///
    /// # Errors
    /// The answer to framing that is broken.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Next, Problem> {
        loop {
            match self.stage {
                Stage::Payload(0) => {
                    self.stage = Stage::End;
                    return Ok(Next::End(Fields::default()));
                }
                Stage::Payload(left) | Stage::Chunk(left) => return Ok(Next::Payload(left)),
                Stage::Size { is_first } => {
                    let Some((size, length)) = chunk_size(input, is_first)? else {
                        return Ok(Next::More);
                    };
                    input.advance(length);
                    self.last_line_bytes = length;
                    self.last_chunk_bytes = size;
                    self.stage = if size == 0 { Stage::Trailers } else { Stage::Chunk(size) };
                }
                Stage::Trailers => {
                    let Some((fields, length)) = parse_trailers(input)? else {
                        return Ok(Next::More);
                    };
                    input.advance(length);
                    self.stage = Stage::End;
                    return Ok(Next::End(fields));
                }
                Stage::End => return Ok(Next::End(Fields::default())),
            }
        }
    }

    /// So much of the payload was taken.
    pub(super) fn take(&mut self, count: u64) {
        match &mut self.stage {
            Stage::Payload(left) => *left = left.saturating_sub(count),
            Stage::Chunk(left) => {
                *left = left.saturating_sub(count);
                if *left == 0 {
                    self.stage = Stage::Size { is_first: false };
                }
            }
            Stage::Size { .. } | Stage::Trailers | Stage::End => {}
        }
    }

    /// How much payload is sure to come next.
    pub(super) fn payload(&self) -> u64 {
        match self.stage {
            Stage::Payload(left) | Stage::Chunk(left) => left,
            Stage::Size { .. } | Stage::Trailers | Stage::End => 0,
        }
    }

    /// Whether nothing more of the body comes.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Payload(0) | Stage::End)
    }

    /// Most bytes to read while `next` needs more, of which `unparsed` are there.
    pub(super) fn read_bytes_max(&self, unparsed: usize) -> usize {
        if matches!(self.stage, Stage::Size { .. }) && self.last_chunk_bytes >= LARGE_DATA_BYTES / 4
        {
            let missing = self.last_line_bytes.saturating_sub(unparsed);
            return if missing > 0 { missing } else { HEADER_READ_BYTES_MAX };
        }
        READ_BYTES_MAX.saturating_sub(unparsed).max(1)
    }
}

/// The size of the chunk that begins here, and the length of what is before its payload. `None`: more is needed.
fn chunk_size(input: &[u8], is_first: bool) -> Result<Option<(u64, usize)>, Problem> {
    let before = if is_first { 0 } else { 2 };
    if !is_first && !input.is_empty() && !b"\r\n".starts_with(&input[..input.len().min(2)]) {
        return Err(malformed("a chunk does not end where its size says"));
    }
    let Some(line) = input.get(before..) else { return Ok(None) };
    let window = &line[..line.len().min(CHUNK_LINE_BYTES_MAX)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
        return match window.len() == CHUNK_LINE_BYTES_MAX {
            true => Err(malformed("the line before a chunk is too long")),
            false => check_digits(window).map(|()| None),
        };
    };
    match (window[end], line.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) => return Ok(None),
        _ => return Err(malformed("the line before a chunk does not end in CR LF")),
    }
    let line = &window[..end];
    check_digits(line)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 {
        return Err(malformed("a chunk has no size"));
    }
    let size = line[..digits].iter().fold(0_u64, |size, digit| {
        let digit = (*digit as char).to_digit(16).unwrap_or_default();
        size << 4 | u64::from(digit)
    });
    Ok(Some((size, before + end + 2)))
}

/// Digits, and then nothing or extensions, which mean nothing here.
fn check_digits(line: &[u8]) -> Result<(), Problem> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > CHUNK_DIGITS_MAX {
        return Err(malformed("the size of a chunk is too large"));
    }
    let extensions = &line[digits..];
    let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if extensions.first().is_some_and(|&byte| digits == 0 || byte != b';')
        || !extensions.iter().all(is_text)
    {
        return Err(malformed("the size of a chunk is not a number"));
    }
    Ok(())
}

fn malformed(detail: &str) -> Problem {
    Problem::new(400, RefusalCode::Malformed, detail)
}

// The longest framing fits into what is read of it at once.
const _: () = assert!(HEAD_BYTES_MAX <= READ_BYTES_MAX && CHUNK_LINE_BYTES_MAX <= READ_BYTES_MAX);
