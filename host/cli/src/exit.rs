//! Exit codes.

/// The exit codes that are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is stored and verified.
    Done = 0,
    /// Some files failed, for reasons that have no one code, or others did not fail.
    SomeFailed = 1,
    /// The command line or the settings make no sense.
    Usage = 2,
    /// The same command may succeed later.
    Temporary = 3,
    /// The server does not want it: identity, policy, quota, clash.
    #[cfg(feature = "send")]
    Refused = 4,
    /// What arrived is not what was sent.
    Integrity = 5,
    /// A resident receiver does not run.
    #[cfg(feature = "serve")]
    Receiver = 6,
    /// This machine's files or network failed.
    LocalIo = 7,
    /// Ctrl-C.
    Interrupted = 130,
}
