//! `sandport serve`.

use sandport_inbox::Inbox;
use sandport_server::net::Listener;
use sandport_server::{AnyServer, Descriptors, ResidentServer, ServerBuilder, ServerEvent};
use sandport_server::{Cache, ReceiverSource, Server, WantedConnections};
use tokio::sync::oneshot;

use crate::args::{ServeArgs, Talk};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::places;
use crate::signals::{Signals, survive_large_files};
use crate::threads;
use encryption::Encryption;
use events::Report;
use form::Form;
use lines::Ready;

mod claims;
mod encryption;
mod events;
mod form;
mod host_names;
mod lines;
mod next;
mod process;
mod typed;

/// Threads that a server starts beside those that compute: of the inbox, of the sandbox and its cache, for events,
/// for names that are resolved, and for large writes to a slow disk.
const THREADS_BESIDE: usize = 16;

/// Serves until it is told to stop.
pub(crate) fn run(mut args: ServeArgs, talk: &Talk) -> Result<Exit, Failure> {
    // Those of the runtime, and those that compile.
    threads::check(2 * process::parallelism() + THREADS_BESIDE)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("start the runtime", &error))?;
    {
        let _inside = runtime.enter();
        survive_large_files().map_err(|error| Failure::local("catch signals", &error))?;
    }
    args.budgets().check(args.max_connections)?;
    let max_open_files = share_descriptors(&mut args)?;
    heed_file_size(&mut args);
    let mut options = args.inbox_options();
    options.max_open_files = max_open_files;
    let inbox = Inbox::open(&args.dir, options)?;
    let (report, events) = events::start(Form::of(talk))
        .map_err(|error| Failure::local("start a thread for the output", &error))?;
    let exit = runtime.block_on(serve(&args, inbox, report));
    // What is blocked in a system call is not waited for: everything that was acknowledged is safe.
    runtime.shutdown_background();
    events.finish();
    exit
}

async fn serve(args: &ServeArgs, inbox: Inbox, report: Report) -> Result<Exit, Failure> {
    let limitations = inbox.limitations().to_vec();
    let tls = encryption::of(args, &inbox)?;
    let encryption = tls.as_ref().map(|(tls, rule)| Encryption::of(tls, *rule));
    let mut builder = builder(args, inbox, &report);
    if let Some((tls, rule)) = tls {
        builder = builder.tls(tls).tls_rule(rule);
    }
    let server = builder.build_any()?;
    // Caught before the ready line: who has read it may send a signal at once.
    let signals = Signals::catch().map_err(|error| Failure::local("catch signals", &error))?;
    let exit = match server {
        AnyServer::PerConnection(server) => {
            let met = server.limits_met();
            let ready = Ready { limitations, encryption };
            let exit = per_connection(args, server, signals, &report, &ready).await?;
            report.stopped(met.counts());
            exit
        }
        AnyServer::Resident(server) => {
            let exit = resident(args, server, signals).await?;
            report.stopped(Vec::new());
            exit
        }
    };
    Ok(exit)
}

fn builder(args: &ServeArgs, inbox: Inbox, report: &Report) -> ServerBuilder {
    let (report, dir) = (report.clone(), args.dir.clone());
    let mut builder = Server::builder(inbox)
        .receiver(args.receiver.clone().map_or_else(ReceiverSource::default, ReceiverSource::File))
        .cache(cache(args))
        .limits(args.limits())
        .http_origins(args.http_origin.iter().cloned())
        .trusted_proxies(args.trusted_proxy.iter().copied())
        .proxy_protocol(args.proxy_protocol.iter().copied())
        .host_names(host_names::of(process::machine_name(), &args.listen))
        .max_connections(args.max_connections)
        .budgets(args.budgets())
        .shared_addresses(args.shared_address.iter().copied())
        .drain_timeout(args.drain_timeout)
        .on_event(move |event| match event {
            // It works on the disk by itself.
            ServerEvent::ReceiverListening { addresses } => {
                report.ready(&addresses, &dir, &Ready::default());
            }
            event => report.server(event),
        });
    if let Some(max_memory) = args.max_memory {
        builder = builder.max_memory_bytes(max_memory);
    }
    builder
}

