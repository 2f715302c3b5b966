//! Looking at a component without serving with it.

use super::component::{self, ReceiverSource};
use super::engine::{Cache, SandboxLimits};
use super::error::ComponentError;
use super::mode::Mode;
use super::patience::tell_if_slow;
use super::surface::{Surface, reach};

/// What a component is, and whether it would run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// What it is called: its file.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it exports.
    pub exports: Vec<String>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// How it would be run, where its exports say so.
    pub mode: Option<Mode>,
    /// Why it would be refused; `None`: it would run.
    pub refusal: Option<ComponentError>,
}

/// Something that a component imports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// The name of the interface, with its version.
    pub name: String,
    /// What the component reaches behind it, in words; `None`: it does not get it.
    pub reach: Option<&'static str>,
}

/// Looks at a component as a server does before it listens, and says what it found. Its start code is
/// run once, without any power.
///
/// ```no_run
/// use sandport_server::{Cache, ReceiverSource, inspect};
///
/// let receiver = ReceiverSource::File("put.wasm".into());
/// let found = inspect(&receiver, &Cache::Off, None, || ())?;
/// assert!(found.refusal.is_none(), "it would not run");
/// # Ok::<(), sandport_server::ComponentError>(())
/// ```
///
/// `max_memory_bytes` stands in for the limit of its mode. Where compiling takes more than half a second,
/// `slow` is called once meanwhile, on another thread.
///
/// # Errors
/// Only where nothing can be said: the file cannot be read, or no engine be set up.
pub fn inspect(
    source: &ReceiverSource,
    cache: &Cache,
    max_memory_bytes: Option<usize>,
    slow: impl FnOnce() + Send,
) -> Result<Inspection, ComponentError> {
    let (name, bytes) = component::read(source)?;
    let mut found = Inspection {
        name,
        size: bytes.len() as u64,
        exports: Vec::new(),
        imports: Vec::new(),
        mode: None,
        refusal: None,
    };
    let surface = match Surface::read(&found.name, &bytes) {
        Ok(surface) => surface,
        Err(refusal) => {
            found.refusal = Some(refusal);
            return Ok(found);
        }
    };
    found.mode = surface.mode().ok();
    let tried = surface.judge().and_then(|mode| {
        let mut limits = SandboxLimits::of_mode(mode, 1);
        limits.max_memory_bytes = max_memory_bytes.unwrap_or(limits.max_memory_bytes);
        tell_if_slow(component::COMPILING_PATIENCE, slow, || {
            component::try_out(&found.name, &bytes, mode, &limits, cache)
        })
    });
    match tried {
        Err(error @ (ComponentError::Engine(_) | ComponentError::Thread(_))) => return Err(error),
        tried => found.refusal = tried.err(),
    }
    // Without a mode, what it would get as a receiver says most.
    let mode = found.mode.unwrap_or(Mode::PerConnection);
    let import = |name: String| Import { reach: reach(mode, &name), name };
    found.imports = surface.imports.into_iter().map(import).collect();
    found.exports = surface.exports;
    Ok(found)
}
