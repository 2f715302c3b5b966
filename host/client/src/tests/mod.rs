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
mod trees;
mod unsized_files;
mod web;
mod wiretap;

use std::path::{Path, PathBuf};

use sandport_protocol::wire::{VERSION, Welcome};

use super::*;
use sandport_protocol::Address;
use sandport_testkit::patience::PATIENCE;
pub(super) use sandport_testkit::patience::within;

/// What a run of the sender has told, in order, as text that can be compared.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn note(&mut self, event: &SendEvent<'_>) {
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

/// Sends and collects what is told.
async fn send_and_listen(
    to: impl Into<Destination>,
    sources: Vec<Source>,
    options: SendOptions,
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

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
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
        size_max: None,
        uploads_ahead_max: 8,
        bytes_ahead_max: 0,
        idle_timeout_ms: 60_000,
        challenge: Vec::new(),
    }
}
