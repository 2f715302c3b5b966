//! Where the receiver component comes from, and why it would be refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::{self, Cache, Needs, SandboxLimits, TABLE_ELEMENTS_MAX};
use super::patience::tell_if_slow;
use super::surface::{COMMAND, Mode, RECEIVER, Surface};
use super::trial::{self, Linked};
use super::{linker, resident};

/// The default receiver, built by the build script.
const EMBEDDED: &[u8] = include_bytes!(env!("SANDPORT_RECEIVER_FILE"));

/// First four bytes of any WebAssembly file, and the four after them in a core module and in a
/// component: WebAssembly core specification, section 5.5.16; component model, Binary.md.
const MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];

/// What the default receiver needs of the pool, so that a start need not find it out.
const DEFAULT_NEEDS: Needs = Needs { memories: 1, tables: 2 };

/// A page of linear memory: WebAssembly core specification, section 4.2.8. Bytes.
const PAGE_BYTES: u64 = 64 * 1024;

/// Compiling that takes longer is told of: so long a person waits without wondering.
pub(super) const COMPILING_PATIENCE: Duration = Duration::from_millis(500);

/// Which receiver to run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ReceiverSource {
    /// The one that was built with this library.
    #[default]
    Embedded,
    /// A component in a file.
    File(PathBuf),
    /// The bytes of a component.
    Bytes(Vec<u8>),
}

/// Why a receiver can not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file can not be read.
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
    /// It runs resident, and was to run in a sandbox for each connection.
    #[error("the component exports {COMMAND}: it runs resident, and not for each connection")]
    Resident,
    /// It imports what nothing here provides.
    #[error("the component wants what a receiver does not get: {0}")]
    Import(String),
    /// It does not get as far as being asked for anything.
    #[error("the component fails when it is instantiated: {0}")]
    Start(String),
    /// It starts with more memory than is allowed.
    #[error("the component starts with {needed} bytes of memory; allowed are {allowed}")]
    Memory {
        /// Bytes that it starts with.
        needed: u64,
        /// Bytes allowed.
        allowed: usize,
    },
    /// It starts with a larger table than is allowed.
    #[error("the component starts with a table of {needed} elements; allowed are {allowed}")]
    Table {
        /// Elements that it starts with.
        needed: u64,
        /// Elements allowed.
        allowed: usize,
    },
    /// The engine can not be set up: too little address space for so many connections, say.
    #[error("the sandbox can not be set up: {0}")]
    Engine(String),
    /// The system lets no memory become executable: a hardened service, say.
    #[error("the system does not let this process run what it has compiled: {0}")]
    NotExecutable(String),
    /// No thread could be started.
    #[error("a thread can not be started: {0}")]
    Thread(std::io::Error),
}

impl ComponentError {
    pub(super) fn of_engine(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the path",
            Self::NotWasm(_) | Self::UnknownVersion(_) => {
                "give a component: cargo build --target wasm32-wasip2 makes one"
            }
            Self::Module(_) => {
                "build it for wasm32-wasip2, or make a component of it with: wasm-tools component new"
            }
            Self::Invalid { .. } => {
                "build it again for WASI 0.2 (wasm32-wasip2), it may be cut off; if it wants more than it \
                 gets, see --memory-max"
            }
            Self::NoReceiver { .. } => {
                "build it against the world sandport:upload/sandbox of this version (folder wit/), \
                 or as a command that listens itself (wit/RESIDENT.md)"
            }
            Self::OtherVersion { .. } => {
                "build it against the packages of this version (folder wit/), or take the version of \
                 Sandport that it was built for"
            }
            Self::Start(_) => {
                "ask its author: this happens before anybody has connected, and would each time"
            }
            Self::Resident => "build the server with build_any",
            Self::Import(_) => {
                "use only what the world sandport:upload/sandbox imports, and WASI 0.2; a resident \
                 component gets WASI 0.2 alone"
            }
            Self::Memory { .. } => "allow more with --memory-max",
            Self::NotExecutable(_) => {
                "allow memory that becomes executable: MemoryDenyWriteExecute=no with systemd, execmem with \
                 SELinux"
            }
            Self::Table { .. } => {
                "build it with smaller tables: an interpreter with a large library has 20,000 elements"
            }
            Self::Engine(_) => "lower --max-connections or --memory-max",
            Self::Thread(_) => "raise the limit on processes (ulimit -u)",
        }
    }
}

/// A component that is compiled for the mode in which it runs.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) component: Component,
    pub(super) mode: Mode,
    pub(super) limits: SandboxLimits,
}

