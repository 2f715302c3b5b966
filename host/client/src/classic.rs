//! Sending in the classic dialect: one connection for each file, and no receipt.

use std::fs::File;
use std::future::Future;
use std::io::{self, Cursor, Read, Seek};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::sender::classic::{ClassicError, ClassicOutput, ClassicSender};
use sandport_protocol::{Extent, Refusal, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::clock::{Clock, millis};
use super::connect::{Connection, Target};
use super::file_reader::{Content, FileReader, Piece};
use super::prepare::{self, Item};
use super::report::Report;
use super::walk::Totals;
use super::{FileError, Options, SendError, SendEvent, SendFile};

/// Room for an answer: `ack` and little else. Bytes.
const ANSWER_BYTES: usize = 64;

/// The whole file.
const ALL: Extent = Extent { offset: 0, length: None };

/// How one file's connection ended, short of an error that ends everything.
enum Outcome {
    Sent(u64),
    Refused,
    Failed(FileError),
}

/// What is sent of one file.
enum Body {
    Sized(Content),
    /// Its size is known when it was read to its end.
    Unsized(Open),
}

/// Opens what is to be read to its end, on a blocking thread.
type Open = Box<dyn FnOnce() -> Result<Box<dyn Read>, FileError> + Send>;

/// Sends all items, one connection after another.
///
/// # Errors
/// What keeps the next file from being sent too.
pub(super) async fn send(
    to: &Target<'_>,
    mut items: mpsc::Receiver<Vec<Item>>,
    mut totals: Option<Totals>,
    options: &Options,
    stop: impl Future<Output = ()>,
    report: &Report,
) -> Result<(), SendError> {
    let mut stop = pin!(stop);
    while let Some(batch) = items.recv().await {
        for item in batch {
            if let Some(Ok((files, bytes))) = totals.as_mut().map(mpsc::Receiver::try_recv) {
                report.emit(SendEvent::Totals { files, bytes });
            }
            let (mut file, body) = match item {
                Item::Small { file, content, .. } => {
                    (file, Body::Sized(Content::Reader(Box::new(Cursor::new(content)))))
                }
                Item::Large { file, links, .. } if file.size.is_some() => {
                    let content = Content::of(&file, links);
                    (file, Body::Sized(content))
                }
                Item::Large { file, links, .. } => {
                    let path = file.path.clone();
                    let open = move || {
                        let (file, _) = prepare::open(&path, links)?;
                        Ok(Box::new(file) as Box<dyn Read>)
                    };
                    (file, Body::Unsized(Box::new(open)))
                }
                Item::Stream { file, reader, .. } => {
                    (file, Body::Unsized(Box::new(move || Ok(reader as Box<dyn Read>))))
                }
                Item::Skipped { path, reason } => {
                    report.emit(SendEvent::Skipped { path, reason });
                    continue;
                }
                Item::Failed { path, error } => {
                    report.emit(SendEvent::Failed { path, file: None, error });
                    continue;
                }
                // A path that became a directory after the sources were checked.
                Item::Directory(file) => return Err(SendError::ClassicDirectory(file.path)),
            };
            let content = match body {
                Body::Sized(content) => content,
                Body::Unsized(open) => {
                    let spooled = tokio::select! {
                        biased;
                        () = &mut stop => return Err(SendError::Interrupted),
                        spooled = spool(open) => spooled,
                    };
                    match spooled {
                        Ok((spooled, size)) => {
                            file.size = Some(size);
                            Content::File { file: spooled, size }
                        }
                        Err(error) => {
                            let path = file.path;
                            report.emit(SendEvent::Failed { path, file: None, error });
                            continue;
                        }
                    }
                }
            };
            let mut file = Arc::new(file);
            report.start(&mut file);
            let outcome = tokio::select! {
                biased;
                () = &mut stop => Err(SendError::Interrupted),
                outcome = send_one(to, &file, content, options, report) => outcome,
            };
            match outcome {
                Ok(Outcome::Sent(size)) => report.emit(SendEvent::Sent { file, size }),
                Ok(Outcome::Refused) => {
                    let refusal =
                        Refusal::new(RefusalCode::Other, "the connection was closed without `ack`");
                    report.emit(SendEvent::Refused { file, refusal });
                }
                Ok(Outcome::Failed(error)) => {
                    let path = file.path.clone();
                    report.emit(SendEvent::Failed { path, file: Some(file), error });
                }
                Err(error) => {
                    report.emit(SendEvent::Unanswered { file, resumable: false });
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

async fn send_one(
    to: &Target<'_>,
    file: &Arc<SendFile>,
    content: Content,
    options: &Options,
    report: &Report,
) -> Result<Outcome, SendError> {
    let size = file.size.unwrap_or(0);
    let mut connection = to.connect(options).await?;
    match announce(&mut connection, size, options).await? {
        Announced::Refused => return Ok(Outcome::Refused),
        Announced::Taken => {}
    }
    let outcome = pass(&mut connection, file, content, options, report).await?;
    if matches!(outcome, Outcome::Sent(_)) {
        // The receiver may have closed already: it has the size, so it knows when it has all.
        let _ = connection.shutdown().await;
        // Closing with unread bytes would reset the connection, and the reset could overtake the
        // payload. What is here is read; nothing is waited for.
        let mut rest = [0; ANSWER_BYTES];
        let _ = timeout(Duration::ZERO, connection.read(&mut rest)).await;
    }
    Ok(outcome)
}

enum Announced {
    Taken,
    Refused,
}

/// Sends the size and waits for the `ack`.
async fn announce(
    connection: &mut Connection,
    size: u64,
    options: &Options,
) -> Result<Announced, SendError> {
    let clock = Clock::start();
    let mut machine = ClassicSender::new(size, millis(options.stall_timeout), clock.now());
    let mut answer = [0; ANSWER_BYTES];
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                ClassicOutput::Send(bytes) => {
                    let written = timeout(options.stall_timeout, connection.write_all(&bytes));
                    match written.await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return Ok(Announced::Refused),
                        Err(_) => return Err(SendError::Stalled(millis(options.stall_timeout))),
                    }
                }
                ClassicOutput::Payload => return Ok(Announced::Taken),
                // The machine is of the same version as this crate.
                _ => {}
            }
        }
        let deadline = machine.poll_timeout().map(|at| clock.instant(at));
        let handled = tokio::select! {
            read = connection.read(&mut answer) => match read {
                Ok(count) if count > 0 => machine.handle_input(&answer[..count]),
                _ => machine.handle_eof(),
            },
            () = sleep_until(deadline) => machine.handle_timeout(clock.now()),
        };
        match handled {
            Ok(()) => {}
            Err(ClassicError::Refused) => return Ok(Announced::Refused),
            Err(ClassicError::Stalled(ms)) => return Err(SendError::Stalled(ms)),
            Err(_) => return Err(SendError::NotClassic),
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Passes the content on. A file that cannot be read to its announced end leaves the connection
/// short, which the receiver takes for a cut.
async fn pass(
    connection: &mut Connection,
    file: &Arc<SendFile>,
    content: Content,
    options: &Options,
    report: &Report,
) -> Result<Outcome, SendError> {
    let mut reader = FileReader::start(content, &[ALL]);
    let mut sent = 0;
    loop {
        match reader.next().await {
            Piece::Chunk(mut chunk) => {
                while !chunk.bytes().is_empty() {
                    match timeout(options.stall_timeout, connection.write(chunk.bytes())).await {
                        Ok(Ok(count)) if count > 0 => {
                            chunk.advance(count);
                            sent += count as u64;
                        }
                        Ok(_) => return Err(SendError::Cut),
                        Err(_) => return Err(SendError::Stalled(millis(options.stall_timeout))),
                    }
                }
                reader.recycle(chunk);
                report.emit(SendEvent::Progress { file: Arc::clone(file), sent });
            }
            Piece::End { size, .. } => return Ok(Outcome::Sent(size)),
            Piece::Failed(error) => return Ok(Outcome::Failed(error)),
            // That is for shares; this is a whole file.
            Piece::Dry => {}
        }
    }
}

/// Keeps what is read in a temporary file without a name, to know its size.
async fn spool(open: Open) -> Result<(File, u64), FileError> {
    let spooling = tokio::task::spawn_blocking(move || {
        let mut reader = open()?;
        let mut file = tempfile::tempfile().map_err(FileError::Spool)?;
        let size = io::copy(&mut reader, &mut file).map_err(FileError::Spool)?;
        file.rewind().map_err(FileError::Spool)?;
        Ok((file, size))
    });
    spooling.await.unwrap_or_else(|error| Err(FileError::Spool(error.into())))
}
