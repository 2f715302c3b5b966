//! `Upload-Limit`: what may be sent, and for how long.

use alloc::string::String;
use alloc::vec::Vec;

use super::interop::Limit;
use crate::Limits;
use crate::http::structured;

/// The value of the field. `expires_in_s`: how long the upload is kept. Seconds. `None`: there is no such field for
/// this client.
pub(super) fn write(form: Limit, limits: &Limits, expires_in_s: Option<u64>) -> Option<String> {
    let age = match form {
        Limit::None => return None,
        Limit::Expires => "expires",
        Limit::MaxAge => "max-age",
    };
    let members = [
        ("max-size", limits.max_file_size),
        ("max-append-size", limits.max_append_size),
        (age, expires_in_s),
    ];
    let mut members: Vec<_> =
        members.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
    if members.is_empty() {
        // The field says by being there that uploads can be resumed, and it has to have a member.
        members.push(("min-size", 0));
    }
    Some(structured::write_integers(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_member() {
        let mut limits = Limits::default();
        let of = |form, limits: &Limits, expires| write(form, limits, expires);
        assert_eq!(of(Limit::MaxAge, &limits, None).as_deref(), Some("min-size=0"));
        assert_eq!(of(Limit::MaxAge, &limits, Some(60)).as_deref(), Some("max-age=60"));
        assert_eq!(of(Limit::None, &limits, Some(60)), None);
        limits.max_file_size = Some(1_000);
        limits.max_append_size = Some(10);
        let all = "max-size=1000, max-append-size=10, expires=60";
        assert_eq!(of(Limit::Expires, &limits, Some(60)).as_deref(), Some(all));
    }
}
