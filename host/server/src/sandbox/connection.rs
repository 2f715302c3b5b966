//! One connection, as the streams of its sandbox and the server see it.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use sandport_protocol::{DETAIL_BYTES_MAX, NAME_BYTES_MAX, Refusal, RefusalCode};
use tokio::sync::{Notify, SetOnce};

use super::ahead::Ahead;
use super::budget::{Accounts, Time};
use super::context::Context;
use super::replay::{NotRead, Replay};
use super::sender::Sender;
use super::sharing::Share;
use super::telling::TellingAccount;
use crate::budget::{
    Busy, Charge, Deadlines, EARNED_PER_ANSWER_NS, EARNED_PER_BYTE_NS, EARNED_PER_FILE_NS, Futile,
    Limit, MemoryAccount, Overdue, Seat, Source,
};
use crate::event::ServerEvent;
use crate::limits;
use crate::net::{Peer, Stream};
use sandport_inbox::{CommitHandle, Meter};

/// How often a connection that is over is looked at whose last files are being stored.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The text up to the last character that ends within `bytes_max`.
fn cut(text: String, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    // A text that is only truncated keeps the memory of the whole.
    if end < text.len() { text[..end].to_owned() } else { text }
}

fn cut_detail(refusal: &mut Refusal) {
    refusal.detail = refusal.detail.take().map(|detail| cut(detail, DETAIL_BYTES_MAX));
}

/// A connection that was accepted.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(super) sender: Sender,
    pub(crate) context: Arc<Context>,
    seat: Arc<Seat>,
    /// Bytes that arrived so far.
    pub(super) arrived: Arc<AtomicU64>,
    /// Processor time that others than its own thread have used for it.
    pub(super) elsewhere: Meter,
    /// Commits that the inbox is busy with. While there are any, silence is not idleness.
    commits: AtomicUsize,
    /// Commits that may not be over, by their numbers, the oldest first.
    awaited: Mutex<Awaited>,
    /// Waits for room in an upload: for the disk, and not for the peer.
    disk_waits: AtomicUsize,
    /// Bytes that the guest wrote and the socket has not taken.
    unsent: Mutex<Bytes>,
    /// Told when there are any after a write.
    held: Notify,
    /// What the peer sends was cut off, as far as is known.
    truncated: SetOnce<()>,
    /// The refusal of an upload that was told last.
    told: Mutex<Option<Refusal>>,
    /// What one instance leaves to the next.
    pub(super) replay: Replay,
    /// What was read before the guest asked for it.
    pub(super) ahead: Ahead,
    /// What the instances before this one have left of the computing that the connection may use.
    accounts: Mutex<Option<Accounts>>,
    /// Its part of the processors.
    share: Share,
    /// What may be told of it.
    telling: TellingAccount,
    /// What its uploads and its sandbox hold of memory.
    memory: Arc<MemoryAccount>,
}

#[derive(Default)]
struct Awaited {
    commits: VecDeque<(u64, CommitHandle)>,
    /// How many there were.
    started: u64,
}

impl Connection {
    /// For a connection that has this place.
    pub(crate) fn new(stream: Stream, context: Arc<Context>, seat: Arc<Seat>) -> Self {
        let is_trusted_proxy = context.proxies.trust(stream.place());
        let memory = context.memory.account(seat.source());
        Self {
            sender: Sender::new(stream.peer().clone(), is_trusted_proxy),
            stream,
            context,
            seat,
            arrived: Arc::default(),
            elsewhere: Meter::default(),
            commits: AtomicUsize::new(0),
            awaited: Mutex::default(),
            disk_waits: AtomicUsize::new(0),
            unsent: Mutex::default(),
            held: Notify::new(),
            truncated: SetOnce::new(),
            told: Mutex::default(),
            replay: Replay::default(),
            ahead: Ahead::default(),
            accounts: Mutex::default(),
            share: Share::default(),
            telling: TellingAccount::default(),
            memory,
        }
    }

    /// Who sends what is being served now, and from where.
    pub(crate) fn peer(&self) -> Peer {
        self.sender.peer()
    }

    /// Waits until there is something to read for the next instance. `false`: the peer has nothing more to
    /// say.
    pub(crate) async fn wait_first_byte(&self) -> bool {
        self.has_read_bytes() || self.stream.wait_first_byte().await.unwrap_or(false)
    }

    /// Whether there are bytes that were read from the socket and not given to the guest.
    pub(super) fn has_read_bytes(&self) -> bool {
        !self.replay.is_empty() || !self.ahead.is_empty()
    }

    /// What is left of the computing that the connection may use, for the next instance; `None`: this is the
    /// first.
    pub(super) fn take_accounts(&self) -> Option<Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn keep_accounts(&self, accounts: Accounts) {
        *self.accounts.lock().unwrap_or_else(PoisonError::into_inner) = Some(accounts);
    }

