//! Where the receiver component comes from, and whether it would run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::{self, Cache, Needs, Pool, SandboxLimits, TABLE_ELEMENTS_MAX};
use super::error::ComponentError;
use super::mode::Mode;
use super::patience::tell_if_slow;
use super::surface::Surface;
use super::trial::{self, Linked};
use super::{linker, resident};

/// The default receiver, built by the build script.
const EMBEDDED: &[u8] = include_bytes!(env!("SANDPORT_RECEIVER_FILE"));

/// What the default receiver needs of the pool, so that a start need not find it out.
const DEFAULT_NEEDS: Needs = Needs { memories: 1, tables: 2 };

/// A page of linear memory: WebAssembly core specification, section 4.2.8. Bytes.
const PAGE_BYTES: u64 = 64 * 1024;

/// Instances that stay warm: as many as there are connections with a request under way at once, on a server that is
/// busy with small files. Each keeps some hundred kilobytes.
pub(super) const WARM_INSTANCES: u32 = 64;

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

/// A component that is compiled for the mode in which it runs.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) component: Component,
    /// The same, on an engine for so many instances as stay warm; `None`: there are none.
    pub(super) warm: Option<(Engine, Component)>,
    pub(super) mode: Mode,
    pub(super) limits: SandboxLimits,
}

/// Checks a component, and compiles it, or takes its compiled form from the cache, on an engine whose
/// pool fits it. `slow` is told what it is called, where compiling takes long.
pub(super) fn load(
    source: &ReceiverSource,
    cache: &Cache,
    limits: impl FnOnce(Mode) -> SandboxLimits,
    max_connections: u32,
    slow: impl FnOnce(&str) + Send,
) -> Result<Loaded, ComponentError> {
    let (name, bytes) = read(source)?;
    let ours = matches!(source, ReceiverSource::Embedded);
    let mode = if ours { Mode::PerConnection } else { Surface::read(&name, &bytes)?.judge()? };
    let limits = limits(mode);
    let instances = match mode {
        Mode::PerConnection => max_connections,
        Mode::Resident => 1,
    };
    tell_if_slow(
        COMPILING_PATIENCE,
        || slow(&name),
        || {
            let needs =
                if ours { DEFAULT_NEEDS } else { try_out(&name, &bytes, mode, &limits, cache)? };
            let on_engine = |instances, kept| {
                let engine = engine::engine(cache, &limits, instances, needs, kept)
                    .map_err(ComponentError::of_engine)?;
                let component = compile(&engine, &name, &bytes)?;
                Ok::<_, ComponentError>((engine, component))
            };
            let (engine, component) = on_engine(instances, Pool::Cold)?;
            // Out of the cache, where the line above has put it: compiling twice would cost more than it gains.
            let warm = (mode == Mode::PerConnection && matches!(cache, Cache::Directory(_)))
                .then(|| on_engine(WARM_INSTANCES, Pool::Warm))
                .transpose()?;
            Ok(Loaded { engine, component, warm, mode, limits })
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
    if needed > limits.max_memory_bytes as u64 {
        return Err(ComponentError::Memory { needed, allowed: limits.max_memory_bytes });
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As the engine reports them: what was refused, and what it was at.
    fn reported(errno: Errno) -> ComponentError {
        let error = wasmtime::Error::from(errno);
        not_compiled("a.wasm", &error.context("unable to make memory executable"))
    }

    #[test]
    fn a_system_that_runs_no_compiled_code_is_no_component_fault() {
        for errno in [Errno::ACCESS, Errno::PERM] {
            let error = reported(errno);
            assert!(matches!(error, ComponentError::NotExecutable(_)), "{error:?}");
            assert_eq!(error.code(), "sandbox");
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
