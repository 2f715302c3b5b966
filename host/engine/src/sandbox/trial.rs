//! Starting a component once, before anybody depends on it.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Trap};
use wasmtime_wasi::{I32Exit, WasiCtx};

use super::budget::BudgetExhausted;
use super::component::ComponentError;
use super::engine::{SandboxLimits, Ticker};
use super::memory::MemoryExhausted;
use super::output::{LastWords, Pipe, Sink, Stream};
use super::resident::State;
use super::stopwatch::Stopwatch;
use crate::text::sanitise;

/// Longest last words in the reason of a refusal, in characters: what is kept fits.
const LAST_WORDS_CHARS_MAX: usize = 4_096;

/// Instantiates the component without any power, and within its limits, and drops the instance.
///
/// # Errors
/// [`ComponentError::Start`], where its start traps, exits or does not come to an end.
pub(super) fn start(
    engine: &Engine,
    component: &Component,
    limits: &SandboxLimits,
) -> Result<(), ComponentError> {
    // A thread of its own: the caller may be inside of a runtime, and in a hurry to serve others.
    let outcome = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("sandport-trial".into())
            .spawn_scoped(scope, || instantiate(engine, component, limits))
            .map_err(ComponentError::Thread)
            .map(std::thread::ScopedJoinHandle::join)
    })?;
    // A panic is a fault of this program, and no reason to refuse the component.
    outcome.unwrap_or(Ok(()))
}

fn instantiate(
    engine: &Engine,
    component: &Component,
    limits: &SandboxLimits,
) -> Result<(), ComponentError> {
    let ticker = Ticker::start(engine.clone()).map_err(ComponentError::Thread)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ComponentError::Thread)?;
    let output = Arc::new(Kept::default());
    let started = runtime.block_on(async {
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        // There is no connection to ask for anything.
        linker.define_unknown_imports_as_traps(component)?;
        let stopwatch = Arc::new(Stopwatch::start());
        let wasi = WasiCtx::builder()
            .stdout(Pipe::new(&output, Stream::Stdout))
            .stderr(Pipe::new(&output, Stream::Stderr))
            .build();
        let mut store = State::store(engine, wasi, limits, &stopwatch);
        let _ticking = ticker.tick();
        stopwatch.measure(linker.instantiate_async(&mut store, component)).await.map(drop)
    });
    match started {
        Err(error) if is_its_own(&error) => {
            Err(ComponentError::Start(super::reason(&error) + &output.last_words()))
        }
        // Whatever else is in the way is in the way here alone.
        _ => Ok(()),
    }
}

/// Whether the component brought this upon itself. That there was nobody to ask did not.
fn is_its_own(error: &wasmtime::Error) -> bool {
    error.is::<Trap>()
        || error.is::<I32Exit>()
        || error.is::<BudgetExhausted>()
        || error.is::<MemoryExhausted>()
}

/// Keeps what the component writes, for whoever wants to know why it does not start.
#[derive(Default)]
struct Kept(Mutex<LastWords>);

impl Sink for Kept {
    fn write(&self, _stream: Stream, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Kept {
    /// What it wrote last, on one line that is fit for a terminal and for the end of a sentence.
    fn last_words(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).text();
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("; its last words: {}", sanitise(&lines.join(" / "), LAST_WORDS_CHARS_MAX))
    }
}