async fn per_connection(
    args: &ServeArgs,
    server: Server,
    mut signals: Signals,
    report: &Report,
    ready: &Ready,
) -> Result<Exit, Failure> {
    let mut listeners = Vec::with_capacity(args.listen.len());
    for address in &args.listen {
        listeners.extend(Listener::bind(address).await?);
    }
    let addresses: Vec<_> = listeners.iter().map(Listener::local_address).collect();
    report.ready(&addresses, &args.dir, ready);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = server.run(listeners, async { drop(stopped.await) });
    let stopping = async {
        signals.next().await;
        report.stopping(args.drain_timeout);
        drop(stop);
        signals.next().await;
    };
    Ok(tokio::select! {
        // Why has been told by an event, when it was found.
        ended = running => if ended.is_ok() { Exit::Done } else { Exit::LocalIo },
        () = stopping => Exit::Interrupted,
    })
}

/// The first signal stops it at once: a component cannot be asked to finish. The second does not even
/// wait for a system call of the component's that blocks.
async fn resident(
    args: &ServeArgs,
    server: ResidentServer,
    mut signals: Signals,
) -> Result<Exit, Failure> {
    let ignored = args.ignored_by_resident();
    if !ignored.is_empty() {
        tracing::warn!(
            options = ignored.join(" "),
            "these options have no effect with a resident receiver"
        );
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let running = server.run(&args.listen, async { drop(stopped.await) });
    let stopping = async {
        signals.next().await;
        drop(stop);
        signals.next().await;
    };
    tokio::select! {
        ended = running => ended.map(|()| Exit::Done).map_err(Failure::from),
        () = stopping => Ok(Exit::Interrupted),
    }
}

/// Where the compiled receiver is kept.
fn cache(args: &ServeArgs) -> Cache {
    if args.no_cache {
        return Cache::Off;
    }
    let directory = args.cache_dir.clone().or_else(places::cache);
    match directory.and_then(|directory| std::path::absolute(directory).ok()) {
        Some(directory) => match make_private(&directory) {
            Ok(()) => Cache::Directory(directory),
            Err(error) => {
                tracing::warn!(%error, directory = %directory.display(), "cannot use the cache: each start compiles the receiver");
                Cache::Off
            }
        },
        None => Cache::Off,
    }
}

/// Makes the directory for this user alone, if it is not there: what lies in it is run.
fn make_private(directory: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Shares the descriptors of the process out to connections and files; how many the files get.
fn share_descriptors(args: &mut ServeArgs) -> Result<usize, Failure> {
    let available = process::descriptors();
    let mut wanted = WantedConnections::default();
    wanted.network = if args.listens_to_network() { args.max_connections } else { 0 };
    wanted.local = if args.listens_locally() { args.local_connections() } else { 0 };
    wanted.waiting = args.max_waiting;
    let shared = Descriptors::share(available, wanted)?;
    if shared.max_connections < wanted.network || shared.max_local_connections < wanted.local {
        tracing::warn!(
            descriptors = available,
            connections = shared.max_connections,
            local = shared.max_local_connections,
            wanted = args.max_connections,
            "too few file descriptors for --max-connections: further connections wait, or others give way. Raise the \
             limit (ulimit -n; with systemd LimitNOFILE=)"
        );
    }
    // One of each kind at least, where nobody listens for it.
    args.max_connections = shared.max_connections.max(1);
    args.max_local_connections = Some(shared.max_local_connections.max(1));
    args.max_waiting = shared.max_waiting;
    let most = args.max_connections.max(shared.max_local_connections);
    args.max_address_connections = args.max_address_connections.map(|it| it.min(most));
    Ok(shared.max_open_files)
}

/// Larger files than the process may write are refused when they are announced.
fn heed_file_size(args: &mut ServeArgs) {
    let Some(most) = process::file_bytes_max() else { return };
    if args.max_file.is_none_or(|wanted| wanted > most) {
        tracing::warn!(
            bytes = most,
            "the process may not write larger files, so they are refused. Raise the limit (ulimit -f; with systemd \
             LimitFSIZE=)"
        );
        args.max_file = Some(most);
    }
}
