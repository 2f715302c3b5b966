//! What a resident receiver says that happened: the same lines as what the host knows, marked as the
//! receiver's word.

use std::borrow::Cow;

use sandport_protocol::report::Report;
use sandport_server::Claim;

use super::form::Form;
use crate::console::{bytes, clean};

/// Who it was, where the receiver does not say.
const UNKNOWN: &str = "somebody";

pub(super) fn words(claim: &Claim, form: Form) -> Option<String> {
    Some(match claim {
        Claim::Stored { name, size, peer, .. } if form == Form::Words => {
            let (name, size) = (clean(name), bytes(*size));
            format!("received {name} ({size}) from {}, says the receiver", who(peer.as_deref()))
        }
        Claim::Refused { peer, name, code, detail } => {
            let what =
                name.as_ref().map_or_else(String::new, |name| format!("{} from ", clean(name)));
            let why =
                detail.as_ref().map_or_else(String::new, |words| format!(": {}", clean(words)));
            let (who, code) = (who(peer.as_deref()), clean(code));
            format!("refused {what}{who}: {code}{why}, says the receiver")
        }
        _ => return None,
    })
}

pub(super) fn report(claim: &Claim) -> Option<Report<'_>> {
    Some(match claim {
        Claim::Stored { name, size, digest, peer } => Report::Stored {
            name: name.into(),
            size: *size,
            digest: digest.as_deref().map(Cow::from),
            peer: peer.as_deref().map(Cow::from),
            identity: None,
            claimed: true,
        },
        Claim::Refused { peer, name, code, detail } => Report::Refused {
            name: Some(name.as_deref().map(Cow::from)),
            peer: peer.as_deref().map(Cow::from),
            identity: None,
            code: code.into(),
            detail: detail.as_deref().map(Cow::from),
            claimed: true,
        },
        _ => return None,
    })
}

fn who(peer: Option<&str>) -> String {
    peer.map_or_else(|| String::from(UNKNOWN), clean)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_claim_is_marked_and_has_no_power_over_the_terminal() {
        let claim = Claim::Stored {
            name: String::from("a\u{1b}[2Jb"),
            size: 5,
            digest: None,
            peer: Some(String::from("192.0.2.7:1\n")),
        };
        assert_eq!(
            words(&claim, Form::Words).unwrap(),
            "received a\\u{1b}[2Jb (5 B) from 192.0.2.7:1\\n, says the receiver"
        );
        assert_eq!(words(&claim, Form::FewWords), None);
        assert!(matches!(report(&claim), Some(Report::Stored { claimed: true, .. })));
    }

    #[test]
    fn a_refusal_is_told_with_what_there_is() {
        let refused = |name: Option<&str>, detail: Option<&str>| {
            let (name, detail) = (name.map(str::to_owned), detail.map(str::to_owned));
            let claim = Claim::Refused { peer: None, name, code: String::from("exists"), detail };
            words(&claim, Form::FewWords).unwrap()
        };
        assert_eq!(refused(None, None), "refused somebody: exists, says the receiver");
        assert_eq!(
            refused(Some("a"), Some("it is taken")),
            "refused a from somebody: exists: it is taken, says the receiver"
        );
    }
}
