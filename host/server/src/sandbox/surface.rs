//! What a component imports and exports, and what follows from that: how it is run, or why not.

use wasmparser::{Parser, Payload};

use super::error::ComponentError;
use super::mode::{COMMAND, Mode, RECEIVER};

/// First four bytes of any WebAssembly file, and the four after them in a core module and in a
/// component: WebAssembly core specification, section 5.5.16; component model, Binary.md.
const MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];

/// The names of a component's imports and exports.
pub(super) struct Surface {
    pub(super) exports: Vec<String>,
    pub(super) imports: Vec<String>,
}

impl Surface {
    /// Reads what the component itself imports and exports. What it consists of is skipped, and nothing is
    /// compiled: that may take a minute.
    ///
    /// # Errors
    /// Where it is no component, or no whole one.
    pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Self, ComponentError> {
        check_kind(name, bytes)?;
        let mut surface = Self { exports: Vec::new(), imports: Vec::new() };
        surface.add_all(bytes).map_err(|error| ComponentError::Invalid {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(surface)
    }

    fn add_all(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        // Modules and components within, one in the other.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                // The last one is that of the component itself.
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        self.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        self.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How the component is run, if it gets everything that it imports.
    pub(super) fn judge(&self) -> Result<Mode, ComponentError> {
        let mode = self.mode()?;
        self.check_imports(mode)?;
        Ok(mode)
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
                let (theirs, ours) = (theirs.clone(), ours.to_owned());
                return Err(ComponentError::OtherVersion { theirs, ours });
            }
        }
        let exports = match self.exports.as_slice() {
            [] => String::from("nothing"),
            names => names.join(", "),
        };
        Err(ComponentError::NoReceiver { exports })
    }

    /// Whether a component gets everything that it imports, in this mode.
    pub(super) fn check_imports(&self, mode: Mode) -> Result<(), ComponentError> {
        let missing: Vec<&str> = self
            .imports
            .iter()
            .map(String::as_str)
            .filter(|name| reach(mode, name).is_none())
            .collect();
        for theirs in &missing {
            let (name, _) = split(theirs);
            let package = name.split('/').next().unwrap_or(name);
            let version = PACKAGES.iter().find(|(known, _)| *known == package);
            if let Some((_, version)) = version.filter(|(_, ours)| !agree_in_version(theirs, ours))
            {
                let (theirs, ours) = ((*theirs).to_owned(), format!("{name}@{version}"));
                return Err(ComponentError::OtherVersion { theirs, ours });
            }
        }
        match missing.as_slice() {
            [] => Ok(()),
            names => Err(ComponentError::Import(names.join(", "))),
        }
    }
}

/// Whether the first bytes are those of a component.
fn check_kind(name: &str, bytes: &[u8]) -> Result<(), ComponentError> {
    let name = name.to_owned();
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(MAGIC), Some(COMPONENT_VERSION)) => Ok(()),
        (Some(MAGIC), Some(MODULE_VERSION)) => Err(ComponentError::Module(name)),
        (Some(MAGIC), _) => Err(ComponentError::UnknownVersion(name)),
        _ => Err(ComponentError::NotWasm(name)),
    }
}

/// The packages that something here implements, in these versions.
const PACKAGES: [(&str, &str); 7] = [
    ("sandport:upload", "0.2.0"),
    ("wasi:cli", WASI),
    ("wasi:clocks", WASI),
    ("wasi:filesystem", WASI),
    ("wasi:io", WASI),
    ("wasi:random", WASI),
    ("wasi:sockets", WASI),
];

const WASI: &str = "0.2.0";

