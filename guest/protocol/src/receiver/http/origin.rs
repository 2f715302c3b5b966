//! Who may have a browser send requests here: `Host`, `Origin`, `Sec-Fetch-Site`, and CORS.
//!
//! A page of any site can make the browser of a person in this network send requests to this server. So a request
//! that a page sends counts only if the page is this server's own, or of an origin that the operator has named. A page
//! counts as this server's own where its origin is what the request has in `Host`; but a stranger can make a name of
//! his lead here, and load his page under it (DNS rebinding), so that name has to be one that no stranger has: an
//! address, `localhost`, or one that the operator has named.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use super::answer::Answer;
use super::fields::Fields;
use super::problem::Problem;
use super::request::{Method, Version};
use crate::{Limits, RefusalCode};

/// The origin that stands for all, among those that the operator names.
const ANY: &str = "*";

/// What a page may set besides what every page may.
const ALLOWED_FIELDS: &str = "Authorization, Content-Type, Content-Disposition, Content-Digest, Repr-Digest, \
    Want-Repr-Digest, X-OC-Mtime, X-Requested-With, X-Request-ID, X-HTTP-Method-Override, Tus-Resumable, \
    Upload-Length, Upload-Defer-Length, Upload-Offset, Upload-Metadata, Upload-Checksum, Upload-Concat, \
    Upload-Complete, Upload-Incomplete, Upload-Draft-Interop-Version";

/// What a page may read of an answer.
const EXPOSED_FIELDS: &str = "Location, Retry-After, Repr-Digest, X-OC-Mtime, Tus-Resumable, Tus-Version, \
    Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, Upload-Defer-Length, \
    Upload-Metadata, Upload-Expires, Upload-Concat, Upload-Complete, Upload-Incomplete, Upload-Limit, \
    Upload-Draft-Interop-Version";

/// How long a browser may keep the answer to a preflight. Seconds: a day, of which browsers take two hours at most.
const PREFLIGHT_AGE_S: &str = "86400";

/// Every method that is served anywhere.
pub(super) const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Those of them that are served where the target is the name of a file.
pub(super) const METHODS_OF_NAMES: &str = "GET, HEAD, POST, PUT, OPTIONS";

/// The host and the port that the request is for: of the target where that is a URL, else of `Host`.
///
/// # Errors
/// The answer to a request that does not say one thing (RFC 9112, section 3.2).
pub(super) fn authority(
    version: Version,
    fields: &Fields,
    of_target: Option<&str>,
) -> Result<String, Problem> {
    let mut hosts = fields.bytes("host");
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http10 => {
            let authority = of_target.unwrap_or_default();
            return match authority.is_empty() || is_authority(authority) {
                true => Ok(String::from(authority)),
                false => Err(malformed("the target of the request names no host")),
            };
        }
        (None, _) => return Err(malformed("a request of HTTP/1.1 has the field Host")),
        (Some(_), Some(_)) => return Err(malformed("the field Host is there more than once")),
        (Some(host), None) => core::str::from_utf8(host).unwrap_or_default(),
    };
    if !is_authority(host) || of_target.is_some_and(|target| !is_authority(target)) {
        return Err(malformed("the field Host is not a host with or without a port"));
    }
    if of_target.is_some_and(|target| !target.eq_ignore_ascii_case(host)) {
        return Err(malformed("the field Host names another host than the target"));
    }
    Ok(String::from(host))
}

/// The same, where a trusted proxy says that the client sent it to another host.
///
/// # Errors
/// The answer to a proxy that says what is no host.
pub(super) fn forwarded(host: Option<String>, authority: String) -> Result<String, Problem> {
    match host {
        None => Ok(authority),
        Some(host) if is_authority(&host) => Ok(host),
        Some(_) => Err(malformed("the proxy forwards a request to what is not a host")),
    }
}

/// What this server is to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// The host and the port.
    pub(super) authority: &'a str,
    /// Whether its pages are of `https`; `None`: a proxy may end the encryption and not say so.
    pub(super) is_encrypted: Option<bool>,
}

