//! The anchors of headings, as GitHub makes them.

use std::collections::BTreeMap;

/// Gives each heading of a document its anchor.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    /// How often each text occurred.
    counts: BTreeMap<String, usize>,
}

impl Anchors {
    /// The anchor of the next heading. A text that occurred before gets a number.
    pub(crate) fn of(&mut self, heading: &str) -> String {
        let slug = slug(heading);
        let count = self.counts.entry(slug.clone()).or_default();
        let anchor = if *count == 0 { slug } else { format!("{slug}-{count}") };
        *count += 1;
        anchor
    }
}

/// Letters, digits, `-` and `_` in lower case; spaces become `-`, everything else is dropped.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        let mut anchors = Anchors::default();
        let mut of = |heading| anchors.of(heading);
        assert_eq!(of("Resumable uploads of the IETF"), "resumable-uploads-of-the-ietf");
        assert_eq!(
            of("`host/inbox/`: crate `sandport-inbox`, the disk"),
            "hostinbox-crate-sandport-inbox-the-disk"
        );
        assert_eq!(of("Who a sender is?"), "who-a-sender-is");
        assert_eq!(of("Options"), "options");
        assert_eq!(of("Options"), "options-1");
    }
}