/// What a component reaches behind an import in this mode, in words. `None`: it does not get it.
///
/// Whether it really links is decided by the linker; this says what is behind it.
pub(super) fn reach(mode: Mode, import: &str) -> Option<&'static str> {
    use Mode::{PerConnection, Resident};

    let (name, _) = split(import);
    let (package, interface) = name.split_once('/')?;
    let (_, version) = PACKAGES.iter().find(|(known, _)| *known == package)?;
    if !agree_in_version(import, version) {
        return None;
    }
    Some(match (package, interface, mode) {
        ("sandport:upload", _, Resident) => return None,
        ("sandport:upload", "types", _) => "types alone",
        ("sandport:upload", "inbox", _) => "uploads into the inbox, which the host checks",
        ("sandport:upload", "gate", _) => "limits, and the check of credentials",
        ("sandport:upload", "log", _) => "the operator's log, bounded",
        ("wasi:io", ..) => "the streams that it holds, and waiting",
        ("wasi:clocks", "wall-clock", _) => "the time of day",
        ("wasi:clocks", ..) => "a monotonic clock",
        ("wasi:random", ..) => "random numbers",
        ("wasi:cli", "exit", PerConnection) => "the end of its connection",
        ("wasi:cli", "exit", Resident) => "the end of its run",
        ("wasi:cli", "environment", Resident) => "its arguments; an empty environment",
        ("wasi:cli", "stdout" | "stderr", Resident) => {
            "its reports and the operator's log, bounded"
        }
        ("wasi:cli", "stdout" | "stderr", PerConnection) => "the operator's log, bounded",
        ("wasi:cli", "environment", PerConnection) => "nothing: no arguments, no environment",
        ("wasi:cli", ..) => "nothing: no input, no terminal",
        ("wasi:filesystem", _, PerConnection) => "nothing: no directory is open",
        ("wasi:filesystem", _, Resident) => "the inbox, as /inbox, and nothing outside of it",
        ("wasi:sockets", "udp" | "udp-create-socket" | "ip-name-lookup", _)
        | ("wasi:sockets", _, PerConnection) => "nothing: each call is refused",
        ("wasi:sockets", _, Resident) => "listening where it is granted; no connection goes out",
        _ => return None,
    })
}

fn agree_in_version(name: &str, version: &str) -> bool {
    track(split(name).1) == track(version)
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
        Surface { exports, imports: Vec::new() }.mode().map_err(|error| error.to_string())
    }

    fn check(mode: Mode, imports: &[&str]) -> String {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        let checked = Surface { exports: Vec::new(), imports }.check_imports(mode);
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_not_granted_is_named() {
        for mode in [Mode::PerConnection, Mode::Resident] {
            let text = check(mode, &["wasi:io/poll@0.2.3", "wasi:http/types@0.2.3", "acme:a/b"]);
            assert!(text.ends_with(": wasi:http/types@0.2.3, acme:a/b"), "{text}");
            assert_eq!(check(mode, &["wasi:filesystem/types@0.2.9"]), "");
        }
        assert_eq!(check(Mode::PerConnection, &["sandport:upload/inbox@0.2.3"]), "");
        let text = check(Mode::Resident, &["sandport:upload/inbox@0.2.0"]);
        assert!(text.ends_with(": sandport:upload/inbox@0.2.0"), "{text}");
    }

    #[test]
    fn an_import_of_another_version_is_named_together_with_ours() {
        for (theirs, ours) in [
            ("sandport:upload/inbox@0.1.0", "sandport:upload/inbox@0.2.0"),
            ("wasi:filesystem/types@0.3.0", "wasi:filesystem/types@0.2.0"),
        ] {
            let text = check(Mode::PerConnection, &["acme:a/b", theirs]);
            assert!(text.contains(theirs) && text.contains(ours), "{text}");
        }
    }

    #[test]
    fn the_export_decides() {
        assert_eq!(mode(&["sandport:upload/receiver@0.2.7"]), Ok(Mode::PerConnection));
        assert_eq!(mode(&["wasi:cli/run@0.2.12", "a:b/c"]), Ok(Mode::Resident));
        let both = ["wasi:cli/run@0.2.3", "sandport:upload/receiver@0.2.0"];
        assert_eq!(mode(&both), Ok(Mode::PerConnection), "more is kept apart that way");
    }

    #[test]
    fn another_version_is_named_together_with_ours() {
        for theirs in ["sandport:upload/receiver@0.1.0", "wasi:cli/run@0.3.0", "wasi:cli/run@1.0.0"]
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
