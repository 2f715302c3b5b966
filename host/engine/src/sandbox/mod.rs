//! The sandbox: one fresh instance of the receiver component for each connection.
//!
//! A [`Sandbox`] holds the compiled component; [`Sandbox::serve`] runs it on one connection. What the
//! guest can reach is the connection's two streams and the interfaces `inbox`, `gate` and `log`;
//! everything else that it may import is a stand-in without power.

mod bindings;
mod budget;
mod buffers;
mod component;
mod connection;
mod convert;
mod engine;
mod host;
mod inspect;
mod linker;
mod resident;
mod state;
mod streams;
mod surface;
mod trial;
mod writers;

use std::sync::Arc;
use std::time::Instant;

use sandport_protocol::Refusal;
use wasmtime::Store;

use crate::server::ServerEvent;

pub use component::{ComponentError, ReceiverSource};
pub(crate) use connection::{Connection, Context};
pub use engine::{Cache, SandboxLimits};
pub use inspect::{Import, Inspection, inspect};
pub use resident::Claim;
pub(crate) use resident::{
    Grants, Heard, INBOX as RESIDENT_INBOX, Output, ResidentSandbox, RunEnd,
};
pub use surface::Mode;

use bindings::SandboxPre;
use engine::Ticker;
use state::State;

/// A compiled receiver, ready to be instantiated for each connection.
pub(crate) struct Sandbox {
    pre: SandboxPre<State>,
    limits: SandboxLimits,
    ticker: Ticker,
}

/// How a connection ended, as far as the sandbox knows.
pub(crate) enum Outcome {
    /// The receiver returned.
    Served(Result<(), Refusal>),
    /// The receiver trapped or went over its budget. The reason is for the operator.
    Trapped(String),
}

/// A component that is ready to run, in its mode.
pub(crate) enum AnySandbox {
    PerConnection(Sandbox),
    Resident(ResidentSandbox),
}

impl AnySandbox {
    /// Compiles a receiver, or loads its compiled form from the cache, with room for
    /// `connections_max` connections at once.
    pub(crate) fn load(
        source: &ReceiverSource,
        cache: &Cache,
        limits: impl FnOnce(Mode) -> SandboxLimits,
        connections_max: u32,
    ) -> Result<Self, ComponentError> {
        let loaded = component::load(source, cache, limits, connections_max)?;
        let ticker = Ticker::start(loaded.engine.clone()).map_err(ComponentError::Thread)?;
        Ok(match loaded.mode {
            Mode::PerConnection => {
                let pre = linker::link(&loaded.engine, &loaded.component)?;
                Self::PerConnection(Sandbox { pre, limits: loaded.limits, ticker })
            }
            Mode::Resident => Self::Resident(ResidentSandbox::new(&loaded, ticker)?),
        })
    }
}

impl Sandbox {
    /// Runs a fresh instance on one connection, to its end. The instance is gone when this returns.
    ///
    /// Dropping the future ends the connection at once.
    pub(crate) async fn serve(&self, connection: &Arc<Connection>) -> Outcome {
        let _ticking = self.ticker.tick();
        match self.run(connection).await {
            Ok(outcome) => Outcome::Served(outcome),
            Err(error) => Outcome::Trapped(reason(&error)),
        }
    }

    async fn run(&self, connection: &Arc<Connection>) -> wasmtime::Result<Result<(), Refusal>> {
        let since = Instant::now();
        let mut store =
            Store::new(self.pre.engine(), State::new(Arc::clone(connection), &self.limits));
        state::confine(&mut store, &self.limits);
        let (peer, input, output) = store.data_mut().arguments()?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        let peer_name = connection.peer.clone();
        connection.emit(ServerEvent::SandboxReady { peer: peer_name, setup: since.elapsed() });
        let receiver = instance.sandport_upload_receiver();
        let outcome = receiver.call_serve(&mut store, &peer, input, output).await?;
        Ok(outcome.map_err(convert::refusal))
    }
}

/// The root of a trap, in one line.
fn reason(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}
