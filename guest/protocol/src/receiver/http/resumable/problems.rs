//! The problem types of the drafts.

use crate::RefusalCode;
use crate::http::structured::INTEGER_MAX;
use crate::receiver::http::problem::Problem;

const MISMATCHING_OFFSET: &str =
    "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
const COMPLETED: &str = "https://iana.org/assignments/http-problem-types#completed-upload";
const INCONSISTENT_LENGTH: &str =
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";

/// The content of an append belongs somewhere else. Bytes.
pub(super) fn mismatching_offset(expected: u64, provided: u64) -> Problem {
    let words = "the content does not belong where the upload ends";
    Problem::new(409, RefusalCode::OffsetMismatch, words)
        .kind(MISMATCHING_OFFSET)
        .member("expected-offset", expected.min(INTEGER_MAX))
        .member("provided-offset", provided.min(INTEGER_MAX))
}

/// The upload is complete, and nothing can be appended.
pub(super) fn completed() -> Problem {
    Problem::new(400, RefusalCode::InvalidState, "the upload is complete already").kind(COMPLETED)
}

/// What was said of the length, or has come, does not fit together.
pub(super) fn inconsistent_length() -> Problem {
    let words = "the lengths that were said of the upload, or what has come of it, do not agree";
    Problem::new(400, RefusalCode::InvalidState, words).kind(INCONSISTENT_LENGTH)
}