/// Checks a component, and compiles it, or takes its compiled form from the cache, on an engine whose
/// pool fits it. `slow` is told what it is called, where compiling takes long.
pub(super) fn load(
    source: &ReceiverSource,
    cache: &Cache,
    limits: impl FnOnce(Mode) -> SandboxLimits,
    connections_max: u32,
    slow: impl FnOnce(&str) + Send,
) -> Result<Loaded, ComponentError> {
    let (name, bytes) = read(source)?;
    let ours = matches!(source, ReceiverSource::Embedded);
    let mode = if ours { Mode::PerConnection } else { Surface::read(&name, &bytes)?.judge()? };
    let limits = limits(mode);
    let instances = match mode {
        Mode::PerConnection => connections_max,
        Mode::Resident => 1,
    };
    tell_if_slow(
        COMPILING_PATIENCE,
        || slow(&name),
        || {
            let needs =
                if ours { DEFAULT_NEEDS } else { try_out(&name, &bytes, mode, &limits, cache)? };
            let engine = engine::engine(cache, &limits, instances, needs)
                .map_err(ComponentError::of_engine)?;
            let component = compile(&engine, &name, &bytes)?;
            Ok(Loaded { engine, component, mode, limits })
        },
    )
}

/// Finds out whether a component would run in a mode, and what it needs: whether it compiles, gets what it
/// imports, fits its limits, and starts. A server and `inspect` both ask this.
pub(super) fn try_out(
    name: &str,
    bytes: &[u8],
    mode: Mode,
    limits: &SandboxLimits,
    cache: &Cache,
) -> Result<Needs, ComponentError> {
    // An engine without a pool: that would refuse what it has no room for.
    let engine = engine::scratch_engine(cache).map_err(ComponentError::of_engine)?;
    let component = compile(&engine, name, bytes)?;
    // `None`: it imports modules or components, which linking refuses.
    let required = component.resources_required();
    let needs = required.as_ref().map_or(DEFAULT_NEEDS, |required| Needs {
        memories: required.num_memories.max(1),
        tables: required.num_tables.max(1),
    });
    let pages = required.as_ref().and_then(|required| required.max_initial_memory_size);
    let needed = pages.unwrap_or(0).saturating_mul(PAGE_BYTES);
    if needed > limits.memory_bytes_max as u64 {
        return Err(ComponentError::Memory { needed, allowed: limits.memory_bytes_max });
    }
    let needed = required.and_then(|required| required.max_initial_table_size).unwrap_or(0);
    if needed > TABLE_ELEMENTS_MAX as u64 {
        return Err(ComponentError::Table { needed, allowed: TABLE_ELEMENTS_MAX });
    }
    let linked = match mode {
        Mode::PerConnection => Linked::Receiver(linker::link(&engine, &component)?),
        Mode::Resident => Linked::Command(resident::link(&engine, &component)?),
    };
    trial::start(&engine, &linked, limits)?;
    Ok(needs)
}

fn compile(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Component, ComponentError> {
    Component::from_binary(engine, bytes).map_err(|error| not_compiled(name, &error))
}

/// Whether a component is at fault that could not be compiled, or the system. A compiler has nothing to ask of
/// the system: where that has refused something, it was memory for what was compiled.
fn not_compiled(name: &str, error: &wasmtime::Error) -> ComponentError {
    let reason = format!("{error:#}");
    match error.root_cause().downcast_ref::<Errno>() {
        Some(&Errno::ACCESS | &Errno::PERM) => ComponentError::NotExecutable(reason),
        Some(_) => ComponentError::Engine(reason),
        None => ComponentError::Invalid { name: name.to_owned(), reason },
    }
}

/// The bytes of a component, and what to call it.
pub(super) fn read(source: &ReceiverSource) -> Result<(String, Vec<u8>), ComponentError> {
    match source {
        ReceiverSource::Embedded => Ok((String::from("the embedded receiver"), EMBEDDED.to_vec())),
        ReceiverSource::Bytes(bytes) => Ok((String::from("the component"), bytes.clone())),
        ReceiverSource::File(path) => Ok((path.display().to_string(), read_file(path)?)),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ComponentError> {
    std::fs::read(path).map_err(|source| ComponentError::Read { path: path.to_owned(), source })
}

/// Whether the first bytes are those of a component.
pub(super) fn check_kind(name: &str, bytes: &[u8]) -> Result<(), ComponentError> {
    let name = name.to_owned();
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(MAGIC), Some(COMPONENT_VERSION)) => Ok(()),
        (Some(MAGIC), Some(MODULE_VERSION)) => Err(ComponentError::Module(name)),
        (Some(MAGIC), _) => Err(ComponentError::UnknownVersion(name)),
        _ => Err(ComponentError::NotWasm(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the engine reports them: what was refused, and what it was at.
    fn reported(errno: Errno) -> ComponentError {
        let error = wasmtime::Error::from(errno);
        not_compiled("a.wasm", &error.context("unable to make memory executable"))
    }

    #[test]
    fn a_system_that_runs_no_compiled_code_is_not_a_fault_of_the_component() {
        for errno in [Errno::ACCESS, Errno::PERM] {
            let error = reported(errno);
            assert!(matches!(error, ComponentError::NotExecutable(_)), "{error:?}");
            assert!(error.hint().contains("MemoryDenyWriteExecute=no"), "{}", error.hint());
        }
        let error = reported(Errno::NOMEM);
        assert!(matches!(error, ComponentError::Engine(_)), "{error:?}");
    }

    #[test]
    fn a_component_that_does_not_compile_is_named() {
        let error = not_compiled("a.wasm", &wasmtime::Error::msg("unexpected end"));
        assert_eq!(error.to_string(), "a.wasm is not a valid component: unexpected end");
    }
}
