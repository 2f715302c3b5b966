//! How a component is run, which its exports decide.

/// What a component exports that is run for each connection.
pub(super) const RECEIVER: &str = "sandport:upload/receiver@0.2.0";

/// What a component exports that is run resident. WASI's patch versions are alike.
pub(super) const COMMAND: &str = "wasi:cli/run@0.2.0";

/// How a component is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// A fresh instance for each connection. The component exports `sandport:upload/receiver`.
    PerConnection,
    /// One instance that listens and serves all connections itself. The component exports
    /// `wasi:cli/run`, and follows `wit/RESIDENT.md`.
    Resident,
}

impl Mode {
    /// A stable word for it: `per-connection`, `resident`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PerConnection => "per-connection",
            Self::Resident => "resident",
        }
    }
}
