//! What kind of request it is: one URL space for names and for uploads.
//!
//! `PUT` is always the name of a file; what is below `/files/` is for uploads with every other method.

use alloc::boxed::Box;
use alloc::string::String;

use super::answer::Answer;
use super::exchange::Exchange;
use super::exchange::fixed::Fixed;
use super::exchange::form::Form;
use super::exchange::put::Put;
use super::origin;
use super::parameters::Parameterised;
use super::problem::Problem;
use super::request::{Method, Request};
use super::target::Target;
use crate::RefusalCode;
use crate::receiver::io::Io;

/// The media type of a form that can have files.
const FORM: &str = "multipart/form-data";

/// The media type of a form that has the names of files and not their content. curl calls any data so by default.
const FORM_WITHOUT_FILES: &str = "application/x-www-form-urlencoded";

/// What a person reads who opens the address in a browser.
const GREETING: &str = "\
This server takes uploads. To send it a file:

    curl -T FILE http://HOST/           under its own name
    curl -T FILE http://HOST/dir/name   under another one
    curl -F file=@FILE http://HOST/     as a form does it
    sandport send FILE HOST             with resuming and a receipt
";

/// Begins the exchange for a request.
pub(super) fn begin(request: &Request, io: &mut Io) -> Box<dyn Exchange> {
    kind(request, io).unwrap_or_else(|problem| {
        Box::new(Fixed::new(problem.answer(request.audience))) as Box<dyn Exchange>
    })
}

fn kind(request: &Request, io: &mut Io) -> Result<Box<dyn Exchange>, Problem> {
    let not_allowed = || {
        let problem = Problem::new(405, RefusalCode::Other, "this method is not allowed here");
        problem.field("Allow", origin::METHODS)
    };
    match request.method {
        Method::Options => Ok(fixed(options(request))),
        Method::Unknown => {
            let detail = "this method is not known here";
            Err(Problem::new(501, RefusalCode::UnsupportedVersion, detail))
        }
        _ if request.target == Target::Server => Err(not_allowed()),
        Method::Put => Ok(Box::new(Put::begin(request, name(request)?, io)?)),
        _ if request.target.upload().is_some() => Err(nothing_there()),
        Method::Post if request.media_type() == FORM => Ok(Box::new(Form::begin(request)?)),
        Method::Post => Ok(Box::new(Put::begin(request, posted_name(request)?, io)?)),
        Method::Get | Method::Head if request.target.is_root() => {
            Ok(fixed(Answer::text(200, GREETING)))
        }
        Method::Get | Method::Head => Err(nothing_there()),
        Method::Patch | Method::Delete | Method::Refused => Err(not_allowed()),
    }
}

/// The name that the target is.
fn name(request: &Request) -> Result<Option<String>, Problem> {
    let Target::Path { segments, is_directory, query } = &request.target else { return Ok(None) };
    let detail = match query {
        Some(_) => "the target has a query: a question mark in a name is written %3F",
        None if *is_directory && !segments.is_empty() => "the target ends in a slash",
        None => return Ok(request.target.name()),
    };
    Err(Problem::new(400, RefusalCode::NameInvalid, detail))
}

/// The name of what is posted and is no form: the target, or what `Content-Disposition` says.
fn posted_name(request: &Request) -> Result<Option<String>, Problem> {
    if request.audience.is_browser && request.media_type() == FORM_WITHOUT_FILES {
        let detail = "a form that sends files has enctype=\"multipart/form-data\"";
        return Err(Problem::new(415, RefusalCode::UnsupportedVersion, detail));
    }
    if let Some(name) = name(request)? {
        return Ok(Some(name));
    }
    let disposition = request.fields.single("content-disposition").map_err(Problem::ours)?;
    let Some(disposition) = disposition else { return Ok(None) };
    let name = Parameterised::parse(disposition).and_then(|disposition| disposition.file_name());
    name.map_err(Problem::ours)
}

fn options(request: &Request) -> Answer {
    origin::preflight(&request.fields, Answer::new(204).with("Allow", origin::METHODS))
}

fn nothing_there() -> Problem {
    Problem::new(404, RefusalCode::Other, "nothing can be had from here")
}

fn fixed(answer: Answer) -> Box<dyn Exchange> {
    Box::new(Fixed::new(answer))
}
