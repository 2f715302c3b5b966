//! Starting a component once, before anybody depends on it.

use std::sync::{Arc, Mutex, PoisonError};

use sandport_protocol::{Limits, Refusal, RefusalCode};
use tokio::net::UnixStream;
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::backtrace;
use super::bindings::SandboxPre;
use super::connection::Connection;
use super::context::Context;
use super::engine::{SandboxLimits, Ticker};
use super::error::ComponentError;
use super::output::{Console, LastWords, Pipe, Sink, Stream};
use super::resident;
use super::state::{self, State};
use super::stopwatch::Stopwatch;
use crate::budget::Seat;
use crate::event::EventSink;
use crate::net::Peer;
use sandport_inbox::Identity;
use sandport_inbox::{Announced, AnyInbox, Incoming, Storage};
use sandport_protocol::text::sanitize;

/// Longest last words in the reason of a refusal, in characters: what is kept of them fits.
const LAST_WORDS_CHARS_MAX: usize = 4_096;

/// A component with what it finds behind its imports.
pub(super) enum Linked {
    Receiver(SandboxPre<State>),
    Command(CommandPre<resident::State>),
}

/// Instantiates the component within its limits, as a server does, and drops the instance. Of a connection it
/// finds one that nobody is at, of an inbox one that takes nothing, of a directory none.
///
/// # Errors
/// [`ComponentError::Start`], where its start traps, exits or does not come to an end.
pub(super) fn start(
    engine: &Engine,
    linked: &Linked,
    limits: &SandboxLimits,
) -> Result<(), ComponentError> {
    // A thread of its own: the caller may be inside of a runtime, and in a hurry to serve others.
    #[expect(clippy::disallowed_methods, reason = "the limits of the component end it")]
    let outcome = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("sandport-trial".into())
            .spawn_scoped(scope, || instantiate(engine, linked, limits))
            .map_err(ComponentError::Thread)
            .map(std::thread::ScopedJoinHandle::join)
    })?;
    // A panic is a fault of this program, and no reason to refuse the component.
    outcome.unwrap_or(Ok(()))
}

fn instantiate(
    engine: &Engine,
    linked: &Linked,
    limits: &SandboxLimits,
) -> Result<(), ComponentError> {
    let ticker = Ticker::start(vec![engine.clone()]).map_err(ComponentError::Thread)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ComponentError::Thread)?;
    let _ticking = ticker.tick();
    let (started, last_words) = runtime.block_on(async {
        match linked {
            Linked::Receiver(receiver) => start_receiver(engine, receiver, limits).await,
            Linked::Command(command) => Ok(start_command(engine, command, limits).await),
        }
    })?;
    started.map_err(|error| ComponentError::Start(backtrace::reason(&error) + &told(&last_words)))
}

/// Whether it starts, and its last words.
type Started = (wasmtime::Result<()>, String);

async fn start_receiver(
    engine: &Engine,
    receiver: &SandboxPre<State>,
    limits: &SandboxLimits,
) -> Result<Started, ComponentError> {
    let (stream, _) = UnixStream::pair().map_err(ComponentError::Thread)?;
    let inbox = AnyInbox::over(Box::new(Closed), None);
    let context = Context::new(inbox, Limits::default(), EventSink::default());
    let connection =
        Arc::new(Connection::new(stream.into(), Arc::new(context), Arc::new(Seat::alone())));
    let stopwatch = Arc::new(Stopwatch::start());
    let peer = Peer { address: "trial".into(), identity: Identity::ANONYMOUS };
    let console = Arc::new(Console::new(peer));
    let state = State::new(connection, limits, &stopwatch, &console);
    let mut store = Store::new(engine, state);
    state::confine(&mut store, limits);
    let started = stopwatch.measure(receiver.instantiate_async(&mut store)).await;
    Ok((started.map(drop), console.last_words()))
}

async fn start_command(
    engine: &Engine,
    command: &CommandPre<resident::State>,
    limits: &SandboxLimits,
) -> Started {
    let output = Arc::new(Kept::default());
    let wasi = WasiCtx::builder()
        .stdout(Pipe::new(&output, Stream::Stdout))
        .stderr(Pipe::new(&output, Stream::Stderr))
        .build();
    let stopwatch = Arc::new(Stopwatch::start());
    let mut store = resident::State::store(engine, wasi, limits, &stopwatch);
    let started = stopwatch.measure(command.instantiate_async(&mut store)).await;
    (started.map(drop), output.last_words())
}

/// Last words on one line, fit for a terminal and for the end of a sentence.
fn told(last_words: &str) -> String {
    let lines: Vec<&str> =
        last_words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("; its last words: {}", sanitize(&lines.join(" / "), LAST_WORDS_CHARS_MAX))
}

/// An inbox that takes nothing.
struct Closed;

impl Storage for Closed {
    fn begin(&self, _file: &Announced) -> Result<Box<dyn Incoming>, Refusal> {
        Err(Refusal::new(RefusalCode::Cancelled, "nobody is connected"))
    }
}

/// Keeps what a component writes.
#[derive(Default)]
struct Kept(Mutex<LastWords>);

impl Kept {
    fn last_words(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).text()
    }
}

impl Sink for Kept {
    fn write(&self, _stream: Stream, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}
