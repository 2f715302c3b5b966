//! What kind of request it is: one URL space for names and for uploads.
//!
//! `PUT` is always the name of a file; what is below `/files/` is for uploads with every other method.

use alloc::boxed::Box;

use super::answer::Answer;
use super::exchange::Exchange;
use super::exchange::fixed::Fixed;
use super::origin;
use super::problem::Problem;
use super::request::{Method, Request};
use crate::RefusalCode;
use crate::receiver::io::Io;

/// What a person reads who opens the address in a browser.
const GREETING: &str = "\
This server takes uploads. To send it a file:

    curl -T FILE http://HOST/           under its own name
    curl -T FILE http://HOST/dir/name   under another one
    curl -F file=@FILE http://HOST/     as a form does it
    sandport send FILE HOST             with resuming and a receipt
";

/// Begins the exchange for a request.
pub(super) fn begin(request: &Request, _io: &mut Io) -> Box<dyn Exchange> {
    let answer = match request.method {
        Method::Options => options(request),
        Method::Get | Method::Head if request.target.is_root() => Answer::text(200, GREETING),
        Method::Get | Method::Head => problem(request, 404, "nothing is served from here"),
        Method::Unknown => problem(request, 501, "this method is not known here"),
        _ => {
            problem(request, 405, "this method is not allowed here").with("Allow", origin::METHODS)
        }
    };
    Box::new(Fixed::new(answer))
}

fn options(request: &Request) -> Answer {
    origin::preflight(&request.fields, Answer::new(204).with("Allow", origin::METHODS))
}

fn problem(request: &Request, status: u16, detail: &str) -> Answer {
    let code = if status == 501 { RefusalCode::UnsupportedVersion } else { RefusalCode::Other };
    Problem::new(status, code, detail).answer(request.audience)
}
