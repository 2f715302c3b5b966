//! What kind of request it is: one URL space for names and for uploads.
//!
//! `PUT` is always the name of a file; what is below `/files/` is for uploads with every other method.

use alloc::boxed::Box;

use super::answer::Answer;
use super::exchange::Exchange;
use super::exchange::fixed::Fixed;
use super::exchange::form::Form;
use super::exchange::put::Put;
use super::naming::{posted_name, target_name};
use super::origin;
use super::problem::Problem;
use super::request::{Method, Request};
use super::target::Target;
use super::uploads;
use crate::receiver::io::Io;
use crate::{Limits, RefusalCode};

/// The media type of a form that can have files.
const FORM: &str = "multipart/form-data";

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
        problem.field("Allow", origin::METHODS_OF_NAMES)
    };
    if let Some(exchange) = uploads::begin(request, io)? {
        return Ok(exchange);
    }
    match request.method {
        Method::Options => Ok(fixed(options(request, &io.limits))),
        Method::Unknown => {
            let detail = "this method is not known here";
            Err(Problem::new(501, RefusalCode::UnsupportedVersion, detail))
        }
        _ if request.target == Target::Server => Err(not_allowed()),
        Method::Put => Ok(Box::new(Put::begin(request, target_name(request)?, io)?)),
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

fn options(request: &Request, limits: &Limits) -> Answer {
    let answer = Answer::new(204).with("Allow", origin::METHODS);
    let answer = uploads::add_options(answer, &request.fields, limits);
    origin::preflight(&request.fields, answer)
}

fn nothing_there() -> Problem {
    Problem::new(404, RefusalCode::Other, "nothing can be had from here")
}

fn fixed(answer: Answer) -> Box<dyn Exchange> {
    Box::new(Fixed::new(answer))
}
