//! Both ends of a connection in memory, with fake time: bytes go from one to the other in pieces
//! that a seed decides, and the connection can be cut at any byte.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

pub mod driven;
pub mod inbox;
pub mod receiver_end;
pub mod rng;
pub mod script;
pub mod sender_end;

use std::collections::VecDeque;

use sandport_protocol::{Limits, Millis};

use receiver_end::ReceiverEnd;
use rng::Rng;
use sender_end::{File, SenderEnd};

/// How the connection treats what is sent over it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// Pieces of random length instead of all that there is.
    pub pieces_seed: Option<u64>,
    /// Most milliseconds that pass with each step, where pieces are random.
    pub delay_ms_max: Millis,
    /// After this many bytes from the sender the connection is cut, both ways.
    pub cut_up: Option<u64>,
    /// After this many bytes from the receiver the connection is cut, both ways.
    pub cut_down: Option<u64>,
}

/// A sender, a receiver, and the connection between them.
pub struct Pair {
    pub sender: SenderEnd,
    pub receiver: ReceiverEnd,
    pub now: Millis,
    /// All bytes that reached the receiver, and the sender.
    pub up: Vec<u8>,
    pub down: Vec<u8>,
    network: Network,
    rng: Rng,
    cut: bool,
    receiver_saw_eof: bool,
    sender_saw_eof: bool,
}

impl Pair {
    pub fn new(files: Vec<File>, limits: Limits, network: Network) -> Self {
        let now = 1_000_000;
        Self {
            sender: SenderEnd::new(files, now),
            receiver: ReceiverEnd::new(limits, now),
            now,
            up: vec![],
            down: vec![],
            network,
            rng: Rng::new(network.pieces_seed.unwrap_or(0)),
            cut: network.cut_up == Some(0) || network.cut_down == Some(0),
            receiver_saw_eof: false,
            sender_saw_eof: false,
        }
    }

    /// Runs until both ends are done.
    pub fn drive(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("no end after a million steps");
    }

    /// Moves what can move now, or else the clock. Says whether anything is left to do.
    pub fn step(&mut self) -> bool {
        if self.receiver.closed.is_some() && self.sender.ended.is_some() {
            return false;
        }
        let moved = self.move_up() | self.move_down();
        if self.network.pieces_seed.is_some() && self.network.delay_ms_max > 0 {
            self.now += self.rng.below(self.network.delay_ms_max + 1);
        } else if !moved {
            let due = self
                .receiver
                .next_due()
                .into_iter()
                .chain(self.sender.machine.poll_timeout())
                .min()
                .expect("nothing moves and nobody waits for the clock");
            self.now = self.now.max(due);
        }
        self.receiver.tick(self.now);
        self.sender.tick(self.now);
        true
    }

    fn piece(&mut self, available: usize) -> usize {
        match self.network.pieces_seed {
            None => available,
            // Mostly small pieces, and now and then a large one.
            Some(_) if self.rng.chance(4) => available,
            Some(_) => 1 + self.rng.below(40) as usize,
        }
    }

    fn move_up(&mut self) -> bool {
        if self.cut || (self.sender.shut_down && self.sender.outgoing.is_empty()) {
            let eof = !self.receiver_saw_eof && self.receiver.eof(self.now);
            self.receiver_saw_eof |= eof;
            return eof;
        }
        let most = self.piece(self.sender.outgoing.len());
        let room = room(self.network.cut_up, self.up.len());
        let available = self.sender.outgoing.make_contiguous();
        let available = &available[..available.len().min(room)];
        if available.is_empty() || self.receiver.closed.is_some() {
            return false;
        }
        let taken = self.receiver.feed(self.now, available, most);
        self.up.extend(self.sender.outgoing.drain(..taken));
        if taken > 0 {
            self.sender.handle_sent(self.now, taken as u64);
        }
        self.cut |= self.network.cut_up == Some(self.up.len() as u64);
        taken > 0
    }

    fn move_down(&mut self) -> bool {
        let waiting = self.receiver.sent.len() - self.down.len();
        let closed = self.receiver.closed.is_some() && waiting == 0;
        if self.cut || closed {
            if self.sender_saw_eof || self.sender.ended.is_some() {
                return false;
            }
            self.sender_saw_eof = true;
            self.sender.handle_eof(self.now);
            return true;
        }
        let room = room(self.network.cut_down, self.down.len());
        let count = self.piece(waiting).min(waiting).min(room);
        if count == 0 {
            return false;
        }
        let piece = self.receiver.sent[self.down.len()..][..count].to_vec();
        self.down.extend_from_slice(&piece);
        self.sender.handle_input(self.now, &piece);
        self.cut |= self.network.cut_down == Some(self.down.len() as u64);
        true
    }
}

fn room(cut: Option<u64>, passed: usize) -> usize {
    cut.map_or(usize::MAX, |cut| cut as usize - passed)
}

/// Gives a receiver pieces of a session at given times, then the end of the connection if there is a
/// time for it, and lets the clock run until the receiver has closed.
pub fn play(
    mut receiver: ReceiverEnd,
    start: Millis,
    pieces: &[(Millis, Vec<u8>)],
    eof_at: Option<Millis>,
) -> ReceiverEnd {
    let mut now = start;
    let mut pieces: VecDeque<_> =
        pieces.iter().filter(|(_, piece)| !piece.is_empty()).cloned().collect();
    let mut arrived = VecDeque::new();
    let mut eof = false;
    receiver.settle(now);
    for _ in 0..1_000_000 {
        if receiver.closed.is_some() {
            return receiver;
        }
        while pieces.front().is_some_and(|(at, _)| *at <= now) {
            arrived.extend(pieces.pop_front().map(|(_, piece)| piece));
        }
        if let Some(mut piece) = arrived.pop_front() {
            let taken = receiver.feed(now, &piece, usize::MAX);
            piece.drain(..taken);
            if !piece.is_empty() {
                arrived.push_front(piece);
            }
            if taken > 0 {
                continue;
            }
        } else if !eof && pieces.is_empty() && eof_at.is_some_and(|at| at <= now) {
            eof = receiver.eof(now);
            if eof {
                continue;
            }
        }
        let next_piece = pieces.front().map(|(at, _)| *at);
        let next_eof = eof_at.filter(|&at| !eof && at > now);
        let next = receiver.next_due().into_iter().chain(next_piece).chain(next_eof).min();
        now = now.max(next.expect("the receiver waits for something"));
        receiver.tick(now);
    }
    panic!(
        "no end after a million steps: wants {:?} until {:?}, now {now}",
        receiver.machine.want(),
        receiver.next_due(),
    );
}
