//! Driving the native dialect's [`Sender`] over a connection.
//!
//! One task does all of it and never blocks: it reads whenever something arrives, also while payload
//! is on its way out, so that two full socket buffers cannot hold each other up.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::BytesMut;
use rustix::rand::{GetRandomFlags, getrandom};
use sandport_protocol::sender::{EndReason, Sender};
use sandport_protocol::{Refusal, RefusalCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;

use super::event::Report;
use super::prepare::Item;
use super::pump::{Chunk, Piece};
use super::{Clock, SendError, SendErrorKind, SendEvent, SendOptions, Totals, connect, millis};
use crate::net::Address;
use output::Output;
use session::Session;
use stream::Feed;

mod output;
mod session;
mod stream;
mod upload;

pub(super) use upload::Upload;

/// Room for one read: some hundred receipts. Bytes.
const READ_BYTES: usize = 64 * 1024;

/// How long the last words to the server (that the sender gives up, say) may take.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long to wait before the first try to connect again. Doubled with each further one.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Longest wait before a try. A person who mends a network waits no longer for it to be noticed.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// Sends all items over one connection, and over another where it is cut.
///
/// # Errors
/// What ended the last connection.
pub(super) async fn send(
    to: &Address,
    mut items: mpsc::Receiver<Vec<Item>>,
    mut totals: Option<Totals>,
    options: &SendOptions,
    stop: impl Future<Output = ()>,
    report: &mut Report<'_>,
) -> Result<(), SendError> {
    let mut stop = pin!(stop);
    let Some(first) = first_to_send(&mut items, report).await else { return Ok(()) };
    let mut left: VecDeque<Item> = first.into();
    let mut connected = false;
    let mut attempt = 0;
    loop {
        let connection = tokio::select! {
            biased;
            () = &mut stop => Err(SendError::Interrupted),
            connection = connect::connect(to, options) => connection,
        };
        let error = match connection {
            Ok(connection) => {
                connected = true;
                let (reader, writer) = tokio::io::split(connection);
                let ended = run(
                    reader,
                    writer,
                    std::mem::take(&mut left),
                    &mut items,
                    &mut totals,
                    options,
                    stop.as_mut(),
                    report,
                )
                .await;
                left = ended.left;
                if ended.progressed {
                    attempt = 0;
                }
                match ended.result {
                    Ok(()) => return Ok(()),
                    // All was answered before.
                    Err(SendError::Cut) if left.is_empty() && ended.exhausted => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let is_temporary = error.kind() == SendErrorKind::Temporary;
        if !connected || !is_temporary || attempt >= options.retries {
            report_unanswered(left, report);
            return Err(error);
        }
        let delay = retry_delay(attempt);
        attempt += 1;
        report.emit(SendEvent::Reconnecting { error: &error, attempt, delay });
        tokio::select! {
            biased;
            () = &mut stop => {
                report_unanswered(left, report);
                return Err(SendError::Interrupted);
            }
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// How long to wait after so many failures: longer each time, and not as long as all the others who lost
/// the same server.
fn retry_delay(attempt: u32) -> Duration {
    let delay = RETRY_DELAY.saturating_mul(1 << attempt.min(16)).min(RETRY_DELAY_MAX);
    let mut random = [0; 4];
    // Without chance it is the middle.
    let share = match getrandom(&mut random, GetRandomFlags::empty()) {
        Ok(4) => f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX),
        _ => 0.5,
    };
    delay.mul_f64(0.5 + share / 2.0)
}

/// Reports the uploads that were begun and have no outcome, in that order.
fn report_unanswered(left: VecDeque<Item>, report: &mut Report<'_>) {
    for item in left {
        if let Item::Again(upload) = item {
            report.emit(SendEvent::Unanswered { file: &upload.file });
        }
    }
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

/// How a connection ended.
struct Ended {
    result: Result<(), SendError>,
    /// What has no outcome.
    left: VecDeque<Item>,
    /// Whether there is nothing beyond that.
    exhausted: bool,
    /// Whether anything came further.
    progressed: bool,
}

/// Sends `first` and all further items over a connection that exists.
#[expect(clippy::too_many_arguments, reason = "each is used once, by one caller")]
async fn run(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    first: VecDeque<Item>,
    items: &mut mpsc::Receiver<Vec<Item>>,
    totals: &mut Option<Totals>,
    options: &SendOptions,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    report: &mut Report<'_>,
) -> Ended {
    let clock = Clock::start();
    let stall_timeout_ms = millis(options.stall_timeout);
    let machine = Sender::new(options.agent.clone(), stall_timeout_ms, clock.now());
    let mut session = Session::new(machine, first, report);
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
            piece = next_piece(&mut session.feed), if wants_piece => Wake::Piece(piece),
            hashed = session.hashing.next(), if session.hashing.is_running() => Wake::Hashed(hashed),
            counted = next_totals(totals), if totals.is_some() => Wake::Totals(counted),
            () = &mut sleep, if deadline.is_some() => Wake::Timeout,
        };
        let now = clock.now();
        match wake {
            Wake::Stop => {
                session.abort(Refusal::new(RefusalCode::Cancelled, "the sender was interrupted"));
                break Err(SendError::Interrupted);
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
                *totals = None;
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
    let (exhausted, progressed) = (session.is_exhausted(), session.has_progressed());
    Ended { result: end, left: session.into_left(), exhausted, progressed }
}

async fn next_piece(feed: &mut Option<Feed>) -> Piece {
    match feed {
        Some(feed) => feed.next().await,
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
