//! Driving the native dialect's [`Sender`] over a connection.
//!
//! One task does all of it and never blocks: it reads whenever something arrives, also while payload
//! is on its way out, so that two full socket buffers cannot hold each other up.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use sandport_protocol::sender::{EndReason, Sender};
use sandport_protocol::{Refusal, RefusalCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;

use super::event::Report;
use super::prepare::Item;
use super::pump::{Chunk, Piece, Pump};
use super::{Clock, SendError, SendEvent, SendOptions, Totals, connect, millis};
use crate::net::Address;
use output::Output;
use session::Session;

mod output;
mod session;
mod upload;

/// Room for one read: some hundred receipts. Bytes.
const READ_BYTES: usize = 64 * 1024;

/// How long the last words to the server (that the sender gives up, say) may take.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Sends all items over one new connection.
///
/// # Errors
/// What ended the connection.
pub(super) async fn send(
    to: &Address,
    mut items: mpsc::Receiver<Vec<Item>>,
    totals: Option<Totals>,
    options: &SendOptions,
    stop: impl Future<Output = ()>,
    report: &mut Report<'_>,
) -> Result<(), SendError> {
    let mut stop = pin!(stop);
    let Some(first) = first_to_send(&mut items, report).await else { return Ok(()) };
    let connection = tokio::select! {
        biased;
        () = &mut stop => return Err(SendError::Interrupted),
        connected = connect::connect(to, options) => connected?,
    };
    let (reader, writer) = tokio::io::split(connection);
    run(reader, writer, first, items, totals, options, stop, report).await
}

/// The first batch with something that needs a connection; failures before it are reported.
async fn first_to_send(
    items: &mut mpsc::Receiver<Vec<Item>>,
    report: &mut Report<'_>,
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

/// What the task woke up for.
enum Wake {
    Stop,
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Batch(Option<Vec<Item>>),
    Piece(Piece),
    Hashed(upload::Hashed),
    Totals(Option<(u64, u64)>),
    Timeout,
}

/// Sends `first` and all further items over a connection that exists.
///
/// # Errors
/// As of [`send`].
#[expect(clippy::too_many_arguments, reason = "each is used once, by one caller and the tests")]
pub(super) async fn run(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    first: Vec<Item>,
    mut items: mpsc::Receiver<Vec<Item>>,
    mut totals: Option<Totals>,
    options: &SendOptions,
    stop: impl Future<Output = ()>,
    report: &mut Report<'_>,
) -> Result<(), SendError> {
    let clock = Clock::start();
    let stall_timeout_ms = millis(options.stall_timeout);
    let machine = Sender::new(options.agent.clone(), stall_timeout_ms, clock.now());
    let mut session = Session::new(machine, first, report);
    let mut stop = pin!(stop);
    let mut sleep = pin!(tokio::time::sleep_until(clock.instant(0)));
    let mut input = BytesMut::new();
    let mut at_end = false;

    let end = loop {
        session.advance();
        if let Some(end) = session.take_end() {
            break end;
        }
        let deadline = session.machine.poll_timeout().map(|at| clock.instant(at));
        if let Some(deadline) = deadline
            && deadline != sleep.deadline()
        {
            sleep.as_mut().reset(deadline);
        }
        input.reserve(READ_BYTES);
        let wants_batch = session.wants_batch();
        let wants_piece = session.wants_piece();
        let can_write = session.output.can_write(session.chunk.as_ref());
        let wake = tokio::select! {
            biased;
            () = &mut stop => Wake::Stop,
            read = reader.read_buf(&mut input), if !at_end => Wake::Read(read),
            wrote = session.output.write(&mut writer, session.chunk.as_ref()), if can_write => {
                Wake::Wrote(wrote)
            }
            batch = items.recv(), if wants_batch => Wake::Batch(batch),
            piece = next_piece(&mut session.pump), if wants_piece => Wake::Piece(piece),
            hashed = session.hashing.next(), if session.hashing.is_running() => Wake::Hashed(hashed),
            counted = next_totals(&mut totals), if totals.is_some() => Wake::Totals(counted),
            () = &mut sleep, if deadline.is_some() => Wake::Timeout,
        };
        let now = clock.now();
        match wake {
            Wake::Stop => {
                session.abort(Refusal::new(RefusalCode::Cancelled, "the sender was interrupted"));
                farewell(&mut session.output, &mut writer).await;
                session.report_unanswered();
                return Err(SendError::Interrupted);
            }
            Wake::Read(Ok(count)) if count > 0 => {
                session.machine.handle_input(now, input.split().freeze());
            }
            // A reset says no more than an end: what had arrived before it was read.
            Wake::Read(_) => {
                at_end = true;
                session.machine.handle_eof(now);
            }
            Wake::Wrote(Ok(count)) => session.wrote(now, count),
            // Why the server closes may be on its way still: reading goes on until its end.
            Wake::Wrote(Err(_)) => session.output.set_broken(),
            Wake::Batch(batch) => session.take_batch(batch),
            Wake::Piece(piece) => session.take_piece(piece),
            Wake::Hashed(hashed) => session.take_hashed(hashed),
            Wake::Totals(counted) => {
                totals = None;
                if let Some((files, bytes)) = counted {
                    session.report.emit(SendEvent::Totals { files, bytes });
                }
            }
            Wake::Timeout => session.machine.handle_timeout(now),
        }
    };

    // A server that closed or stalled takes no last words.
    if !matches!(end, Err(SendError::Cut | SendError::Stalled(_))) {
        farewell(&mut session.output, &mut writer).await;
    }
    session.report_unanswered();
    end
}

async fn next_piece(pump: &mut Option<Pump>) -> Piece {
    match pump {
        Some(pump) => pump.next().await,
        None => std::future::pending().await,
    }
}

async fn next_totals(totals: &mut Option<Totals>) -> Option<(u64, u64)> {
    match totals {
        Some(totals) => totals.recv().await,
        None => std::future::pending().await,
    }
}

/// Writes what is left, as far as the server takes it.
async fn farewell(output: &mut Output, writer: &mut (impl AsyncWrite + Unpin)) {
    // The connection is over: nothing can be done about a failure or a server that does not read.
    let _ = tokio::time::timeout(FAREWELL_MAX, async {
        if output.is_in_frame() {
            output.fill_frame();
        }
        let no_chunk: Option<&Chunk> = None;
        while output.can_write(no_chunk) {
            let Ok(count) = output.write(writer, no_chunk).await else { return };
            output.wrote(count);
        }
    })
    .await;
}

impl From<EndReason> for SendError {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Goodbye(refusal) => Self::Goodbye(refusal),
            EndReason::Malformed(what) => Self::NotSandport(what),
            EndReason::Stalled(ms) => Self::Stalled(ms),
            _ => Self::Cut,
        }
    }
}