    /// An instance is over, and leaves the last `count` bytes that it read to the next.
    ///
    /// # Errors
    /// It did not read so many.
    pub(super) fn leave(&self, count: u32) -> Result<(), NotRead> {
        self.touch();
        self.seat.pulse.handle_request_over(self.seat.now());
        if self.sender.forget_forwarded() {
            self.seat.forward(None);
            self.memory.count_at(self.seat.source());
        }
        // What the next request is refused for is news, also where it is the same.
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.replay.leave(count)
    }

    /// Reading has failed. Whether that is no end that a guest may take for one: what is encrypted ends with a word
    /// for it, and who can cut a connection could choose how much of a file there is. The host ends the connection then.
    pub(super) fn handle_broken(&self) -> bool {
        let is_truncated = self.stream.is_encrypted();
        if is_truncated {
            // It may be told again.
            let _ = self.truncated.set(());
        }
        is_truncated
    }

    /// Whether what the peer sends was cut off.
    pub(super) fn is_truncated(&self) -> bool {
        self.truncated.initialized()
    }

    /// Waits until what the peer sends is cut off, and the inbox has done what it is busy with: all of that was here.
    pub(crate) async fn truncated(&self) {
        self.truncated.wait().await;
        while self.is_busy() {
            #[expect(clippy::disallowed_methods, reason = "a pause before the next look")]
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether uploads are open.
    pub(crate) fn has_uploads(&self) -> bool {
        self.seat.pulse.has_uploads()
    }

    /// Reads what is there. 0 is the end.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.share.read_bytes_max(buffer.len());
        let count = self.stream.try_read(&mut buffer[..most])?;
        let before = self.arrived.fetch_add(count as u64, Ordering::Relaxed);
        if count > 0 {
            self.seat.pulse.handle_arrived(before + count as u64, self.seat.now());
        }
        Ok(count)
    }

    /// Sends bytes, after those that are still unsent; keeps what the socket does not take now.
    pub(super) fn write(&self, bytes: Bytes) -> io::Result<()> {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        if unsent.is_empty() {
            *unsent = bytes;
        } else {
            let mut joined = BytesMut::from(unsent.as_ref());
            joined.extend_from_slice(&bytes);
            *unsent = joined.freeze();
        }
        self.send(&mut unsent)?;
        if !unsent.is_empty() || !self.stream.try_flush()? {
            self.held.notify_one();
        }
        Ok(())
    }

    /// Sends what the socket did not take at once, whether or not the guest asks about it. It never returns.
    pub(crate) async fn send_held(&self) {
        loop {
            self.held.notified().await;
            // Where it fails, reading tells the guest.
            let _ = self.flushed().await;
        }
    }

    /// Sends what is unsent. Whether nothing is left.
    pub(super) fn flush(&self) -> io::Result<bool> {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        if !unsent.is_empty() {
            self.send(&mut unsent)?;
        }
        Ok(unsent.is_empty() && self.stream.try_flush()?)
    }

    /// How much is unsent, as far as is known.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until all is sent.
    pub(crate) async fn flushed(&self) -> io::Result<()> {
        while !self.flush()? {
            self.stream.writable().await?;
        }
        Ok(())
    }

    fn send(&self, unsent: &mut Bytes) -> io::Result<()> {
        while !unsent.is_empty() {
            match self.stream.try_write(unsent) {
                Ok(count) => {
                    unsent.advance(count);
                    self.touch();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn touch(&self) {
        self.seat.pulse.handle_moved(self.seat.now());
    }

    /// What came was understood: the guest answers it, or asks the gate about it.
    pub(super) fn handle_greeting(&self) {
        self.seat.pulse.handle_greeting(|| self.seat.now());
    }

    /// Something is offered, or asked of what was.
    pub(super) fn handle_offer(&self) {
        self.seat.pulse.handle_offer(|| self.seat.now());
    }

    /// So many uploads are open now.
    pub(super) fn set_uploads(&self, uploads: usize) {
        self.seat.pulse.set_uploads(uploads);
    }

    /// A sender got an answer that it wanted.
    pub(super) fn handle_answer(&self) {
        self.share.earn(EARNED_PER_ANSWER_NS);
        self.context.failures.pay(|| self.seat.source());
        self.seat.pulse.handle_useful(self.seat.now());
    }

    /// So many bytes of payload came.
    pub(super) fn handle_payload(&self, bytes: usize) {
        self.share.earn(EARNED_PER_BYTE_NS * bytes as u64);
    }

    /// An instance begins to serve it.
    pub(super) fn begin_share(&self) {
        self.context.sharing.begin(&self.share, self.seat.source());
    }

    /// So much time was used for it.
    pub(super) fn handle_used(&self, time: Time) {
        self.context.sharing.charge(&self.share, || self.seat.source(), time);
    }

    /// Whether it has to wait, since it has used more than its part.
    pub(super) fn is_paused(&self) -> bool {
        self.share.is_paused()
    }

    /// Whether nothing is to be read of it now, for that reason or another one.
    pub(super) fn is_held_up(&self) -> bool {
        self.share.is_held_up()
    }

    /// Something that the peer began came to nothing.
    pub(crate) fn fail(&self, futile: Futile) {
        let (failures, source) = (&self.context.failures, self.seat.source());
        failures.fail(source, futile);
        if futile == Futile::Offer {
            self.context.sharing.hold_up(&self.share, failures.within(source));
        }
    }

    /// The address where what is sent now counts; `None`: it is one that many share, or none.
    pub(super) fn place(&self) -> Option<IpAddr> {
        self.seat.source().address()
    }

    /// What its uploads and its sandbox hold of memory.
    pub(super) fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }

    /// Takes memory for an upload.
    ///
    /// # Errors
    /// `too-many`: the connection, its address or all together hold as much as they may.
    pub(super) fn take_memory(&self, bytes: u64) -> Result<Charge, Refusal> {
        self.memory.take(bytes).map_err(|_| {
            let (code, words) = limits::refusal(Limit::Memory);
            Refusal::new(code, words)
        })
    }

    /// Waits as long as it has to.
    pub(super) async fn pause(&self) {
        self.context.sharing.pause(&self.share).await;
    }

    /// The proxy has said that the sender of what is served now is at this address.
    ///
    /// # Errors
    /// As of [`Sender::forward`].
    pub(super) fn forward(&self, address: &str) -> Result<(), Refusal> {
        self.sender.forward(address)?;
        self.seat.forward(self.sender.address().map(Source::at));
        self.memory.count_at(self.seat.source());
        Ok(())
    }

    /// A commit is under way, until [`Self::commit_ended`]; `None`: it was refused at once. Its number.
    pub(super) fn commit_started(&self, pending: Option<&CommitHandle>) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let mut awaited = self.awaited();
        let number = awaited.started;
        awaited.started += 1;
        if let Some(pending) = pending.filter(|pending| !pending.is_complete()) {
            let commits = &mut awaited.commits;
            if commits.len() == commits.capacity() {
                commits.retain(|(_, pending)| !pending.is_complete());
            }
            commits.push_back((number, pending.clone()));
        }
        number
    }

    /// The oldest commit that is not over, if it is older than the one with this number.
    pub(super) fn commit_before(&self, number: u64) -> Option<CommitHandle> {
        let commits = &mut self.awaited().commits;
        while commits.front().is_some_and(|(_, pending)| pending.is_complete()) {
            commits.pop_front();
        }
        commits.front().filter(|(oldest, _)| *oldest < number).map(|(_, pending)| pending.clone())
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn commit_ended(&self) {
        self.touch();
        self.commits.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many commits there are whose outcome the guest has not asked for.
    pub(super) fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    /// The guest waits for the disk, until this is dropped.
    pub(super) fn wait_for_disk(&self) -> DiskWait<'_> {
        self.disk_waits.fetch_add(1, Ordering::Relaxed);
        DiskWait(self)
    }

    /// Waits until one of the times is over. While a commit is under way, or the disk waited for, none is.
    pub(crate) async fn overdue(&self, deadlines: Deadlines) -> Overdue {
        loop {
            // Not the commits that are over, and that the guest does not ask about.
            let reading = self.seat.pulse.reading(self.is_busy());
            let now = self.seat.now();
            match deadlines.check(&reading, now) {
                Err(overdue) => return overdue,
                Ok(at) => {
                    #[expect(clippy::disallowed_methods, reason = "a deadline is a time")]
                    tokio::time::sleep(at.saturating_sub(now)).await;
                }
            }
        }
    }

    /// Tells the owner of the server. What a peer chose is cut to what an inbox could take, since
    /// events may wait by the thousand. A refused upload that ends its connection is told once, and that the
    /// inbox is lost is told by the server, not of each file that meets it.
    pub(crate) fn emit(&self, event: ServerEvent) {
        let told = || self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let ServerEvent::UploadRefused { refusal, .. }
        | ServerEvent::ConnectionRefused { refusal, .. } = &event
            && self.context.inbox.is_of_loss(refusal)
        {
            return;
        }
        match event {
            ServerEvent::Stored { .. } => {
                self.share.earn(EARNED_PER_FILE_NS);
                self.handle_answer();
            }
            ServerEvent::Directory { .. } => self.handle_answer(),
            ServerEvent::UploadRefused { ref refusal, .. } if is_of_peer(refusal.code) => {
                self.fail(Futile::Offer);
            }
            _ => {}
        }
        let event = match event {
            ServerEvent::UploadRefused { peer, name, mut refusal } => {
                cut_detail(&mut refusal);
                *told() = Some(refusal.clone());
                let name = name.map(|name| cut(name, NAME_BYTES_MAX));
                ServerEvent::UploadRefused { peer, name, refusal }
            }
            ServerEvent::ConnectionRefused { peer, mut refusal } => {
                cut_detail(&mut refusal);
                if told().as_ref() == Some(&refusal) {
                    return;
                }
                ServerEvent::ConnectionRefused { peer, refusal }
            }
            event => event,
        };
        let arrived = self.arrived.load(Ordering::Relaxed);
        let Context { telling, events, .. } = &*self.context;
        if telling.admit(&self.telling, self.seat.source(), arrived, &event, events) {
            events.emit(event);
        }
    }

    /// Whether a line of the receiver may be written into the log.
    pub(super) fn admits_line(&self, line: &str) -> bool {
        let arrived = self.arrived.load(Ordering::Relaxed);
        self.context.telling.admit_line(&self.telling, self.seat.source(), arrived, line)
    }
}

/// Whether a refusal is the peer's doing, and not that of the disk or of another sender.
fn is_of_peer(code: RefusalCode) -> bool {
    !matches!(code, RefusalCode::Io | RefusalCode::InsufficientSpace | RefusalCode::Locked)
}

impl Busy for Connection {
    /// Whether the inbox or the disk is waited for, and not the peer.
    fn is_busy(&self) -> bool {
        self.disk_waits.load(Ordering::Relaxed) > 0
            || self.is_paused()
            || self.awaited().commits.iter().any(|(_, pending)| !pending.is_complete())
    }
}

/// Silence is not idleness while there is one.
pub(super) struct DiskWait<'a>(&'a Connection);

impl Drop for DiskWait<'_> {
    fn drop(&mut self) {
        self.0.touch();
        self.0.disk_waits.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    use super::*;
    use crate::event::EventSink;
    use sandport_inbox::{AnyInbox, Inbox, InboxOptions};
    use sandport_protocol::Limits;
    use sandport_testkit::patience::within;

    /// More than a socket takes at once.
    const ANSWER_BYTES: usize = 8 * 1024 * 1024;

    #[test]
    fn what_is_cut_off_of_a_text_takes_no_memory() {
        let long = "ä".repeat(1 << 20);
        let short = cut(long, 101);
        assert_eq!(short, "ä".repeat(50));
        assert!(short.capacity() < 1_000);
        assert_eq!(cut(short.clone(), 101), short);
    }

    #[tokio::test]
    async fn commits_are_over_in_the_order_in_which_they_were_made() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(&dir.path().join("inbox"), InboxOptions::default()).unwrap();
        let context = Context::new(AnyInbox::from(inbox), Limits::default(), EventSink::default());
        let (here, _there) = UnixStream::pair().unwrap();
        let connection = Connection::new(here.into(), Arc::new(context), Arc::new(Seat::alone()));
        let refused = || Err(Refusal::from(RefusalCode::Io));
        let (first, end_first) = CommitHandle::begun();
        let (second, end_second) = CommitHandle::begun();
        let numbers = [&first, &second].map(|pending| connection.commit_started(Some(pending)));
        let third = connection.commit_started(None);
        end_second(refused());
        let before = |number| connection.commit_before(number);
        assert!(before(numbers[0]).is_none());
        assert!(before(numbers[1]).is_some_and(|pending| pending.is_same(&first)));
        assert!(before(third).is_some_and(|pending| pending.is_same(&first)));
        end_first(refused());
        assert!(before(numbers[1]).is_none() && before(third).is_none());
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_at_once_is_sent_later() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(&dir.path().join("inbox"), InboxOptions::default()).unwrap();
        let inbox = AnyInbox::from(inbox);
        let context = Context::new(inbox, Limits::default(), EventSink::default());
        let (here, mut there) = UnixStream::pair().unwrap();
        let connection = Connection::new(here.into(), Arc::new(context), Arc::new(Seat::alone()));
        connection.write(Bytes::from(vec![7; ANSWER_BYTES])).unwrap();
        assert!(!connection.flush().unwrap(), "the socket took all of it");
        let mut heard = vec![0; ANSWER_BYTES];
        within("the answer", async {
            tokio::select! {
                () = connection.send_held() => {}
                all = there.read_exact(&mut heard) => assert_eq!(all.unwrap(), ANSWER_BYTES),
            }
        })
        .await;
    }
}
