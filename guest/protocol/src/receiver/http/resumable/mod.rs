//! Resumable uploads of the IETF (draft-ietf-httpbis-resumable-upload), in every form that shipped clients speak.
//!
//! An upload is begun by any request with content that says whether that is all of it (`Upload-Complete`), to any
//! target, and is then a file as of a request without that field; but it has a URL below `/files/`, by which it goes
//! on when the request does not come through.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::answer::Answer;
use super::digests;
use super::exchange::put::modified_ns;
use super::fields::Fields;
use super::problem::Problem;
use super::request::{Content, Method, Request, Version};
use super::resource::{Append, Check, Creation, Ends, Goal, Notes, Speech};
use super::target::UploadTarget;
use crate::http::structured;
use crate::receiver::io::Io;
use crate::{Algorithm, ContentDigest, Limits, OFFERED_NAME_BYTES_MAX, RefusalCode};

mod interop;
mod limit;
mod problems;
mod speech;

use interop::Interop;
use speech::{NOTE_DIGEST, NOTE_FIELDS, NOTE_NUMBER, NOTE_OFFERED, NOTE_WANT};
pub(super) use speech::{Resumable, add_state};

/// The media type of what is appended.
pub(super) const MEDIA_TYPE: &str = "application/partial-upload";

/// Whether a request speaks of resumable uploads.
pub(super) fn speaks(request: &Request) -> bool {
    ["upload-complete", "upload-incomplete", "upload-draft-interop-version"]
        .iter()
        .any(|name| request.fields.has(name))
        || request.media_type() == MEDIA_TYPE
}

/// Whether a request, to what is no upload, is to begin one.
///
/// # Errors
/// The answer to a request that says, in a way that is not the one of its draft, that more comes: what it brings must
/// not be taken for all of the file.
pub(super) fn begins(request: &Request) -> Result<bool, Problem> {
    let fields = &request.fields;
    let interop = Interop::of(fields);
    if !matches!(request.method, Method::Post | Method::Put | Method::Patch) {
        return Ok(false);
    }
    // What goes on with an upload has come to the wrong place.
    if request.method == Method::Patch && fields.has("upload-offset") {
        return Ok(false);
    }
    match interop.completes(fields) {
        Some(_) => Ok(true),
        None if fields.has("upload-incomplete") => {
            Err(malformed("whether more comes is said by Upload-Complete"))
        }
        // In the example of -01 a request that is whole says nothing.
        None => Ok(interop.is_inverted && request.content != Content::None),
    }
}

/// Begins what a request to the URL of an upload is for.
///
/// # Errors
/// The answer that is known from the head alone.
pub(super) fn begin(
    request: &Request,
    target: &UploadTarget,
    io: &Io,
) -> Result<(Box<dyn Speech>, Goal), Answer> {
    let interop = Interop::of(&request.fields);
    let goal = match target {
        UploadTarget::Key(key) => to_upload(request, key, interop, io),
        UploadTarget::Collection | UploadTarget::Unknown => {
            Err(Problem::new(404, RefusalCode::InvalidState, "there is no such upload"))
        }
    };
    speaking(request, interop, goal, io)
}

/// Begins an upload of a file of this name.
///
/// # Errors
/// As of [`begin`].
pub(super) fn create(
    request: &Request,
    name: Option<String>,
    io: &Io,
) -> Result<(Box<dyn Speech>, Goal), Answer> {
    let interop = Interop::of(&request.fields);
    speaking(request, interop, creation(request, name, interop, io), io)
}

fn speaking(
    request: &Request,
    interop: Interop,
    goal: Result<Goal, Problem>,
    io: &Io,
) -> Result<(Box<dyn Speech>, Goal), Answer> {
    let takes_interim = request.version == Version::Http11 && interop.takes_interim();
    match goal {
        Ok(goal) => {
            let speech =
                Resumable::new(interop, takes_interim, request.audience, &io.limits, &goal);
            Ok((Box::new(speech), goal))
        }
        Err(problem) => Err(problem.answer(request.audience)),
    }
}

fn to_upload(request: &Request, key: &[u8], interop: Interop, io: &Io) -> Result<Goal, Problem> {
    let tells_state = ["upload-offset", "upload-complete", "upload-incomplete"]
        .iter()
        .any(|name| request.fields.has(name));
    let key = key.to_vec();
    match request.method {
        Method::Head if !tells_state => Ok(Goal::Look { key, settles: true }),
        Method::Get if !tells_state => Ok(Goal::Look { key, settles: false }),
        Method::Delete if !tells_state || !interop.is_strict_in_delete => Ok(Goal::Cancel(key)),
        Method::Head | Method::Get | Method::Delete => {
            Err(malformed("who asks for the offset of an upload does not tell it"))
        }
        Method::Patch => Ok(Goal::Append(key, append(request, interop, io)?)),
        _ => {
            let problem = Problem::new(405, RefusalCode::Other, "an upload goes on by PATCH");
            Err(problem.field("Allow", "HEAD, GET, PATCH, DELETE, OPTIONS"))
        }
    }
}

