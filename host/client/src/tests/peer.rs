//! A receiver with an inbox in memory, driven over TCP.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use sandport_protocol::receiver::{Opened, Output, Receiver, Want};
use sandport_protocol::{
    Digest, EntryKind, Extent, Limits, Offer, Receipt, Refusal, RefusalCode, UploadId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::within;
use crate::clock::Clock;
use sandport_protocol::Address;

/// A file that arrived.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) content: Vec<u8>,
    pub(super) offer: Offer,
}

/// What the peer does besides keeping files.
type OnOpen = Box<dyn FnMut(&Offer) -> Option<Refusal> + Send>;
type OnBytes = Box<dyn FnMut(&str, u64) -> Option<Refusal> + Send>;

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) kept: BTreeMap<String, Kept>,
    /// How many connections there were.
    pub(super) connections: usize,
    /// How many it serves; it closes others at once.
    pub(super) max_connections: Option<usize>,
    /// How each connection ended.
    pub(super) closed: Vec<Result<(), RefusalCode>>,
    /// Payload bytes that arrived for uploads.
    pub(super) bytes: u64,
    /// All that senders have sent, for each connection.
    pub(super) heard: Vec<Vec<u8>>,
    /// Called with each offer; a refusal is the verdict.
    pub(super) on_open: Option<OnOpen>,
    /// Called with the name and the number of bytes after each write; a refusal is a fault.
    pub(super) on_bytes: Option<OnBytes>,
}

pub(super) struct Peer {
    pub(super) address: Address,
    inbox: Arc<Mutex<Inbox>>,
    /// Told when a connection is made or has ended.
    changed: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl Peer {
    pub(super) async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let shared = Arc::clone(&inbox);
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (number, is_full) = {
                    let mut inbox = shared.lock().unwrap();
                    inbox.connections += 1;
                    inbox.heard.push(Vec::new());
                    let most = inbox.max_connections;
                    (inbox.connections - 1, most.is_some_and(|most| inbox.connections > most))
                };
                tell.notify_waiters();
                if !is_full {
                    let (shared, tell) = (Arc::clone(&shared), Arc::clone(&tell));
                    let limits = limits.clone();
                    tokio::spawn(async move {
                        serve(stream, limits, number, shared).await;
                        tell.notify_waiters();
                    });
                }
            }
        });
        let address = Address::Tcp { host: "127.0.0.1".to_owned(), port };
        Self { address, inbox, changed, accepting }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap()
    }

    /// Waits until `count` connections have ended.
    pub(super) async fn ended(&self, count: usize) {
        let what = format!("{count} connections end at the peer");
        within(&what, self.until(|inbox| inbox.closed.len() >= count)).await;
    }

    /// Waits until there were `count` connections.
    pub(super) async fn connected(&self, count: usize) {
        let what = format!("{count} connections are made");
        within(&what, self.until(|inbox| inbox.connections >= count)).await;
    }

    async fn until(&self, holds: impl Fn(&Inbox) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds(&self.inbox()) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Upload {
    offer: Offer,
    content: Vec<u8>,
    fault: Option<Refusal>,
}

async fn serve(stream: TcpStream, limits: Limits, number: usize, inbox: Arc<Mutex<Inbox>>) {
    let clock = Clock::start();
    let (mut reader, mut writer) = stream.into_split();
    let (answers, mut to_write) = mpsc::unbounded_channel::<bytes::Bytes>();
    let writing = tokio::spawn(async move {
        while let Some(bytes) = to_write.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    });
    let mut uploads: HashMap<UploadId, Upload> = HashMap::new();
    let mut machine = Receiver::new(limits, vec![7; 32], "peer/0".to_owned(), clock.now());
    let mut closed = None;
    while closed.is_none() {
        while let Some(output) = machine.poll_output() {
            let now = clock.now();
            let mut inbox = inbox.lock().unwrap();
            match output {
                Output::Send(bytes) => drop(answers.send(bytes)),
                Output::Open { id, offer, .. } => {
                    let opened = open(&mut inbox, &offer);
                    if let Ok(Opened::Accepted(_)) = opened {
                        uploads.insert(id, Upload { offer, content: Vec::new(), fault: None });
                    }
                    machine.handle_opened(now, id, opened);
                }
                // It takes no ranges: bytes come in order.
                Output::Body { id, extent, .. }
                    if uploads[&id].content.len() as u64 != extent.offset =>
                {
                    machine.handle_fault(now, id, RefusalCode::OffsetMismatch.into());
                }
                Output::Write { id, bytes } => {
                    let upload = uploads.get_mut(&id).unwrap();
                    if let Some(fault) = append(&mut inbox, upload, &bytes) {
                        machine.handle_fault(now, id, fault);
                    }
                }
                Output::Commit { id, size, digest, .. } => {
                    let upload = uploads.remove(&id).unwrap();
                    let outcome = commit(&mut inbox, upload, size, digest);
                    machine.handle_committed(now, id, outcome.map(Into::into));
                }
                Output::Discard { id, .. } | Output::Release { id } => drop(uploads.remove(&id)),
                Output::Authenticate(_) => {
                    machine.handle_authenticated(now, Err(RefusalCode::NotPermitted.into()));
                }
                Output::Close(outcome) => closed = Some(outcome.map_err(|refusal| refusal.code)),
                _ => {}
            }
        }
        if closed.is_some() {
            break;
        }
        let (max, id) = match machine.want() {
            Want::Read { max } => (max, None),
            Want::Splice { id, max } => (usize::try_from(max).unwrap(), Some(Some(id))),
            Want::Skip { max } => (usize::try_from(max).unwrap(), Some(None)),
            _ => (0, None),
        };
        let mut bytes = BytesMut::zeroed(max.min(1 << 20));
        let timeout = machine.poll_timeout().map(|at| clock.instant(at));
        let far = tokio::time::Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            read = reader.read(&mut bytes), if max > 0 => {
                let count = read.unwrap_or(0);
                let now = clock.now();
                bytes.truncate(count);
                inbox.lock().unwrap().heard[number].extend_from_slice(&bytes);
                match id {
                    _ if count == 0 => machine.handle_eof(now),
                    None => machine.handle_input(now, bytes.freeze()),
                    Some(id) => {
                        let mut inbox = inbox.lock().unwrap();
                        let upload = id.and_then(|id| uploads.get_mut(&id));
                        let fault = upload.and_then(|upload| append(&mut inbox, upload, &bytes));
                        machine.handle_spliced(now, count as u64);
                        if let (Some(id), Some(fault)) = (id, fault) {
                            machine.handle_fault(now, id, fault);
                        }
                    }
                }
            }
            () = tokio::time::sleep_until(timeout.unwrap_or(far)) => machine.handle_timeout(clock.now()),
        }
    }
    drop(answers);
    writing.await.unwrap();
    // What is on its way would turn the close into a reset, which could eat the last answer.
    let mut rest = vec![0; 1 << 16];
    while reader.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    inbox.lock().unwrap().closed.extend(closed);
}

