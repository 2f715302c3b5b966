//! Answers that send a request somewhere else (RFC 9110, section 15.4).
//!
//! A file goes to the server that was named, and to no other: whoever answers there could pass it on to anybody. What
//! only moves within that server, with the method kept, is followed.

use alloc::format;
use alloc::string::String;

use super::answer::HttpAnswer;
use super::url::HttpUrl;
use crate::text::sanitize;
use crate::{DETAIL_BYTES_MAX, Refusal, RefusalCode};

/// Most redirects in a row. One adds a slash and one a directory; more are a circle.
const REDIRECTS_MAX: u32 = 3;

/// What is done about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// It is none.
    None,
    /// The same request goes to this target.
    Follow(String),
    /// It leads where nothing is sent to.
    Refused(Refusal),
}

/// Judges the answer to a request to `target`, after so many redirects.
pub(super) fn of(url: &HttpUrl, target: &str, answer: &HttpAnswer, redirects: u32) -> Redirect {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return Redirect::None;
    }
    let location = answer.field("location").unwrap_or_default();
    let keeps_method = matches!(answer.status, 307 | 308);
    match url.resolve(target, location) {
        Some(target) if keeps_method && redirects < REDIRECTS_MAX => Redirect::Follow(target),
        _ => {
            let location = sanitize(location, DETAIL_BYTES_MAX / 2);
            let words = format!(
                "the server sends this on to `{location}` ({}), which is not followed: send it there if you trust \
                 that address",
                answer.status
            );
            Redirect::Refused(Refusal::new(RefusalCode::Other, words))
        }
    }
}