fn append(request: &Request, interop: Interop, io: &Io) -> Result<Append, Problem> {
    if interop.has_media_type && request.media_type() != MEDIA_TYPE {
        let words = format!("what is appended is of the type {MEDIA_TYPE}");
        let problem = Problem::new(415, RefusalCode::UnsupportedVersion, words);
        return Err(problem.field("Accept-Patch", MEDIA_TYPE));
    }
    let Some(offset) = unsigned(&request.fields, "upload-offset") else {
        return Err(malformed("a PATCH says by Upload-Offset where its content belongs"));
    };
    let completes = interop.completes(&request.fields).or(interop.completes_silently);
    let Some(completes) = completes else {
        return Err(malformed("a PATCH says by Upload-Complete whether its content is the last"));
    };
    bringing(request, offset, completes, io)
}

fn creation(
    request: &Request,
    name: Option<String>,
    interop: Interop,
    io: &Io,
) -> Result<Goal, Problem> {
    check_whole(&request.fields)?;
    if unsigned(&request.fields, "upload-offset").is_some_and(|offset| offset > 0) {
        return Err(malformed("what begins an upload belongs to its beginning"));
    }
    let known = &io.limits.algorithms;
    let completes = interop.completes(&request.fields).unwrap_or(true);
    let mut append = bringing(request, 0, completes, io)?;
    append.digests = digests::of_field(&request.fields, "repr-digest", known)?;
    append.want = digests::wanted(&request.fields, known).into_iter().collect();
    if let (Check::Digest(digest), Ends::Here) = (&append.check, append.ends) {
        // All of the file: the commit checks it, however long it is.
        digests::add(&mut append.digests, digest.clone())?;
        append.check = Check::No;
    }
    let notes = notes(request, name.as_deref(), interop, &append.digests, &append.want);
    let modified_ns = modified_ns(&request.fields);
    Ok(Goal::Create(Creation { name, modified_ns, notes, ..Creation::default() }, append))
}

/// What is stored is what comes, and all of it.
fn check_whole(fields: &Fields) -> Result<(), Problem> {
    if fields.has("content-range") {
        return Err(malformed("a part of a file cannot be sent by Content-Range"));
    }
    if fields.tokens("content-encoding").any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        let words =
            "what is sent is stored as it comes, and so it comes without a Content-Encoding";
        let problem = Problem::new(415, RefusalCode::UnsupportedVersion, words);
        return Err(problem.field("Accept-Encoding", "identity"));
    }
    Ok(())
}

fn bringing(request: &Request, offset: u64, completes: bool, io: &Io) -> Result<Append, Problem> {
    let content = request.content.length();
    let said = unsigned(&request.fields, "upload-length");
    let counted = content.filter(|_| completes).map(|content| offset.saturating_add(content));
    if let (Some(said), Some(counted)) = (said, counted)
        && said != counted
    {
        return Err(problems::inconsistent_length());
    }
    let known = &io.limits.algorithms;
    let digest = digests::of_field(&request.fields, "content-digest", known)?;
    Ok(Append {
        offset,
        content,
        size: said.or(counted),
        check: digest.into_iter().next().map_or(Check::No, Check::Digest),
        ends: if completes { Ends::Here } else { Ends::Later },
        digests: Vec::new(),
        want: Vec::new(),
    })
}

/// What is kept with the upload for later requests.
fn notes(
    request: &Request,
    name: Option<&str>,
    interop: Interop,
    digests: &[ContentDigest],
    want: &[Algorithm],
) -> Notes {
    let mut notes = Notes::default().with(Notes::PROTOCOL, "resumable");
    if let Some(number) = interop.number {
        notes = notes.with(NOTE_NUMBER, &format!("{number}"));
    }
    // One that is too long is refused by the inbox.
    if let Some(name) = name.filter(|name| name.len() <= OFFERED_NAME_BYTES_MAX) {
        notes = notes.with(NOTE_OFFERED, name);
    }
    for (note, field, bytes_max) in NOTE_FIELDS {
        let value = request.fields.single(field).ok().flatten();
        notes = match value.filter(|value| value.len() <= bytes_max) {
            Some(value) => notes.with(note, value),
            None => notes,
        };
    }
    if !digests.is_empty() {
        notes = notes.with(NOTE_DIGEST, &digests::write(digests));
    }
    if !want.is_empty() {
        notes = notes.with(NOTE_WANT, &digests::write_wanted(want));
    }
    notes
}

fn unsigned(fields: &Fields, name: &str) -> Option<u64> {
    structured::unsigned(fields.list(name)?.as_bytes())
}

fn malformed(words: &str) -> Problem {
    Problem::new(400, RefusalCode::Malformed, words)
}

/// Adds to an answer to `OPTIONS` what is served.
pub(super) fn add_options(answer: Answer, fields: &Fields, limits: &Limits) -> Answer {
    let answer = answer.with("Accept-Patch", MEDIA_TYPE);
    match limit::write(Interop::of(fields).limit, limits, limits.expires_s) {
        Some(limit) => answer.with("Upload-Limit", limit),
        None => answer,
    }
}
