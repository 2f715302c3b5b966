//! The sandbox: one fresh instance of the receiver component for each connection.
//!
//! A [`Sandbox`] holds the compiled component; [`Sandbox::serve`] runs it on one connection. What the
//! guest can reach is the connection's two streams and the interfaces `inbox`, `gate` and `log`;
//! everything else that it may import is a stand-in without power.

mod ahead;
mod backtrace;
mod bindings;
mod budget;
mod buffers;
mod component;
mod connection;
mod context;
mod convert;
mod engine;
mod error;
mod handles;
mod host;
mod inspect;
mod linker;
mod memory;
mod mode;
mod output;
mod patience;
mod replay;
mod resident;
mod sender;
mod sharing;
pub(crate) mod spans;
mod state;
mod stopwatch;
mod streams;
mod surface;
mod telling;
mod trial;
mod writers;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use sandport_protocol::Refusal;
use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use crate::event::ServerEvent;

pub use component::ReceiverSource;
pub(crate) use connection::Connection;
pub(crate) use context::Context;
pub use engine::{Cache, SandboxLimits};
pub use error::ComponentError;
pub use inspect::{Import, Inspection, inspect};
pub use mode::Mode;
pub(crate) use resident::{
    Grants, Heard, INBOX as RESIDENT_INBOX, Output, ResidentSandbox, RunEnd,
};

pub(crate) use sharing::Sharing;

use bindings::SandboxPre;
use bindings::exports::sandport::upload::receiver::Ending;
use engine::Ticker;
use output::Console;
use state::State;
use stopwatch::Stopwatch;

/// A compiled receiver, ready to be instantiated for each connection.
pub(crate) struct Sandbox {
    pre: SandboxPre<State>,
    warm: Option<Warm>,
    limits: SandboxLimits,
    ticker: Ticker,
}

/// The first instances at once: they keep their memory from one connection to the next.
struct Warm {
    pre: SandboxPre<State>,
    free: Semaphore,
}

impl Warm {
    fn new(engine: &Engine, component: &Component) -> Result<Self, ComponentError> {
        let free = Semaphore::new(component::WARM_INSTANCES as usize);
        Ok(Self { pre: linker::link(engine, component)?, free })
    }
}

/// How a connection ended, as far as the sandbox knows.
pub(crate) enum Outcome {
    /// The receiver returned.
    Served(Result<(), Refusal>),
    /// The receiver returned, and another instance is to serve what follows on the connection.
    Again,
    /// The receiver trapped or went over its budget. Reason and last words are for the operator, and the
    /// last words not sanitized.
    Trapped { reason: String, last_words: String },
}

/// A component that is ready to run, in its mode.
pub(crate) enum AnySandbox {
    PerConnection(Sandbox),
    Resident(ResidentSandbox),
}

impl AnySandbox {
    /// Compiles a receiver, or loads its compiled form from the cache, with room for
    /// `max_connections` connections at once. Where that takes more than half a second, `slow` is called once
    /// meanwhile, on another thread, with what the receiver is called.
    pub(crate) fn load(
        source: &ReceiverSource,
        cache: &Cache,
        limits: impl FnOnce(Mode) -> SandboxLimits,
        max_connections: u32,
        slow: impl FnOnce(&str) + Send,
    ) -> Result<Self, ComponentError> {
        let loaded = component::load(source, cache, limits, max_connections, slow)?;
        let engines = loaded.warm.iter().map(|(engine, _)| engine).chain([&loaded.engine]);
        let ticker = Ticker::start(engines.cloned().collect()).map_err(ComponentError::Thread)?;
        Ok(match loaded.mode {
            Mode::PerConnection => {
                let pre = linker::link(&loaded.engine, &loaded.component)?;
                let warm = loaded.warm.map(|(engine, component)| Warm::new(&engine, &component));
                let warm = warm.transpose()?;
                Self::PerConnection(Sandbox { pre, warm, limits: loaded.limits, ticker })
            }
            Mode::Resident => Self::Resident(ResidentSandbox::new(
                &loaded.engine,
                &loaded.component,
                loaded.limits,
                ticker,
            )?),
        })
    }
}

impl Sandbox {
    /// Runs a fresh instance on a connection, until it returns. The instance is gone then.
    ///
    /// Dropping the future ends the connection at once.
    pub(crate) async fn serve(&self, connection: &Arc<Connection>) -> Outcome {
        let _ticking = self.ticker.tick();
        // Held until the instance is gone.
        let warm = self.warm.as_ref().and_then(|warm| Some((warm, warm.free.try_acquire().ok()?)));
        let pre = warm.as_ref().map_or(&self.pre, |(warm, _)| &warm.pre);
        connection.begin_share();
        let stopwatch = Arc::new(Stopwatch::start());
        let gate = Arc::clone(connection);
        let console = Console::new(connection.peer());
        let console = Arc::new(console.gated(move |line| gate.admits_line(line)));
        let mut run = pin!(self.run(pre, connection, &stopwatch, &console));
        let run = poll_fn(|context| {
            let polled = run.as_mut().poll(context);
            if polled.is_pending() {
                connection.replay.handle_pause();
            }
            polled
        });
        let ended = stopwatch.measure(run).await;
        console.finish();
        match ended {
            Ok(Ok(Ending::Again(_))) => Outcome::Again,
            Ok(Ok(Ending::Close)) => Outcome::Served(Ok(())),
            Ok(Err(refusal)) => Outcome::Served(Err(refusal)),
            Err(error) => {
                let told = connection.context.trap_details_wanted();
                if told {
                    backtrace::log(Some(&connection.peer()), &error);
                }
                let last_words = if told { console.last_words() } else { String::new() };
                Outcome::Trapped { reason: backtrace::reason(&error), last_words }
            }
        }
    }

    async fn run(
        &self,
        pre: &SandboxPre<State>,
        connection: &Arc<Connection>,
        stopwatch: &Arc<Stopwatch>,
        console: &Arc<Console>,
    ) -> wasmtime::Result<Result<Ending, Refusal>> {
        let since = Instant::now();
        let state = State::new(Arc::clone(connection), &self.limits, stopwatch, console);
        let mut store = Store::new(pre.engine(), state);
        state::confine(&mut store, &self.limits);
        let (peer, input, output) = store.data_mut().arguments()?;
        let instance = pre.instantiate_async(&mut store).await?;
        let (other_end, setup) = (connection.peer(), since.elapsed());
        connection.emit(ServerEvent::SandboxReady { peer: other_end, setup });
        let receiver = instance.sandport_upload_receiver();
        store.data_mut().charge_memory();
        let outcome = receiver.call_serve(&mut store, &peer, input, output).await?;
        if let Ok(Ending::Again(left)) = outcome {
            store.into_data().leave_accounts()?;
            connection.leave(left)?;
        }
        Ok(outcome.map_err(convert::refusal))
    }
}
