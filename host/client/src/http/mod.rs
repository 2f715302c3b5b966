//! Sending over HTTP: finding out what a server speaks, and bringing files to it over several connections.
//!
//! What is sent next, and what an answer means, [`sandport_protocol::sender::http`] decides. Here are the connections
//! ([`line`]), the content of requests ([`payload`], [`body`]) and the state for later runs ([`urls`]). All
//! connections are driven by one task, as those of the native dialect are.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sandport_protocol::sender::http::{Discovered, Discovery, HttpUrl, Protocol, Server};
use tokio::time::{Instant, sleep_until};

use super::connect::Target;
use super::report::Report;
use super::retries::Retries;
use super::walk::Totals;
use super::{
    CONNECTIONS_MAX, Connections, Options, SendError, SendErrorKind, SendEvent, Source, prepare,
};
use line::Line;
use run::Run;
use worker::Worker;

mod blocks;
mod body;
mod feed;
mod line;
mod payload;
mod run;
mod urls;
mod verify;
mod wire;
mod worker;

/// Connections where nothing else is said. Each file is a request of its own and waits for the server's disk; what a
/// browser opens to a server is six.
const CONNECTIONS_AUTO: usize = 4;

/// Sends all sources.
///
/// # Errors
/// What ended the run, or kept it from beginning.
pub(super) async fn send(
    url: &HttpUrl,
    to: &Target<'_>,
    sources: Vec<Source>,
    mut totals: Option<Totals>,
    options: &Options,
    stop: impl Future<Output = ()>,
    report: &Report,
) -> Result<(), SendError> {
    let mut stop = pin!(stop);
    let mut server = tokio::select! {
        biased;
        () = &mut stop => return Err(SendError::Interrupted),
        found = discover(url, to, options, report) => found?,
    };
    let is_one = matches!(&sources[..], [Source::Path { path, name: None }] if !path.is_dir())
        || matches!(&sources[..], [Source::Reader { name: None, .. }]);
    if !url.is_collection() && server.protocol != Protocol::Tus && !is_one {
        return Err(SendError::OneName(url.to_string()));
    }
    match server.protocol {
        Protocol::Plain => report.emit(SendEvent::NotResumable),
        // One request for each file leaves nothing that is not whole.
        Protocol::Resumable if !options.resume => server.protocol = Protocol::Plain,
        _ => {}
    }
    let contents = prepare::Contents::ReadSmall;
    let items = prepare::start(sources, options.selection.clone(), contents, None);
    let run = Run::new(url, to, &server, options, report, items);
    let number = match options.connections {
        Connections::Exactly(number) => number.get().min(CONNECTIONS_MAX),
        Connections::Auto => CONNECTIONS_AUTO,
    };
    let result = {
        let mut running: FuturesUnordered<_> =
            (0..number).map(|_| Worker::new(&run).work()).collect();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break Err(SendError::Interrupted),
                ended = running.next() => match ended {
                    None => break Ok(()),
                    Some(Ok(())) => {}
                    // What keeps one connection from going on keeps the others from it too.
                    Some(Err(error)) => break Err(error),
                },
                counted = next_totals(&mut totals), if totals.is_some() => {
                    totals = None;
                    if let Some((files, bytes)) = counted {
                        report.emit(SendEvent::Totals { files, bytes });
                    }
                }
            }
        }
    };
    if result.is_err() {
        run.give_up().await;
    }
    result
}

/// Asks what the server speaks.
async fn discover(
    url: &HttpUrl,
    to: &Target<'_>,
    options: &Options,
    report: &Report,
) -> Result<Server, SendError> {
    let mut discovery = Discovery::new(url);
    let mut retries = Retries::new(options.retries);
    let mut has_answered = false;
    loop {
        let asked = ask(&discovery, url, to, options).await;
        let (error, at_least_ms) = match asked {
            Ok(answer) => {
                has_answered = true;
                match discovery.handle_answer(&answer) {
                    Discovered::Server(server) => {
                        let agent = server.agent.as_deref().unwrap_or("a server of HTTP");
                        let agent = agent.to_owned();
                        report.emit(SendEvent::Connected { agent });
                        return Ok(server);
                    }
                    Discovered::Again => continue,
                    Discovered::Wait(pause) => match pause.refusal {
                        Some(refusal) => (SendError::NotNow(refusal), pause.at_least_ms),
                        None => (SendError::Cut, pause.at_least_ms),
                    },
                    Discovered::Refused(refusal) => return Err(SendError::Goodbye(refusal)),
                    // The machine is of the same version as this crate.
                    _ => return Err(SendError::Cut),
                }
            }
            Err(error) => (error, 0),
        };
        // Who has never answered may not be there at all.
        let may_pass = has_answered && error.kind() == SendErrorKind::Temporary;
        let Some((attempt, delay)) = retries.next().filter(|_| may_pass) else { return Err(error) };
        let delay = delay.max(Duration::from_millis(at_least_ms));
        report.emit(SendEvent::Reconnecting { error, attempt, delay });
        sleep_until(Instant::now() + delay).await;
    }
}

async fn ask(
    discovery: &Discovery,
    url: &HttpUrl,
    to: &Target<'_>,
    options: &Options,
) -> Result<sandport_protocol::sender::http::HttpAnswer, SendError> {
    let mut line = Line::open(to, options).await?;
    line.send(&discovery.request(), &url.authority(), None, options).await
}

async fn next_totals(totals: &mut Option<Totals>) -> Option<(u64, u64)> {
    match totals {
        Some(totals) => totals.recv().await,
        None => std::future::pending().await,
    }
}
