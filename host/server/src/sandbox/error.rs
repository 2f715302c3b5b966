//! Why a receiver component is refused.

use std::path::PathBuf;

use super::mode::{COMMAND, RECEIVER};
use crate::error_kind::ServerErrorKind;

/// Why a receiver cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not begin as WebAssembly does.
    #[error("{0} is not WebAssembly")]
    NotWasm(String),
    /// It is a core module.
    #[error("{0} is a core module and not a component")]
    Module(String),
    /// It is WebAssembly of an unknown kind or version.
    #[error("{0} is WebAssembly of an unknown version")]
    UnknownVersion(String),
    /// It does not validate or compile: cut off or damaged, say.
    #[error("{name} is not a valid component: {reason}")]
    Invalid {
        /// The file.
        name: String,
        /// What the compiler says.
        reason: String,
    },
    /// It exports neither a receiver nor a command.
    #[error("the component does not export {RECEIVER}, nor {COMMAND}; it exports {exports}")]
    NoReceiver {
        /// What it exports instead.
        exports: String,
    },
    /// It is built for a version of a package that this library does not speak.
    #[error("the component is built for {theirs}; this version speaks {ours}")]
    OtherVersion {
        /// The interface with its version, as the component names it.
        theirs: String,
        /// The interface with the version that would do.
        ours: String,
    },
    /// It runs resident, and was to run in a sandbox for each connection. [`ServerBuilder::build_any`] takes both.
    ///
    /// [`ServerBuilder::build_any`]: crate::ServerBuilder::build_any
    #[error("the component exports {COMMAND}: it runs resident, and not for each connection")]
    Resident,
    /// It imports what nothing here provides.
    #[error("the component imports what a receiver does not get: {0}")]
    Import(String),
    /// It does not get as far as being asked for anything.
    #[error("the component fails when it is instantiated: {0}")]
    Start(String),
    /// It starts with more memory than is allowed.
    #[error("the component needs {needed} bytes of memory; {allowed} are allowed")]
    Memory {
        /// Bytes that it starts with.
        needed: u64,
        /// Bytes allowed.
        allowed: usize,
    },
    /// It starts with a larger table than is allowed.
    #[error("the component needs a table of {needed} elements; {allowed} are allowed")]
    Table {
        /// Elements that it starts with.
        needed: u64,
        /// Elements allowed.
        allowed: usize,
    },
    /// The engine cannot be set up: too little address space for so many connections, say.
    #[error("the sandbox cannot be set up: {0}")]
    Engine(String),
    /// The system lets no memory become executable: a hardened service, say.
    #[error("the system does not let this process run what it has compiled: {0}")]
    NotExecutable(String),
    /// No thread could be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

impl ComponentError {
    pub(super) fn of_engine(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ServerErrorKind {
        match self {
            Self::Read { .. } | Self::Engine(_) | Self::NotExecutable(_) | Self::Thread(_) => {
                ServerErrorKind::Local
            }
            Self::NotWasm(_)
            | Self::Module(_)
            | Self::UnknownVersion(_)
            | Self::Invalid { .. }
            | Self::NoReceiver { .. }
            | Self::OtherVersion { .. }
            | Self::Resident
            | Self::Import(_)
            | Self::Start(_)
            | Self::Memory { .. }
            | Self::Table { .. } => ServerErrorKind::Usage,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "receiver-unreadable",
            Self::Engine(_) | Self::NotExecutable(_) | Self::Thread(_) => "sandbox",
            Self::NotWasm(_)
            | Self::Module(_)
            | Self::UnknownVersion(_)
            | Self::Invalid { .. }
            | Self::NoReceiver { .. }
            | Self::OtherVersion { .. }
            | Self::Resident
            | Self::Import(_)
            | Self::Start(_)
            | Self::Memory { .. }
            | Self::Table { .. } => "receiver-unfit",
        }
    }
}
