//! What a component imports and exports, and what follows from that: how it is run, or why not.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::component::ComponentError;

/// What a component exports that is run for each connection.
pub(super) const RECEIVER: &str = "sandport:upload/receiver@0.1.0";

/// What a component exports that is run resident. WASI's patch versions are alike.
pub(super) const COMMAND: &str = "wasi:cli/run@0.2.0";

/// How a component is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A fresh instance for each connection. The component exports `sandport:upload/receiver`.
    PerConnection,
    /// One instance that listens and serves all connections itself. The component exports
    /// `wasi:cli/run`, and follows `wit/RESIDENT.md`.
    Resident,
}

/// The names of a component's imports and exports.
pub(super) struct Surface {
    pub(super) exports: Vec<String>,
}

impl Surface {
    pub(super) fn of(engine: &Engine, component: &Component) -> Self {
        let names = component.component_type();
        let exports = names.exports(engine).map(|(name, _)| name.to_owned()).collect();
        Self { exports }
    }

    /// How the component is run. One that could be run in both modes gets a sandbox for each
    /// connection: that keeps more apart.
    pub(super) fn mode(&self) -> Result<Mode, ComponentError> {
        let exported = |wanted| self.exports.iter().any(|name| agree(name, wanted));
        if exported(RECEIVER) {
            return Ok(Mode::PerConnection);
        }
        if exported(COMMAND) {
            return Ok(Mode::Resident);
        }
        for ours in [RECEIVER, COMMAND] {
            let theirs = self.exports.iter().find(|name| split(name).0 == split(ours).0);
            if let Some(theirs) = theirs {
                return Err(ComponentError::OtherVersion { theirs: theirs.clone(), ours });
            }
        }
        let exports = match self.exports.as_slice() {
            [] => String::from("nothing"),
            names => names.join(", "),
        };
        Err(ComponentError::NoReceiver { exports })
    }
}

/// Whether two names are the same interface in versions that agree: those below 1.0 where the first two
/// numbers do, others where the first does.
fn agree(name: &str, other: &str) -> bool {
    let ((name, version), (other, other_version)) = (split(name), split(other));
    name == other && track(version) == track(other_version)
}

/// `wasi:io/poll@0.2.6` is `wasi:io/poll` and `0.2.6`.
fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

fn track(version: &str) -> &str {
    let mut dots = version.match_indices('.').map(|(index, _)| index);
    let end = if version.starts_with("0.") { dots.nth(1) } else { dots.next() };
    &version[..end.unwrap_or(version.len())]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mode(exports: &[&str]) -> Result<Mode, String> {
        let exports = exports.iter().map(|name| (*name).to_owned()).collect();
        Surface { exports }.mode().map_err(|error| error.to_string())
    }

    #[test]
    fn the_export_decides() {
        assert_eq!(mode(&["sandport:upload/receiver@0.1.7"]), Ok(Mode::PerConnection));
        assert_eq!(mode(&["wasi:cli/run@0.2.12", "a:b/c"]), Ok(Mode::Resident));
        let both = ["wasi:cli/run@0.2.3", "sandport:upload/receiver@0.1.0"];
        assert_eq!(mode(&both), Ok(Mode::PerConnection), "more is kept apart that way");
    }

    #[test]
    fn another_version_is_named_together_with_ours() {
        for theirs in ["sandport:upload/receiver@0.2.0", "wasi:cli/run@0.3.0", "wasi:cli/run@1.0.0"]
        {
            let text = mode(&[theirs]).unwrap_err();
            let ours = if theirs.starts_with("wasi") { COMMAND } else { RECEIVER };
            assert!(text.contains(theirs) && text.contains(ours), "{text}");
        }
    }

    #[test]
    fn versions_agree_as_far_as_semantic_versioning_says() {
        assert!(agree("a:b/c@0.2.0", "a:b/c@0.2.12"));
        assert!(agree("a:b/c@1.2.0", "a:b/c@1.9.0"));
        assert!(!agree("a:b/c@0.2.0", "a:b/c@0.20.0"));
        assert!(!agree("a:b/c@1.0.0", "a:b/c@2.0.0"));
        assert!(!agree("a:b/c@0.2.0", "a:b/d@0.2.0"));
    }
}
