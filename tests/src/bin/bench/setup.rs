//! How long the set-up of a sandbox takes, as the engine reports it: the server runs in this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sandport_inbox::{Durability, Inbox, InboxOptions};
use sandport_server::Server;
use sandport_server::ServerEvent;
use sandport_server::net::Listener;
use tokio::sync::oneshot;

use crate::environment::Environment;
use crate::feed;
use crate::stats::{micros, percentile};
use crate::table::Table;

/// Connections that are not counted, at the start.
const WARM_UP: usize = 200;

/// The section about the set-up.
pub(crate) fn table(environment: &Environment, connections: usize) -> Result<Table> {
    let times = measure(environment, connections)?;
    let headers = ["", "µs, median", "p90", "p99"];
    let mut table = Table::new("Set-up of a sandbox: store, instance and memory", &headers);
    let figure = |percent| format!("{:.1}", micros(percentile(&times, percent)));
    table.row(["warm".to_owned(), figure(50), figure(90), figure(99)]);
    table.note(format!("{} connections, one after the other.", times.len()));
    Ok(table)
}

fn measure(environment: &Environment, connections: usize) -> Result<Vec<Duration>> {
    let mut options = InboxOptions::default();
    options.durability = Durability::None;
    let inbox = Inbox::open(&environment.tmpfs.directory("setup")?, options)?;
    let times = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&times);
    let builder = Server::builder(inbox).on_event(move |event| {
        if let ServerEvent::SandboxReady { setup, .. } = event {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(setup);
        }
    });
    let server = builder.build()?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listeners = runtime.block_on(Listener::bind(&"127.0.0.1:0".parse()?))?;
    let address = listeners.first().context("nothing is listened on")?.local_address();
    let address = address.to_string().parse()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(server.run(listeners, async move {
        // The other end being gone is a reason to stop as well.
        let _ = stopped.await;
    }));
    let uploaded = (0..WARM_UP + connections).try_for_each(|_| feed::upload(address).map(drop));
    // The server ends by itself if nobody hears this.
    let _ = stop.send(());
    runtime.block_on(serving)??;
    uploaded?;
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    let cold = WARM_UP.min(times.len());
    let warm = times.split_off(cold);
    warm.first().context("no sandbox was set up")?;
    Ok(warm)
}
