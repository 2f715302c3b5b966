//! Driving one connection from its hello to its end.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use sandport_protocol::sender::Sender;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::session::Session;
use super::stream::Feed;
use super::upload::{self, Upload};
use super::work::Work;
use crate::clock::{Clock, millis};
use crate::connect::Connection;
use crate::file_reader::Piece;
use crate::retries::Progress;
use crate::{Options, SendError};

/// Room for one read: some hundred receipts. Bytes.
const READ_BYTES: usize = 64 * 1024;

/// How long the last words to the server (that the sender gives up, say) may take.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How long a further connection waits for its welcome, while others have theirs. A server that is full lets
/// it wait for as long as they take. It has connected already, so this is one message each way: a lost packet
/// of them comes again within three seconds.
const WELCOME_MAX: Duration = Duration::from_secs(5);

/// How long a connection is waited for whose payload on its way nobody wants any more: a slow network would
/// take it for minutes.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// What the task woke up for.
enum Wake {
    News,
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Filled,
    Piece(Piece),
    Hashed(upload::Hashed),
    Timeout,
}

/// How a connection ended.
pub(super) struct Ended {
    pub(super) result: Result<(), SendError>,
    /// What has no outcome and nobody else is at.
    pub(super) left: Vec<Upload>,
    /// Whether the server has said anything.
    pub(super) welcomed: bool,
    /// What came further.
    pub(super) progress: Progress,
}

/// Sends what there is to do over a connection. `needed`: it is waited for until it counts as stalled.
pub(super) async fn run(
    connection: Connection,
    work: &Work<'_>,
    options: &Options,
    needed: bool,
) -> Ended {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let clock = Clock::start();
    let stall_timeout_ms = millis(options.stall_timeout);
    let machine = Sender::new(options.agent.clone(), stall_timeout_ms, clock.now());
    let mut session = Session::new(machine, work);
    let welcome_at = (!needed).then(|| tokio::time::Instant::now() + WELCOME_MAX);
    let end = drive(&mut session, &mut reader, &mut writer, clock, welcome_at).await;
    // A server that closed or stalled takes no last words, and one that has answered all needs none.
    let is_deaf = matches!(
        end,
        Err(SendError::Cut | SendError::Stalled(_) | SendError::NoProgress(_) | SendError::Busy(_))
    );
    if end.is_err() && !is_deaf {
        farewell(&mut session, &mut reader, &mut writer, clock).await;
    }
    if end.is_ok() {
        // With TLS it says that this is the end. Who does not take it is not waited for.
        let _ = tokio::time::timeout(FAREWELL_MAX, writer.shutdown()).await;
    }
    let (welcomed, progress) = (session.is_welcomed(), session.progress());
    Ended { result: end, left: session.into_left(), welcomed, progress }
}

async fn drive(
    session: &mut Session<'_>,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    clock: Clock,
    welcome_at: Option<tokio::time::Instant>,
) -> Result<(), SendError> {
    let work = session.work;
    let mut sleep = pin!(tokio::time::sleep_until(clock.instant(0)));
    let mut input = BytesMut::new();
    let mut at_end = false;
    let said_hello = Instant::now();
    let mut was_welcomed = false;
    let mut leave_at = None;
    loop {
        // From before it is looked at what there is to do, so that nothing is missed.
        let mut news = pin!(work.news());
        news.as_mut().enable();
        if work.is_stopped() {
            session.interrupt();
            return Err(SendError::Interrupted);
        }
        if work.is_over() && !session.is_welcomed() {
            return Ok(());
        }
        session.advance();
        if !was_welcomed && session.is_welcomed() {
            was_welcomed = true;
            work.welcome(said_hello.elapsed());
        }
        if let Some(end) = session.take_end() {
            return end;
        }
        let now = tokio::time::Instant::now();
        let welcome_at = welcome_at.filter(|_| !was_welcomed);
        if welcome_at.is_some_and(|at| at <= now) {
            return Err(SendError::Busy(millis(WELCOME_MAX)));
        }
        if work.may_be_left() && *leave_at.get_or_insert(now + LINGER_MAX) <= now {
            return Ok(());
        }
        let deadline = session.machine.poll_timeout().map(|at| clock.instant(at));
        let deadline = deadline.into_iter().chain(leave_at).chain(welcome_at).min();
        if let Some(deadline) = deadline
            && deadline != sleep.deadline()
        {
            sleep.as_mut().reset(deadline);
        }
        input.reserve(READ_BYTES);
        let wants_more = session.is_welcomed() && work.wants_more();
        let wants_piece = session.wants_piece();
        let can_write = session.output.can_write(session.chunk.as_ref());
        let wake = tokio::select! {
            biased;
            () = news => Wake::News,
            read = reader.read_buf(&mut input), if !at_end => Wake::Read(read),
            wrote = session.output.write(writer, session.chunk.as_ref()), if can_write => {
                Wake::Wrote(wrote)
            }
            () = work.fill(), if wants_more => Wake::Filled,
            piece = next_piece(&mut session.feed), if wants_piece => Wake::Piece(piece),
            hashed = session.hashing.next(), if session.hashing.is_running() => Wake::Hashed(hashed),
            () = &mut sleep, if deadline.is_some() => Wake::Timeout,
        };
        let now = clock.now();
        match wake {
            // They are looked at in any case.
            Wake::News | Wake::Filled => {}
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
            Wake::Piece(piece) => session.take_piece(piece),
            Wake::Hashed(hashed) => session.take_hashed(hashed),
            Wake::Timeout => session.machine.handle_timeout(now),
        }
    }
}

async fn next_piece(feed: &mut Option<Feed>) -> Piece {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

/// Writes what is left, which begins with the rest of the frame that was begun, and waits for the server to
/// close. What it does not take in time is never sent: the connection is cut there, and the server keeps
/// exactly what came. Reading goes on, because closing a socket with unread bytes resets it, and what is on
/// its way to the server would be lost.
async fn farewell(
    session: &mut Session<'_>,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    clock: Clock,
) {
    let last_words = async {
        let mut unheard = vec![0; READ_BYTES];
        loop {
            let can_write = session.output.can_write(session.chunk.as_ref());
            tokio::select! {
                biased;
                wrote = session.output.write(writer, session.chunk.as_ref()), if can_write => {
                    let Ok(count) = wrote else { return };
                    session.wrote(clock.now(), count);
                }
                read = reader.read(&mut unheard) => {
                    if !read.is_ok_and(|count| count > 0) {
                        return;
                    }
                }
            }
        }
    };
    // The connection is over: nothing can be done about a failure or a server that does not read.
    let _ = tokio::time::timeout(FAREWELL_MAX, last_words).await;
}
