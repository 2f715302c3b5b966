//! Whom an answer is for.

use super::fields::Fields;

/// What the client that sent a request makes of an answer. Exchanges keep it for the answers that they give later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::receiver::http) struct Audience {
    /// It asked for JSON.
    pub(super) wants_json: bool,
    /// It is a browser, where a page sends the request or a person has clicked. A challenge of the kind `Basic`
    /// would make it ask that person for a password.
    pub(super) is_browser: bool,
    /// It has shown a credential that holds.
    pub(super) is_authenticated: bool,
}

impl Audience {
    /// What the fields of a request tell of it.
    pub(super) fn of(fields: &Fields) -> Self {
        Self {
            wants_json: fields.tokens("accept").any(is_json),
            is_browser: fields.has("origin")
                || fields.has("sec-fetch-site")
                || fields.has("sec-fetch-mode"),
            is_authenticated: false,
        }
    }
}

/// Whether a member of `Accept` names a JSON type. One that is refused (`q=0`) is not asked for.
fn is_json(member: &str) -> bool {
    let mut parts = member.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_json = media_type.eq_ignore_ascii_case("application/json")
        || media_type.eq_ignore_ascii_case("application/problem+json");
    is_json && !parts.any(is_zero_quality)
}

/// Whether a parameter is a `q` of nothing: `q=0`, `q=0.0` and so on.
fn is_zero_quality(parameter: &str) -> bool {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    value.is_some_and(|value| {
        !value.is_empty() && value.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    })
}
