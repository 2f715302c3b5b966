//! What an answer means: whether to go on, to come again, or to give up, and by which of our codes.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use serde_json::Value;

use super::answer::HttpAnswer;
use crate::text::sanitize;
use crate::wire::cut;
use crate::{DETAIL_BYTES_MAX, Millis, Refusal, RefusalCode};

/// The media type of RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";

/// Longest wait that a server may ask for. Milliseconds. As long as a sender waits by itself, twice.
const RETRY_AFTER_MS_MAX: Millis = 60_000;

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It was done.
    Done,
    /// The same may be done later.
    Later(Refusal),
    /// It will not be done.
    Never(Refusal),
}

/// Judges an answer by its status code, and by what it says if it is a problem of ours.
pub(super) fn judge(answer: &HttpAnswer) -> Judgement {
    if answer.is_success() {
        return Judgement::Done;
    }
    let problem = problem(answer);
    let ours = problem.as_ref().and_then(|problem| problem.code);
    let code = ours.unwrap_or_else(|| code_of(answer.status));
    let refusal = Refusal::new(code, words(answer, problem.and_then(|problem| problem.words)));
    let comes_again = match ours {
        // What is full, or a disk that fails, is seldom mended in the minutes that a sender waits.
        Some(code) => {
            code.is_temporary() && !matches!(code, RefusalCode::InsufficientSpace | RefusalCode::Io)
        }
        None => match answer.status {
            408 | 423 | 425 | 429 => true,
            // Neither is what a server cannot do, nor a full disk.
            501 | 505 | 507 | 508 | 510 | 511 => false,
            status => (500..600).contains(&status),
        },
    };
    if comes_again { Judgement::Later(refusal) } else { Judgement::Never(refusal) }
}

/// The code of a problem of ours. `None`: it is none.
pub(super) fn code(answer: &HttpAnswer) -> Option<RefusalCode> {
    problem(answer)?.code
}

/// How long the server asks to wait at least. Milliseconds.
pub(super) fn retry_after_ms(answer: &HttpAnswer) -> Millis {
    let seconds = answer.number("retry-after").unwrap_or(0);
    seconds.saturating_mul(1_000).min(RETRY_AFTER_MS_MAX)
}

/// A problem of RFC 9457.
struct Problem {
    code: Option<RefusalCode>,
    words: Option<String>,
}

fn problem(answer: &HttpAnswer) -> Option<Problem> {
    if answer.media_type() != PROBLEM_JSON {
        return None;
    }
    let value: Value = serde_json::from_slice(&answer.content).ok()?;
    let text = |key| value.get(key).and_then(Value::as_str);
    let code = text("code");
    Some(Problem {
        code: RefusalCode::ALL.into_iter().find(|one| Some(one.as_str()) == code),
        words: text("detail").or_else(|| text("title")).map(str::to_owned),
    })
}

/// What is told to a person: what the server says, or its status and the first line of what it says.
fn words(answer: &HttpAnswer, of_problem: Option<String>) -> String {
    if let Some(words) = of_problem {
        return cut(words, DETAIL_BYTES_MAX);
    }
    let status = answer.status;
    let text = match answer.media_type().as_str() {
        "text/plain" => core::str::from_utf8(&answer.content).unwrap_or_default(),
        _ => "",
    };
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => {
            let line = sanitize(line, DETAIL_BYTES_MAX / 2);
            format!("the server answered {status}: {line}")
        }
        None => format!("the server answered {status}"),
    }
}

/// Our code for a status of another server.
const fn code_of(status: u16) -> RefusalCode {
    match status {
        400 | 411 | 414 | 416 | 417 | 422 | 431 => RefusalCode::Malformed,
        401 | 402 | 403 | 407 | 451 => RefusalCode::NotPermitted,
        408 => RefusalCode::Timeout,
        409 => RefusalCode::Exists,
        412 | 415 | 501 | 505 => RefusalCode::UnsupportedVersion,
        413 => RefusalCode::TooLarge,
        423 => RefusalCode::Locked,
        425 | 429 => RefusalCode::TooMany,
        460 => RefusalCode::DigestMismatch,
        502..=504 => RefusalCode::Cancelled,
        507 => RefusalCode::InsufficientSpace,
        500..=599 => RefusalCode::Io,
        _ => RefusalCode::Other,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn answer(status: u16, media_type: &str, content: &str) -> HttpAnswer {
        let fields = vec![("content-type".to_owned(), media_type.to_owned())];
        HttpAnswer { status, fields, content: content.as_bytes().to_vec() }
    }

    fn plain(status: u16) -> HttpAnswer {
        HttpAnswer { status, ..HttpAnswer::default() }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let of = |wanted: fn(&Judgement) -> bool| -> Vec<u16> {
            (100..600).filter(|status| wanted(&judge(&plain(*status)))).collect()
        };
        assert_eq!(of(|it| *it == Judgement::Done), (200..300).collect::<Vec<_>>());
        let later = of(|it| matches!(it, Judgement::Later(_)));
        assert_eq!(&later[..8], [408, 423, 425, 429, 500, 502, 503, 504]);
        for never in [301, 400, 403, 404, 409, 410, 412, 413, 415, 460, 501, 505, 507] {
            assert!(!later.contains(&never), "{never}");
        }
    }

    #[test]
    fn a_problem_of_ours_is_told_as_it_is() {
        let json =
            r#"{"type":"about:blank","status":507,"code":"quota-exceeded","detail":"it is full"}"#;
        let refusal = Refusal::new(RefusalCode::QuotaExceeded, "it is full");
        assert_eq!(
            judge(&answer(507, "application/problem+json", json)),
            Judgement::Never(refusal)
        );
        let json = r#"{"code":"too-many"}"#;
        let refusal = Refusal::new(RefusalCode::TooMany, "the server answered 503");
        let judged = judge(&answer(503, "application/problem+json; charset=utf-8", json));
        assert_eq!(judged, Judgement::Later(refusal));
        for code in ["insufficient-space", "io"] {
            let json = format!(r#"{{"code":"{code}"}}"#);
            let judged = judge(&answer(507, "application/problem+json", &json));
            assert!(matches!(judged, Judgement::Never(refusal) if refusal.code.is_temporary()));
        }
    }

    #[test]
    fn others_are_told_by_their_status_and_what_they_say_first() {
        let of = |answer: &HttpAnswer| match judge(answer) {
            Judgement::Never(refusal) => (refusal.code, refusal.detail.unwrap_or_default()),
            other => panic!("{other:?}"),
        };
        let said = of(&answer(403, "text/plain", "\n  no \u{1b}[1m way\nsecond"));
        assert_eq!(said.0, RefusalCode::NotPermitted);
        assert!(said.1.starts_with("the server answered 403: no ") && !said.1.contains('\u{1b}'));
        let said = of(&answer(413, "text/html", "<html>"));
        assert_eq!(said, (RefusalCode::TooLarge, "the server answered 413".to_owned()));
        let foreign = answer(409, "application/problem+json", r#"{"code":"x","title":"Taken"}"#);
        assert_eq!(of(&foreign), (RefusalCode::Exists, "Taken".to_owned()));
    }

    #[test]
    fn a_server_may_ask_for_some_patience_and_not_for_more() {
        let of = |value: &str| {
            let fields = vec![("retry-after".to_owned(), value.to_owned())];
            retry_after_ms(&HttpAnswer { fields, ..plain(503) })
        };
        assert_eq!((of("5"), of("99999999999999"), of("-1"), of("Wed")), (5_000, 60_000, 0, 0));
    }
}
