//! What the drafts of the resumable uploads of the IETF have in common, and where they differ.
//!
//! Programs that were shipped speak the draft of their day, and say so by a number (`Upload-Draft-Interop-Version`).
//! Read in draft-ietf-httpbis-resumable-upload-01 to -13.

use crate::http::structured;
use crate::receiver::http::fields::Fields;

/// What clients of one interop number, or of none, expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interop {
    /// The number, which interim answers repeat. `None`: a client without a number, or with one that is not known
    /// here, which gets no interim answers.
    pub(super) number: Option<u8>,
    /// Completeness is told by `Upload-Incomplete`, the other way round.
    pub(super) is_inverted: bool,
    /// What a `PATCH` means that does not say whether it completes the upload. `None`: it is refused.
    pub(super) completes_silently: Option<bool>,
    /// The content of a `PATCH` is `application/partial-upload`, and nothing else is taken.
    pub(super) has_media_type: bool,
    /// `104` also tells how far the upload is.
    pub(super) has_progress: bool,
    pub(super) limit: Limit,
    /// The status code of a `PATCH` that did not complete the upload.
    pub(super) appended: u16,
    pub(super) to_complete: ToComplete,
    /// A `DELETE` that tells an offset or completeness is refused, as a `HEAD` is by all.
    pub(super) is_strict_in_delete: bool,
}

/// How `Upload-Limit` tells how long the upload is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// There is no such field.
    None,
    /// `expires`.
    Expires,
    /// `max-age`.
    MaxAge,
}

/// What answers a `PATCH` to an upload that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToComplete {
    /// The problem `completed-upload`.
    Refused,
    /// The final answer again, where nothing is appended at the right offset.
    AnswersAgain,
}

const OLDEST: Interop = Interop {
    number: Some(3),
    is_inverted: true,
    completes_silently: Some(true),
    has_media_type: false,
    has_progress: false,
    limit: Limit::None,
    appended: 201,
    to_complete: ToComplete::Refused,
    is_strict_in_delete: true,
};

const NEWEST: Interop = Interop {
    number: None,
    is_inverted: false,
    completes_silently: None,
    has_media_type: true,
    has_progress: true,
    limit: Limit::MaxAge,
    appended: 204,
    to_complete: ToComplete::AnswersAgain,
    is_strict_in_delete: false,
};

/// Every number that is known. Where the drafts leave a choice, this is what their examples do.
pub(super) const KNOWN: [Interop; 8] = [
    // -01: iOS 17.
    OLDEST,
    // -02. Its example of an append leaves `Upload-Complete` away, and does not complete by that.
    Interop { number: Some(4), is_inverted: false, completes_silently: Some(false), ..OLDEST },
    // -03: iOS 18.0, tus-js-client `ietf-draft-03`.
    Interop {
        number: Some(5),
        is_inverted: false,
        completes_silently: Some(false),
        has_progress: true,
        ..OLDEST
    },
    // -04 and -05: iOS 18.1, tus-js-client `ietf-draft-05`.
    Interop {
        number: Some(6),
        limit: Limit::Expires,
        appended: 201,
        to_complete: ToComplete::Refused,
        ..NEWEST
    },
    // -06 to -08.
    Interop { number: Some(7), to_complete: ToComplete::Refused, ..NEWEST },
    // -09 to -11: iOS 26.2.
    Interop { number: Some(8), to_complete: ToComplete::Refused, ..NEWEST },
    // -12.
    Interop { number: Some(9), ..NEWEST },
    // -13.
    Interop { number: Some(10), ..NEWEST },
];

impl Interop {
    /// What the client of a request expects.
    pub(super) fn of(fields: &Fields) -> Self {
        let number = fields.list("upload-draft-interop-version");
        let number = number.and_then(|field| structured::unsigned(field.as_bytes()));
        let known = KNOWN.iter().find(|row| row.number.map(u64::from) == number);
        number.and(known).copied().unwrap_or(NEWEST)
    }

    /// Whether the request completes the upload. `None`: it does not say.
    pub(super) fn completes(self, fields: &Fields) -> Option<bool> {
        let boolean = |name| structured::boolean(fields.list(name)?.as_bytes());
        let inverted = self.is_inverted.then(|| boolean("upload-incomplete")).flatten();
        inverted.map(|is_incomplete| !is_incomplete).or_else(|| boolean("upload-complete"))
    }

    /// The field that tells completeness, and its value.
    pub(super) fn completeness(self, is_complete: bool) -> (&'static str, &'static str) {
        match self.is_inverted {
            true => ("Upload-Incomplete", structured::write_boolean(!is_complete)),
            false => ("Upload-Complete", structured::write_boolean(is_complete)),
        }
    }

    /// Whether the client takes `104`.
    pub(super) fn takes_interim(self) -> bool {
        self.number.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: Option<&str>) -> Interop {
        let mut fields = Fields::default();
        if let Some(number) = number {
            fields.push("Upload-Draft-Interop-Version", number.as_bytes());
        }
        Interop::of(&fields)
    }

    #[test]
    fn each_number_is_told_apart_and_another_one_is_as_none() {
        for row in KNOWN {
            let number = row.number.map(|number| alloc::format!("{number}"));
            assert_eq!(of(number.as_deref()), row);
            assert!(of(number.as_deref()).takes_interim());
        }
        for number in [None, Some("2"), Some("11"), Some("x"), Some(""), Some("-8"), Some("8.0")] {
            assert_eq!(of(number), NEWEST, "{number:?}");
            assert!(!of(number).takes_interim());
        }
    }

    #[test]
    fn completeness_of_number_three_is_the_other_way_round() {
        let mut fields = Fields::default();
        fields.push("Upload-Incomplete", b"?1");
        assert_eq!(of(Some("3")).completes(&fields), Some(false));
        assert_eq!(of(Some("4")).completes(&fields), None);
        assert_eq!(of(Some("3")).completeness(true), ("Upload-Incomplete", "?0"));
        assert_eq!(of(Some("4")).completeness(true), ("Upload-Complete", "?1"));
        fields = Fields::default();
        fields.push("Upload-Complete", b"?1");
        fields.push("Upload-Complete", b"?1");
        assert_eq!(of(None).completes(&fields), None, "a field that is there twice is ignored");
    }
}
