//! Sending in the native dialect: the connections of a run, and what becomes of them.
//!
//! One task drives all connections and never blocks: it reads whenever something arrives, also while payload
//! is on its way out, so that two full socket buffers cannot hold each other up. What there is to send lies
//! in [`work`], from where each connection takes what it has room for; a file that is large enough is
//! divided among those that have nothing else to do ([`shared_transfer`]).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sandport_protocol::sender::EndReason;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::connect::Target;
use super::prepare::Item;
use super::report::Report;
use super::retries::{self, Retries};
use super::shared::Shared;
use super::walk::Totals;
use super::{CONNECTIONS_MAX, Connections, Options, SendError, SendErrorKind, SendEvent};
use connection_scaler::{ConnectionScaler, PERIOD};
use work::Work;

mod connection;
mod connection_scaler;
mod output;
mod shared_transfer;

mod session;
mod stream;
mod upload;
mod work;

pub(super) use connection_scaler::ROUND_TRIP_MIN;

/// Sends all items, over as many connections as the options say, and over others where one is cut. `far` is the
/// round trip from which on the server counts as far away: [`ROUND_TRIP_MIN`], but in tests that must not depend
/// on how busy the machine is.
///
/// # Errors
/// What ended the last connection.
pub(super) async fn send(
    to: &Target<'_>,
    mut items: mpsc::Receiver<Vec<Item>>,
    mut totals: Option<Totals>,
    options: &Options,
    far: Duration,
    stop: impl Future<Output = ()>,
    report: &Report,
) -> Result<(), SendError> {
    let mut stop = pin!(stop);
    let first = tokio::select! {
        biased;
        () = &mut stop => return Err(SendError::Interrupted),
        first = first_to_send(&mut items, report) => first,
    };
    let Some(first) = first else { return Ok(()) };
    let work = Work::new(report, first, items, options.connections, far);
    let mut running = FuturesUnordered::new();
    running.push(keep_connected(to, &work, options, true));
    let (mut opened, mut wanted) = (1, 1);
    let (mut is_decided, mut is_near) = (false, false);
    let mut scaler: Option<ConnectionScaler> = None;
    let mut due = Instant::now();
    loop {
        while opened < wanted && !work.is_stopped() {
            running.push(keep_connected(to, &work, options, false));
            opened += 1;
        }
        tokio::select! {
            biased;
            () = &mut stop, if !work.is_stopped() => work.stop(),
            ended = running.next() => match ended {
                None | Some(Ok(())) if running.is_empty() => return Ok(()),
                Some(Err(error)) if running.is_empty() => {
                    work.report_unanswered();
                    return Err(error);
                }
                Some(Err(error)) if !work.is_over() && !work.is_stopped() => {
                    let left = running.len();
                    report.emit(SendEvent::ConnectionGivenUp { error, left });
                }
                _ => {}
            },
            // Not before it is known that there is a server.
            () = work.until(|work| work.welcomed() > 0), if !is_decided => {
                is_decided = true;
                due = Instant::now() + PERIOD;
                match options.connections {
                    Connections::Exactly(number) => wanted = number.get().min(CONNECTIONS_MAX),
                    Connections::Auto if work.is_shared() => scaler = Some(ConnectionScaler::new()),
                    Connections::Auto => is_near = true,
                }
            }
            () = work.until(Work::has_backlog), if is_near && wanted == 1 => wanted = 2,
            () = sleep_until(due), if scaler.is_some() => {
                due = Instant::now() + PERIOD;
                let (sent, has_spare) = (work.take_sent(), work.has_spare());
                match scaler.as_mut().and_then(|scaler| scaler.measured(sent, has_spare)) {
                    Some(number) => wanted = number,
                    None => scaler = None,
                }
            }
            counted = next_totals(&mut totals), if totals.is_some() => {
                totals = None;
                if let Some((files, bytes)) = counted {
                    report.emit(SendEvent::Totals { files, bytes });
                }
            }
        }
    }
}

/// Keeps one connection up until all has its outcome. `first`: there is no other yet.
///
/// # Errors
/// What ended it for good.
async fn keep_connected(
    to: &Target<'_>,
    work: &Work<'_>,
    options: &Options,
    first: bool,
) -> Result<(), SendError> {
    let is_needless = || work.until(|work| work.is_stopped() || work.is_over());
    // One that is none of the first may find the server full.
    let mut is_wanted = false;
    let mut retries = Retries::new(options.retries);
    loop {
        let connection = tokio::select! {
            biased;
            () = is_needless() => return needless(work),
            connection = to.connect(options) => connection,
        };
        let (error, left) = match connection {
            Ok(connection) => {
                let ended = connection::run(connection, work, options, is_wanted || first).await;
                is_wanted |= first || ended.welcomed;
                retries.brought(ended.progress);
                match ended.result {
                    Ok(()) => return Ok(()),
                    // All was answered before.
                    Err(
                        SendError::Cut
                        | SendError::Stalled(_)
                        | SendError::NoProgress(_)
                        | SendError::Goodbye(_),
                    ) if work.is_over() => return Ok(()),
                    Err(error) => (error, ended.left),
                }
            }
            Err(error) => (error, Vec::new()),
        };
        // Who has waited so long already for a server that is there needs a person to look at it.
        let is_temporary =
            error.kind() == SendErrorKind::Temporary && !matches!(error, SendError::NoProgress(_));
        let next = if is_wanted && is_temporary { retries.next() } else { None };
        let Some((attempt, delay)) = next else {
            work.offer_again(left.into_iter());
            return Err(error);
        };
        work.report.emit(SendEvent::Reconnecting { error, attempt, delay });
        let left = Shared::new(left);
        #[expect(clippy::disallowed_methods, reason = "the pause before the next try")]
        let waiting = async {
            // The server may have all of it and be about to publish it: what is offered again after that
            // need not be sent again.
            let soon = delay.min(retries::DELAY);
            tokio::time::sleep(soon).await;
            work.offer_again(left.take().into_iter());
            tokio::time::sleep(delay - soon).await;
        };
        let is_stopped = tokio::select! {
            biased;
            () = is_needless() => true,
            () = waiting => false,
        };
        if is_stopped {
            work.offer_again(left.take().into_iter());
            return needless(work);
        }
    }
}

/// A connection that is not needed any more.
fn needless(work: &Work<'_>) -> Result<(), SendError> {
    if work.is_stopped() { Err(SendError::Interrupted) } else { Ok(()) }
}

/// The first batch with something that needs a connection; failures before it are reported.
async fn first_to_send(
    items: &mut mpsc::Receiver<Vec<Item>>,
    report: &Report,
) -> Option<Vec<Item>> {
    loop {
        let batch = items.recv().await?;
        let local = |item: &Item| matches!(item, Item::Skipped { .. } | Item::Failed { .. });
        if !batch.iter().all(local) {
            return Some(batch);
        }
        for item in batch {
            upload::report_local(item, report);
        }
    }
}

async fn next_totals(totals: &mut Option<Totals>) -> Option<(u64, u64)> {
    match totals {
        Some(totals) => totals.recv().await,
        None => std::future::pending().await,
    }
}

impl From<EndReason> for SendError {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Goodbye(refusal) => Self::Goodbye(refusal),
            EndReason::Malformed(what) => Self::NotSandport(what),
            EndReason::Stalled(ms) => Self::Stalled(ms),
            EndReason::NoProgress(ms) => Self::NoProgress(ms),
            _ => Self::Cut,
        }
    }
}
