//! Which requests are about uploads that have a URL, and by which protocol.
//!
//! There is one URL space: `Tus-Resumable` means tus, `Upload-Complete` and what belongs to it the resumable uploads of
//! the IETF, and who says neither gets the fields of both.

use alloc::boxed::Box;

use super::answer::Answer;
use super::audience::Audience;
use super::exchange::Exchange;
use super::exchange::fixed::Fixed;
use super::fields::Fields;
use super::naming::{disposed_name, posted_name, target_name};
use super::problem::Problem;
use super::request::{Method, Request};
use super::resource::{Append, Goal, Resource, Role, Speech, Standing, Trouble};
use super::target::UploadTarget;
use super::{resumable, tus};
use crate::receiver::Committed;
use crate::receiver::io::Io;
use crate::{Limits, Receipt, RefusalCode};

/// Begins the exchange for a request that is about an upload with a URL. `None`: it is about something else.
///
/// # Errors
/// The answer to a request that would begin an upload under a name that it cannot have.
pub(super) fn begin(request: &Request, io: &mut Io) -> Result<Option<Box<dyn Exchange>>, Problem> {
    if matches!(request.method, Method::Options | Method::Unknown | Method::Refused) {
        return Ok(None);
    }
    // `PUT` is always a name.
    let target = request.target.upload().filter(|_| request.method != Method::Put);
    let begun = match target {
        _ if tus::speaks(request) && request.method != Method::Put => {
            // Anywhere else there are no uploads of tus: what would be made of it is a file without content.
            tus::begin(request, &target.unwrap_or(UploadTarget::Unknown), io)
        }
        None | Some(UploadTarget::Collection) if resumable::begins(request)? => {
            let name = match (target, request.method) {
                (Some(_), _) => {
                    disposed_name(request)?.or_else(|| tus::offered_name(&request.fields))
                }
                (None, Method::Put) => target_name(request)?,
                (None, _) => posted_name(request)?,
            };
            resumable::create(request, name, io)
        }
        Some(target @ (UploadTarget::Key(_) | UploadTarget::Unknown)) => match request.method {
            Method::Head | Method::Get | Method::Delete if !resumable::speaks(request) => {
                either(request, &target, io)
            }
            _ => resumable::begin(request, &target, io),
        },
        Some(UploadTarget::Collection) if request.method == Method::Post => {
            tus::begin(request, &UploadTarget::Collection, io)
        }
        None if request.method == Method::Patch && resumable::speaks(request) => {
            resumable::begin(request, &UploadTarget::Unknown, io)
        }
        None | Some(UploadTarget::Collection) => return Ok(None),
    };
    Ok(Some(match begun {
        Ok((speech, goal)) => Box::new(Resource::begin(speech, goal, io)),
        Err(answer) => Box::new(Fixed::new(answer)),
    }))
}

/// Adds to an answer to `OPTIONS` what is served of both.
pub(super) fn add_options(answer: Answer, fields: &Fields, limits: &Limits) -> Answer {
    resumable::add_options(tus::add_options(answer, limits), fields, limits)
}

fn either(
    request: &Request,
    target: &UploadTarget,
    io: &Io,
) -> Result<(Box<dyn Speech>, Goal), Answer> {
    let UploadTarget::Key(key) = target else {
        return Err(unknown().answer(request.audience));
    };
    let key = key.clone();
    let goal = match request.method {
        Method::Delete => Goal::Cancel(key),
        method => Goal::Look { key, settles: method == Method::Head },
    };
    let either = Either { audience: request.audience, limits: io.limits.clone() };
    Ok((Box::new(either), goal))
}

fn unknown() -> Problem {
    Problem::new(404, RefusalCode::InvalidState, "there is no such upload")
}

/// Who does not say by which protocol it asks. It can ask, and end an upload, and nothing else.
struct Either {
    audience: Audience,
    limits: Limits,
}

impl Speech for Either {
    fn found(&self, standing: &Standing, is_complete: bool) -> Answer {
        let answer = tus::add_state(Answer::new(204), standing, is_complete);
        resumable::add_state(answer, is_complete, &self.limits, standing)
    }

    fn created(&self, standing: &Standing) -> Answer {
        self.found(standing, false)
    }

    fn appended(&self, standing: &Standing) -> Answer {
        self.found(standing, false)
    }

    fn completed(&self, standing: &Standing, _committed: &Committed, _is_new: bool) -> Answer {
        self.found(standing, true)
    }

    fn was_complete(&self, standing: &Standing, _receipt: &Receipt, _append: &Append) -> Answer {
        self.found(standing, true)
    }

    fn cancelled(&self) -> Answer {
        Answer::new(204)
    }

    fn failed(&self, trouble: Trouble, _standing: Option<&Standing>) -> Answer {
        let problem = match trouble {
            Trouble::Unknown => unknown(),
            Trouble::Ended(refusal) => Problem::of(refusal).heard_of().status(410),
            Trouble::Uncommitted(refusal) | Trouble::Refused(refusal) => Problem::of(refusal),
            _ => Problem::new(503, RefusalCode::Locked, "the upload is being stored"),
        };
        problem.answer(self.audience)
    }

    fn owns(&self, standing: &Standing) -> bool {
        tus::is_of_tus(standing)
    }

    fn role(&self, standing: &Standing) -> Role {
        tus::role(standing)
    }

    fn ends_at_size(&self) -> bool {
        true
    }

    fn discards_excess(&self) -> bool {
        false
    }
}