fn open(inbox: &mut Inbox, offer: &Offer) -> Result<Opened, Refusal> {
    if let Some(refusal) = inbox.on_open.as_mut().and_then(|on_open| on_open(offer)) {
        return Err(refusal);
    }
    let name = offer.name.clone().unwrap_or_else(|| "made-up".to_owned());
    if offer.kind == EntryKind::Directory {
        let kept = Kept { content: Vec::new(), offer: offer.clone() };
        let receipt = receipt(name.clone(), &kept.content);
        inbox.kept.insert(name, kept);
        return Ok(Opened::Stored(receipt));
    }
    if let Some(kept) = inbox.kept.get(&name) {
        let there = receipt(name, &kept.content);
        match offer.digest {
            Some(digest) if digest == there.digest => return Ok(Opened::Stored(there)),
            None if offer.size == Some(there.size) => return Ok(Opened::DigestFirst),
            _ => {}
        }
    }
    Ok(Opened::Accepted(vec![Extent { offset: 0, length: offer.size }]))
}

/// Adds bytes to an upload; gives a fault that is new.
fn append(inbox: &mut Inbox, upload: &mut Upload, bytes: &[u8]) -> Option<Refusal> {
    upload.content.extend_from_slice(bytes);
    inbox.bytes += bytes.len() as u64;
    if upload.fault.is_some() {
        return None;
    }
    let name = upload.offer.name.as_deref().unwrap_or_default();
    let length = upload.content.len() as u64;
    upload.fault = inbox.on_bytes.as_mut().and_then(|on_bytes| on_bytes(name, length));
    upload.fault.clone()
}

fn commit(
    inbox: &mut Inbox,
    upload: Upload,
    size: u64,
    digest: Option<Digest>,
) -> Result<Receipt, Refusal> {
    if let Some(fault) = upload.fault {
        return Err(fault);
    }
    let name = upload.offer.name.clone().unwrap_or_else(|| "made-up".to_owned());
    let receipt = receipt(name.clone(), &upload.content);
    if receipt.size != size || digest.is_some_and(|digest| digest != receipt.digest) {
        return Err(RefusalCode::DigestMismatch.into());
    }
    inbox.kept.insert(name, Kept { content: upload.content, offer: upload.offer });
    Ok(receipt)
}

fn receipt(name: String, content: &[u8]) -> Receipt {
    let digest = Digest::Blake3(*blake3::hash(content).as_bytes());
    Receipt { name, size: content.len() as u64, digest, proof: None }
}
