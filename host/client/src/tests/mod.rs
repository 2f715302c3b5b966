//! The sender against peers in memory: what arrives, and what it says of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod classic;
mod failures;
mod hostile;
mod http;
mod inboxes;
mod native;
mod parallel;
mod payload;
mod peer;
mod times;
mod transfers;
mod trees;
mod unsized_files;
mod web;
mod wiretap;

use std::future::{Future, pending};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use sandport_protocol::wire::{VERSION, Welcome};

use super::*;
use sandport_protocol::Address;
use sandport_testkit::patience::PATIENCE;
pub(super) use sandport_testkit::patience::within;

/// What a run of the sender has told, in order, as text that can be compared.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn note(&mut self, event: &SendEvent) {
        let named = |file: &SendFile| file.name.clone().unwrap_or_else(|| "?".to_owned());
        let last =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.0.push(match event {
            SendEvent::Planned { file } => format!("planned {} {:?}", named(file), file.size),
            SendEvent::Stored { file, receipt } => {
                format!("stored {} as {}", named(file), receipt.name)
            }
            SendEvent::AlreadyStored { file, .. } => format!("already stored {}", named(file)),
            SendEvent::DirectoryStored { file, .. } => format!("directory {}", named(file)),
            SendEvent::Sent { file, size } => format!("sent {} {size}", named(file)),
            SendEvent::StoredUnverified { file, name, .. } => {
                format!("stored unverified {} as {name}", named(file))
            }
            SendEvent::Refused { file, refusal } => {
                format!("refused {} {}", named(file), refusal.code)
            }
            SendEvent::Failed { path, error, .. } => {
                format!("failed {} {}", last(path), error.code())
            }
            SendEvent::Skipped { path, reason } => {
                format!("skipped {} {}", last(path), reason.code())
            }
            SendEvent::Unanswered { file, .. } => format!("unanswered {}", named(file)),
            SendEvent::ModifiedOmitted { file } => format!("without its time {}", named(file)),
            _ => return,
        });
    }

    fn sorted(mut self) -> Vec<String> {
        self.0.sort();
        self.0
    }
}

/// A client with options as a test likes them.
fn client(to: impl Into<Destination>, options: Options) -> Client {
    Client { to: to.into(), options: Arc::new(options) }
}

/// Takes the events of a transfer until it ends, or interrupts it when `stop` completes.
async fn follow(
    mut transfer: Transfer,
    stop: impl Future<Output = ()>,
    mut events: impl FnMut(SendEvent),
) -> Result<Summary, SendError> {
    let mut stop = pin!(stop);
    let mut is_stopped = false;
    loop {
        tokio::select! {
            biased;
            event = transfer.next() => match event {
                Some(event) => events(event),
                None => return transfer.await,
            },
            () = &mut stop, if !is_stopped => {
                is_stopped = true;
                transfer.interrupt();
            }
        }
    }
}

async fn send_until(
    to: impl Into<Destination>,
    sources: Vec<Source>,
    options: Options,
    stop: impl Future<Output = ()>,
    events: impl FnMut(SendEvent),
) -> Result<Summary, SendError> {
    follow(client(to, options).send(sources), stop, events).await
}

async fn send(
    to: impl Into<Destination>,
    sources: Vec<Source>,
    options: Options,
    events: impl FnMut(SendEvent),
) -> Result<Summary, SendError> {
    send_until(to, sources, options, pending(), events).await
}

async fn plan(
    sources: Vec<Source>,
    options: &Options,
    events: impl FnMut(SendEvent),
) -> Result<Summary, SendError> {
    let nobody = Address::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    follow(client(nobody, options.clone()).plan(sources), pending(), events).await
}

/// Sends and collects what is told.
async fn send_and_listen(
    to: impl Into<Destination>,
    sources: Vec<Source>,
    options: Options,
) -> (Result<Summary, SendError>, Told) {
    let mut told = Told::default();
    let sending = send(to, sources, options, |event| told.note(&event));
    let result = within("the sender comes to its end", sending).await;
    (result, told)
}

/// Bytes that repeat at no distance that a buffer size could hide.
fn content(length: usize, seed: u32) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A stream that ends when the other half is dropped.
fn endless() -> (std::sync::mpsc::Sender<()>, Source) {
    struct Endless(std::sync::mpsc::Receiver<()>);
    impl std::io::Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            let _ = self.0.recv_timeout(PATIENCE);
            Ok(0)
        }
    }
    let (goes_on, ends) = std::sync::mpsc::channel();
    (goes_on, Source::reader("-", Endless(ends)).named("stream"))
}

/// What a server grants that a test plays by hand.
fn welcome() -> Welcome {
    Welcome {
        version: VERSION,
        agent: "peer/0".to_owned(),
        max_file_size: None,
        max_uploads_ahead: 8,
        max_bytes_ahead: 0,
        idle_timeout_ms: 60_000,
        challenge: Vec::new(),
    }
}
