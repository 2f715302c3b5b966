//! What is checked of every request before anything is done for it.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::io::Crossing;
use super::audience::Audience;
use super::fields::Fields;
use super::forwarded::Forwarded;
use super::head::{self, Head};
use super::origin::{self, Site};
use super::problem::Problem;
use super::request::{Content, Method, Request, Version};
use super::target::Target;
use super::tus;
use crate::http::base64;
use crate::{Credential, Limits, Refusal, RefusalCode};

/// A request that may be served, once its credential holds.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) request: Request,
    pub(super) credential: Option<Credential>,
    /// Where a trusted proxy says that the client is.
    pub(super) forwarded_for: Option<String>,
    /// It waits for `100 Continue` before it sends its body.
    pub(super) expects_continue: bool,
    pub(super) reply: Reply,
}

/// How the answer is written.
#[derive(Debug)]
pub(super) struct Reply {
    /// Fields of CORS, and the version of tus where the client speaks it.
    pub(super) fields: Vec<(&'static str, Cow<'static, str>)>,
    /// The method on the wire is `HEAD`.
    pub(super) is_head: bool,
    /// The client would like to send another request on the connection.
    pub(super) keeps_alive: bool,
    /// The client knows interim answers.
    pub(super) takes_interim: bool,
}

/// A request that is not served. The connection ends with the answer.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) problem: Problem,
    pub(super) audience: Audience,
    /// As of a [`Reply`].
    pub(super) fields: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) is_head: bool,
}

impl Rejected {
    /// One whose head is not whole, or is none. `input`: what came of it.
    pub(super) fn unread(problem: Problem, input: &[u8]) -> Self {
        let fields = tus::version_for_unread(input).into_iter().collect();
        Self { problem, audience: Audience::default(), fields, is_head: false }
    }
}

/// Checks a head.
///
/// # Errors
/// What is answered instead.
pub(super) fn admit(
    head: Head,
    limits: &Limits,
    crossing: Crossing,
) -> Result<Admitted, Box<Rejected>> {
    let audience = Audience::of(&head.fields);
    let is_head = head.method == "HEAD";
    let of_tus = tus::version_for(&head.fields);
    match check(head, limits, crossing, audience) {
        Ok(mut admitted) => {
            admitted.reply.fields.extend(of_tus);
            Ok(admitted)
        }
        Err(problem) => {
            let fields = of_tus.into_iter().collect();
            Err(Box::new(Rejected { problem, audience, fields, is_head }))
        }
    }
}

fn check(
    head: Head,
    limits: &Limits,
    crossing: Crossing,
    audience: Audience,
) -> Result<Admitted, Problem> {
    let Head { method: name, target, version, fields } = head;
    // Framing first: where it is not certain nothing else of the request is.
    let content = head::content(version, &fields)?;
    let method = Method::of(&name);
    if method == Method::Refused {
        let detail = "this method is not allowed here";
        let problem = Problem::new(405, RefusalCode::NotPermitted, detail);
        return Err(problem.field("Allow", origin::METHODS));
    }
    let (of_target, path) = split_absolute(&target).map_err(Problem::ours)?;
    let forwarded = match crossing.is_of_trusted_proxy {
        true => Forwarded::of(&fields)?,
        false => Forwarded::default(),
    };
    let authority = origin::authority(version, &fields, of_target)?;
    let authority = origin::forwarded(forwarded.host, authority)?;
    let is_encrypted = forwarded.is_encrypted.or(crossing.is_encrypted.then_some(true));
    let target = Target::parse(path).map_err(Problem::ours)?;
    let site = Site { authority: &authority, is_encrypted };
    let cors = origin::check(method, &fields, site, limits)?;
    let expects_continue = expects_continue(version, &fields)?;
    let credential = match method {
        // A browser asks without one what it may send (the CORS protocol).
        Method::Options => None,
        _ => credential(&fields)?,
    };
    let reply = Reply {
        fields: cors,
        is_head: method == Method::Head,
        keeps_alive: version == Version::Http11
            && !fields.tokens("connection").any(|token| token.eq_ignore_ascii_case("close")),
        takes_interim: version == Version::Http11,
    };
    let method = overridden(method, &fields)?;
    let request = Request { method, target, version, fields, content, authority, audience };
    let expects_continue = expects_continue && !matches!(content, Content::None);
    let forwarded_for = forwarded.address;
    Ok(Admitted { request, credential, forwarded_for, expects_continue, reply })
}

/// The authority of a target that is a URL, and its path. Proxies send such targets, and servers have to take them
/// (RFC 9112, section 3.2.2).
fn split_absolute(target: &str) -> Result<(Option<&str>, &str), Refusal> {
    let Some((scheme, rest)) = target.split_once("://") else { return Ok((None, target)) };
    if target.starts_with('/') {
        return Ok((None, target));
    }
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        let detail = "the target of the request is a URL of another scheme than http and https";
        return Err(Refusal::new(RefusalCode::Malformed, detail));
    }
    match rest.find(['/', '?', '#']) {
        Some(at) if rest[at..].starts_with('/') => Ok((Some(&rest[..at]), &rest[at..])),
        Some(_) => {
            let detail = "the target of the request is a URL without a path";
            Err(Refusal::new(RefusalCode::Malformed, detail))
        }
        None => Ok((Some(rest), "/")),
    }
}

fn expects_continue(version: Version, fields: &Fields) -> Result<bool, Problem> {
    if version == Version::Http10 {
        return Ok(false);
    }
    let mut expects = false;
    for expectation in fields.tokens("expect") {
        if !expectation.eq_ignore_ascii_case("100-continue") {
            let detail = "100-continue is all that can be expected";
            return Err(Problem::new(417, RefusalCode::UnsupportedVersion, detail));
        }
        expects = true;
    }
    Ok(expects)
}

/// The method that a client means which cannot send it: some proxies and firewalls let `GET` and `POST` pass alone.
fn overridden(method: Method, fields: &Fields) -> Result<Method, Problem> {
    let meant = match fields.single("x-http-method-override").map_err(Problem::ours)? {
        Some(name) if method == Method::Post => Method::of(&name.to_ascii_uppercase()),
        _ => return Ok(method),
    };
    match meant {
        Method::Refused => {
            let detail = "this method is not allowed here";
            Err(Problem::new(405, RefusalCode::NotPermitted, detail))
        }
        meant => Ok(meant),
    }
}

/// The credential of a request (RFC 6750, RFC 7617). The password of `Basic` is the token, whatever the user's name.
fn credential(fields: &Fields) -> Result<Option<Credential>, Problem> {
    let Some(value) = fields.single("authorization").map_err(Problem::ours)? else {
        return Ok(None);
    };
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let rest = rest.trim();
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        (!rest.is_empty()).then(|| String::from(rest))
    } else if scheme.eq_ignore_ascii_case("basic") {
        base64::decode(rest)
            .and_then(|decoded| String::from_utf8(decoded).ok())
            .and_then(|pair| pair.split_once(':').map(|(_, password)| String::from(password)))
    } else {
        None
    };
    match token {
        Some(token) => Ok(Some(Credential::Bearer(token))),
        None => Err(Problem::of(Refusal::new(
            RefusalCode::NotPermitted,
            "the credential is neither a Bearer token nor a password of Basic",
        ))),
    }
}
