//! tus 1.0.0 (<https://tus.io/protocols/resumable-upload>), with its extensions creation, creation-with-upload,
//! creation-defer-length, expiration, checksum, checksum-trailer, termination, concatenation and
//! concatenation-unfinished.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::digests;
use super::fields::Fields;
use super::problem::Problem;
use super::request::{Method, Request};
use super::resource::{Append, Check, Creation, Ends, Goal, Role, Speech};
use super::target::UploadTarget;
use crate::receiver::io::Io;
use crate::{Algorithm, Limits, RefusalCode};

mod concat;
mod fields;
mod speech;

use concat::Concat;
use fields::{Length, Metadata};
use speech::{Tus, VERSION, unknown};
pub(super) use speech::{add_state, is_of_tus, role};

/// What says that an answer is one of tus.
const SIGNATURE: (&str, Cow<'static, str>) = ("Tus-Resumable", Cow::Borrowed(VERSION));

/// The media type of what is appended.
pub(super) const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// What `Tus-Extension` says where no checksums are computed that every client knows.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,\
    termination,concatenation,concatenation-unfinished";

/// What it says besides where they are.
const CHECKSUM_EXTENSIONS: &str = ",checksum,checksum-trailer";

/// What a checksum behind the content is computed by: the client says so too late. It is the one that every server
/// has.
const TRAILER_ALGORITHM: Algorithm = Algorithm::Sha1;

/// Whether a request speaks tus.
pub(super) fn speaks(request: &Request) -> bool {
    request.fields.has("tus-resumable") || request.media_type() == MEDIA_TYPE
}

/// What every answer has to a client that has said `Tus-Resumable`: the protocol asks for that, also where a request
/// is refused before anybody knows what it is for.
pub(super) fn version_for(fields: &Fields) -> Option<(&'static str, Cow<'static, str>)> {
    fields.has("tus-resumable").then_some(SIGNATURE)
}

/// The same for a request whose head does not parse.
pub(super) fn version_for_unread(head: &[u8]) -> Option<(&'static str, Cow<'static, str>)> {
    let is_of_tus = |line: &[u8]| {
        line.get(..14).is_some_and(|name| name.eq_ignore_ascii_case(b"tus-resumable:"))
    };
    head.split(|byte| *byte == b'\n').any(is_of_tus).then_some(SIGNATURE)
}

/// Begins what a request to the URL of an upload, or to where they are made, is for.
///
/// # Errors
/// The answer that is known from the head alone.
pub(super) fn begin(
    request: &Request,
    target: &UploadTarget,
    io: &Io,
) -> Result<(Box<dyn Speech>, Goal), Answer> {
    let want = digests::wanted(&request.fields, &io.limits.algorithms);
    let tus = Tus::new(request.audience, request.target.is_directory()).wanting(want);
    match goal(request, target, io) {
        Ok(mut goal) => {
            if let Goal::Create(_, append) | Goal::Append(_, append) = &mut goal {
                append.want = want.into_iter().collect();
            }
            Ok((Box::new(tus), goal))
        }
        Err(problem) => Err(tus.sign(problem.answer(request.audience))),
    }
}

fn goal(request: &Request, target: &UploadTarget, io: &Io) -> Result<Goal, Problem> {
    check_version(&request.fields)?;
    let key = match (target, request.method) {
        (UploadTarget::Collection, Method::Post) => return create(request, io),
        (UploadTarget::Collection, _) => {
            let problem = Problem::new(405, RefusalCode::Other, "uploads are begun by POST");
            return Err(problem.field("Allow", "POST, OPTIONS"));
        }
        (UploadTarget::Key(key), _) => key.clone(),
        (UploadTarget::Unknown, _) => return Err(unknown()),
    };
    match request.method {
        Method::Head => Ok(Goal::Look { key, settles: true }),
        Method::Get => Ok(Goal::Look { key, settles: false }),
        Method::Delete => Ok(Goal::Cancel(key)),
        Method::Patch => Ok(Goal::Append(key, append(request, io)?)),
        _ => {
            let problem = Problem::new(405, RefusalCode::Other, "an upload goes on by PATCH");
            Err(problem.field("Allow", "HEAD, GET, PATCH, DELETE, OPTIONS"))
        }
    }
}

/// The answer to another version is given before anything else is looked at.
fn check_version(fields: &Fields) -> Result<(), Problem> {
    match fields.single("tus-resumable") {
        Ok(Some(VERSION)) => Ok(()),
        _ => {
            let words = "only version 1.0.0 of tus is spoken here";
            let problem = Problem::new(412, RefusalCode::UnsupportedVersion, words);
            Err(problem.field("Tus-Version", VERSION))
        }
    }
}

fn create(request: &Request, io: &Io) -> Result<Goal, Problem> {
    let fields = &request.fields;
    let concat = Concat::of(fields)?;
    if let Some(Concat { role: Role::Final(_), .. }) = concat {
        return create_final(request, concat.unwrap_or_default());
    }
    let size = match fields::length(fields).map_err(Problem::ours)? {
        Some(Length::Known(size)) => Some(size),
        Some(Length::Deferred) => None,
        None => {
            let words = "an upload has an Upload-Length, or Upload-Defer-Length: 1";
            return Err(Problem::new(400, RefusalCode::Malformed, words));
        }
    };
    let metadata = metadata(fields)?;
    let content = request.content.length();
    if content != Some(0) {
        check_media_type(request)?;
    }
    let mut append = bringing(0, content, size, check(request, io)?);
    let creation = match concat {
        Some(concat) => {
            append.ends = Ends::Later;
            // A part has no name: it gets none.
            let notes = concat.note(speech::notes(&metadata.text), &metadata.text)?;
            Creation { notes, role: concat.role, ..Creation::default() }
        }
        None => Creation {
            name: metadata.name().map_err(Problem::ours)?,
            modified_ns: metadata.modified_ns(),
            notes: speech::notes(&metadata.text),
            role: Role::Alone,
        },
    };
    Ok(Goal::Create(creation, append))
}

/// An upload that is put together out of others. It brings nothing itself, and its length is theirs.
fn create_final(request: &Request, concat: Concat) -> Result<Goal, Problem> {
    let fields = &request.fields;
    let malformed = |words| Err(Problem::new(400, RefusalCode::Malformed, words));
    if fields.has("upload-length") || fields.has("upload-defer-length") {
        return malformed("the length of a final upload is that of its parts");
    }
    if request.content.length() != Some(0) {
        return malformed("a final upload has the content of its parts, and no other");
    }
    let metadata = metadata(fields)?;
    let creation = Creation {
        name: metadata.name().map_err(Problem::ours)?,
        modified_ns: metadata.modified_ns(),
        notes: concat.note(speech::notes(&metadata.text), &metadata.text)?,
        role: concat.role,
    };
    let append = Append { ends: Ends::Later, ..bringing(0, Some(0), None, Check::No) };
    Ok(Goal::Create(creation, append))
}

fn metadata(fields: &Fields) -> Result<Metadata, Problem> {
    Metadata::of(fields).map_err(|refusal| match refusal.code {
        RefusalCode::TooLarge => Problem::ours(refusal).status(431),
        _ => Problem::ours(refusal),
    })
}

fn append(request: &Request, io: &Io) -> Result<Append, Problem> {
    check_media_type(request)?;
    let fields = &request.fields;
    let offset = fields::number(fields, "upload-offset").map_err(Problem::ours)?;
    let Some(offset) = offset else {
        let words = "a PATCH says by Upload-Offset where its content belongs";
        return Err(Problem::new(400, RefusalCode::Malformed, words));
    };
    let size = fields::number(fields, "upload-length").map_err(Problem::ours)?;
    Ok(bringing(offset, request.content.length(), size, check(request, io)?))
}

fn bringing(offset: u64, content: Option<u64>, size: Option<u64>, check: Check) -> Append {
    let (digests, want) = (Vec::new(), Vec::new());
    Append { offset, content, size, check, ends: Ends::AtSize, digests, want }
}

fn check_media_type(request: &Request) -> Result<(), Problem> {
    if request.media_type() == MEDIA_TYPE {
        return Ok(());
    }
    let words = format!("what is appended is of the type {MEDIA_TYPE}");
    Err(Problem::new(415, RefusalCode::UnsupportedVersion, words))
}

/// How the content is checked, by a field or by a trailer that a field promises.
fn check(request: &Request, io: &Io) -> Result<Check, Problem> {
    let known = &io.limits.algorithms;
    let digest = fields::checksum(&request.fields, known);
    let digest = digest.map_err(|refusal| Problem::ours(refusal).status(400))?;
    let mut trailers = request.fields.tokens("trailer");
    let is_promised = trailers.any(|name| name.eq_ignore_ascii_case("upload-checksum"));
    match digest {
        Some(_) if is_promised => {
            let words = "a checksum comes before the content or behind it, and not both";
            Err(Problem::new(400, RefusalCode::Malformed, words))
        }
        Some(digest) => Ok(Check::Digest(digest)),
        None if !is_promised => Ok(Check::No),
        None if known.contains(&TRAILER_ALGORITHM) => Ok(Check::Trailer(TRAILER_ALGORITHM)),
        None => {
            let words = "no checksums are computed here";
            Err(Problem::new(400, RefusalCode::UnsupportedVersion, words))
        }
    }
}

/// The name that `Upload-Metadata` gives a file. Programs that speak tus send it with other uploads, too.
pub(super) fn offered_name(fields: &Fields) -> Option<String> {
    Metadata::of(fields).ok()?.name().ok()?
}

/// Adds to an answer to `OPTIONS` what is served.
pub(super) fn add_options(answer: Answer, limits: &Limits) -> Answer {
    let has_checksums = limits.algorithms.contains(&TRAILER_ALGORITHM);
    let mut extensions = String::from(EXTENSIONS);
    if has_checksums {
        extensions.push_str(CHECKSUM_EXTENSIONS);
    }
    let mut answer = answer
        .with("Tus-Resumable", VERSION)
        .with("Tus-Version", VERSION)
        .with("Tus-Extension", extensions);
    if let Some(most) = limits.max_file_size {
        answer = answer.with("Tus-Max-Size", most.to_string());
    }
    if has_checksums {
        let names = limits.algorithms.iter().map(|one| fields::algorithm_name(*one));
        answer = answer.with("Tus-Checksum-Algorithm", names.collect::<Vec<_>>().join(","));
    }
    answer
}