/// The fields of CORS that the answer to this request has.
///
/// # Errors
/// The answer to a request that a page of another site sent.
pub(super) fn check(
    method: Method,
    fields: &Fields,
    site: Site<'_>,
    limits: &Limits,
) -> Result<Vec<(&'static str, Cow<'static, str>)>, Problem> {
    let mut origins = fields.bytes("origin");
    let Some(origin) = origins.next() else {
        let from = fields.get("sec-fetch-site").unwrap_or("none");
        let is_foreign =
            from.eq_ignore_ascii_case("cross-site") || from.eq_ignore_ascii_case("same-site");
        // A link to this server is followed without an Origin, and does no harm.
        return match is_foreign && method != Method::Get {
            true => Err(foreign()),
            false => Ok(Vec::new()),
        };
    };
    let origin = core::str::from_utf8(origin).unwrap_or("null");
    if origins.next().is_some() || origin.eq_ignore_ascii_case("null") {
        return Err(foreign());
    }
    let named = limits.http_origins.iter().any(|one| one.eq_ignore_ascii_case(origin));
    if named || limits.http_origins.iter().any(|one| one == ANY) {
        return Ok(alloc::vec![
            ("Access-Control-Allow-Origin", Cow::Owned(String::from(origin))),
            ("Access-Control-Expose-Headers", Cow::Borrowed(EXPOSED_FIELDS)),
            ("Vary", Cow::Borrowed("Origin")),
        ]);
    }
    if !is_same(origin, site) {
        return Err(foreign());
    }
    if !is_known_host(host_of(site.authority), limits) {
        let detail =
            "a browser sent the request to a name that this server does not know as its own";
        return Err(Problem::new(421, RefusalCode::NotPermitted, detail));
    }
    Ok(alloc::vec![("Vary", Cow::Borrowed("Origin"))])
}

/// Adds to the answer to `OPTIONS` what a browser asks before it lets a page send the request itself (the CORS
/// protocol of the Fetch standard). Credentials that the browser has are never allowed.
pub(super) fn preflight(fields: &Fields, mut answer: Answer) -> Answer {
    if !fields.has("access-control-request-method") {
        return answer;
    }
    answer = answer
        .with("Access-Control-Allow-Methods", METHODS)
        .with("Access-Control-Allow-Headers", ALLOWED_FIELDS)
        .with("Access-Control-Max-Age", PREFLIGHT_AGE_S);
    if fields.has("access-control-request-private-network") {
        answer = answer.with("Access-Control-Allow-Private-Network", "true");
    }
    answer
}

/// Whether an origin is the one of pages that this server would have.
fn is_same(origin: &str, site: Site<'_>) -> bool {
    let Some((scheme, of_origin)) = origin.split_once("://") else { return false };
    let (default_port, is_encrypted) = match scheme {
        "http" => (":80", false),
        "https" => (":443", true),
        _ => return false,
    };
    if site.is_encrypted.is_some_and(|of_site| of_site != is_encrypted) {
        return false;
    }
    let without = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        authority.strip_suffix(default_port).map(String::from).unwrap_or(authority)
    };
    without(of_origin) == without(site.authority)
}

/// Whether it is a name that a stranger's page cannot have been loaded under.
fn is_known_host(host: &str, limits: &Limits) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_address = host.parse::<core::net::Ipv4Addr>().is_ok()
        || host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    is_address
        || host == "localhost"
        || host.ends_with(".localhost")
        || limits.hosts.iter().any(|one| one.eq_ignore_ascii_case(&host))
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}

/// Whether it is a host (a name or an address) with a port or without, and nothing else: no user, no path, no list.
fn is_authority(text: &str) -> bool {
    let host = host_of(text);
    let port = text[host.len()..].strip_prefix(':').unwrap_or_default();
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')),
    };
    !host.is_empty() && is_host && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn foreign() -> Problem {
    let detail = "a page of another site sent the request";
    Problem::new(403, RefusalCode::NotPermitted, detail)
}

fn malformed(detail: &str) -> Problem {
    Problem::new(400, RefusalCode::Malformed, detail)
}
