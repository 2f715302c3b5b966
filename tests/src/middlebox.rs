//! A box in the middle of the network, which passes connections on and may cut or hold them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::connection::connect;
use crate::deadline;
use crate::gate::{Gate, Progress};
use crate::peer;

/// Passed on in one go, at most. Bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It passes.
    Pass,
    /// It is cut, in both directions, after so many bytes of the sender's.
    Cut(u64),
    /// The byte at this place of what the sender sends is changed.
    Damage(u64),
    /// It passes slowly: each 64 KiB at most comes so much later.
    Slow(Duration),
    /// Nothing passes any more after so many bytes of the sender's, and nobody is told.
    Hold(u64),
    /// The same, but what the server says passes.
    HoldSender(u64),
}

/// What it has seen of one connection.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes from the sender that were passed on.
    bytes: u64,
    /// Whether its fate has come.
    struck: bool,
    /// Whether nothing of the sender's passes any more.
    is_over: bool,
    /// Whether the server has closed.
    is_closed: bool,
    /// Whether what the server says passes no more.
    is_silent: bool,
    /// A connection that is held stays open.
    held: Vec<TcpStream>,
}

/// What the threads of a box share.
#[derive(Debug, Default)]
struct State {
    server: String,
    seen: Vec<Seen>,
    gate: Option<Gate>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    gate_opened: Condvar,
}

/// A running box. Connections that it holds end with it.
#[derive(Debug)]
pub struct Middlebox {
    address: String,
    shared: Arc<Shared>,
}

impl Middlebox {
    /// One before this server. `fates` are those of the first connections, in the order in which they come;
    /// all others pass.
    pub fn before(server: &str, fates: impl IntoIterator<Item = Fate>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        // What waits here is out of the sender's sight.
        socket.set_recv_buffer_size(BUFFER_BYTES).expect("a socket option");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a port is free");
        socket.listen(128).expect("it was bound");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("it listens").to_string();
        let shared = Arc::new(Shared::default());
        server.clone_into(&mut shared.lock().server);
        let mut fates = fates.into_iter().collect::<Vec<_>>().into_iter();
        let within = Arc::clone(&shared);
        peer::serve(listener, move |sender| {
            let server = within.lock().server.clone();
            // A server that does not listen is one that the sender cannot reach.
            let Ok(receiver) = connect(&server).map(TcpStream::from) else { return };
            let fate = fates.next().unwrap_or(Fate::Pass);
            let number = within.begin();
            let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
            let (back_from, back_to) = (copy(&receiver), copy(&sender));
            let shared = Arc::clone(&within);
            thread::spawn(move || shared.forwards(sender, receiver, fate, number));
            let shared = Arc::clone(&within);
            thread::spawn(move || shared.backwards(back_from, back_to, number));
        });
        Self { address, shared }
    }

    /// The same, and no connection gets further than so many bytes of the sender's before each of the first
    /// ones, so many, has come as far, or was cut or held before.
    pub fn in_step(self, connections: usize, bytes: u64) -> Self {
        self.shared.lock().gate = Some(Gate { bytes, connections: Some(connections) });
        self
    }

    /// The same, and no connection gets further than so many bytes of the sender's before it is
    /// [released](Self::release).
    pub fn held_at(self, bytes: u64) -> Self {
        self.shared.lock().gate = Some(Gate { bytes, connections: None });
        self
    }

    /// Lets all connections pass.
    pub fn release(&self) {
        self.shared.lock().gate = None;
        self.shared.gate_opened.notify_all();
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on connections go to this server.
    pub fn turn_to(&self, server: &str) {
        server.clone_into(&mut self.shared.lock().server);
    }

    /// Cuts a connection that is held.
    pub fn cut(&self, number: usize) {
        for stream in &self.shared.lock().seen[number].held {
            // The other side may have ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many bytes of the sender's it has passed on so far, for each connection, in the order in which
    /// they came.
    pub fn bytes(&self) -> Vec<u64> {
        self.shared.lock().seen.iter().map(|seen| seen.bytes).collect()
    }

    /// Waits until the first `count` connections are over on both sides: what the sender left on its way has
    /// arrived, and the server has closed them.
    #[track_caller]
    pub fn wait_closed(&self, count: usize) {
        let are_closed = || {
            let state = self.shared.lock();
            let closed =
                state.seen.iter().take(count).filter(|seen| seen.is_over && seen.is_closed);
            closed.count() == count
        };
        deadline::until(format_args!("the end of {count} connections on both sides"), are_closed);
    }

    /// Waits until so many bytes of the sender's were passed on, over all connections, or `is_over`.
    #[track_caller]
    pub fn wait_bytes(&self, bytes: u64, mut is_over: impl FnMut() -> bool) {
        let have_passed = || self.bytes().iter().sum::<u64>() >= bytes || is_over();
        deadline::until(format_args!("{bytes} bytes to pass"), have_passed);
    }

    /// How many connections had a fate that has come.
    pub fn struck(&self) -> usize {
        self.shared.lock().seen.iter().filter(|seen| seen.struck).count()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    /// A connection begins; its number.
    fn begin(&self) -> usize {
        let mut state = self.lock();
        state.seen.push(Seen::default());
        state.seen.len() - 1
    }

    /// How many bytes of a connection that may have so many may pass next, after those that have. Waits at
    /// the gate.
    fn room(&self, passed: u64, most: u64) -> u64 {
        let state = self.lock();
        #[expect(clippy::disallowed_methods, reason = "nobody waits for this thread")]
        let state = self
            .gate_opened
            .wait_while(state, |state| {
                state.gate.is_some_and(|gate| passed < most && passed >= gate.bytes)
            })
            .expect("no thread panics with it");
        state.gate.map_or(most, |gate| most.min(gate.bytes)) - passed
    }

    /// Something of a connection has passed, or it is over.
    fn changed(&self, number: usize, change: impl FnOnce(&mut Seen)) {
        let mut state = self.lock();
        change(&mut state.seen[number]);
        let progress =
            state.seen.iter().map(|seen| Progress { bytes: seen.bytes, is_over: seen.is_over });
        if state.gate.is_some_and(|gate| gate.opens(progress)) {
            state.gate = None;
            self.gate_opened.notify_all();
        }
    }

    /// From the sender to the server.
    fn forwards(&self, mut from: TcpStream, mut to: TcpStream, fate: Fate, number: usize) {
        let most = match fate {
            Fate::Pass | Fate::Damage(_) | Fate::Slow(_) => u64::MAX,
            Fate::Cut(bytes) | Fate::Hold(bytes) | Fate::HoldSender(bytes) => bytes,
        };
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut passed = 0_u64;
        loop {
            let room = usize::try_from(self.room(passed, most)).unwrap_or(usize::MAX);
            let room = room.min(buffer.len());
            let count = if room == 0 { 0 } else { from.read(&mut buffer[..room]).unwrap_or(0) };
            match fate {
                #[expect(clippy::disallowed_methods, reason = "the network is slow")]
                Fate::Slow(delay) => thread::sleep(delay),
                Fate::Damage(place) if (passed..passed + count as u64).contains(&place) => {
                    buffer[usize::try_from(place - passed).expect("within the buffer")] ^= 1;
                }
                _ => {}
            }
            // What the server answers to is counted before it can.
            if count > 0 {
                passed += count as u64;
                self.changed(number, |seen| seen.bytes = passed);
                if to.write_all(&buffer[..count]).is_ok() {
                    continue;
                }
            }
            let struck = room == 0;
            self.changed(number, |seen| {
                (seen.struck, seen.is_over) = (struck, true);
                match fate {
                    Fate::Hold(_) if struck => {
                        seen.is_silent = true;
                        seen.held = vec![from, to];
                    }
                    Fate::HoldSender(_) if struck => seen.held = vec![from, to],
                    Fate::Cut(_) if struck => {
                        seen.is_silent = true;
                        let _ = from.shutdown(Shutdown::Both);
                        let _ = to.shutdown(Shutdown::Both);
                    }
                    _ => drop(to.shutdown(Shutdown::Write)),
                }
            });
            return;
        }
    }

    /// From the server to the sender, and where that is gone, to nobody.
    fn backwards(&self, mut from: TcpStream, mut to: TcpStream, number: usize) {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut is_heard = true;
        while let Ok(count) = from.read(&mut buffer)
            && count > 0
            && !self.lock().seen[number].is_silent
        {
            is_heard = is_heard && to.write_all(&buffer[..count]).is_ok();
        }
        self.changed(number, |seen| seen.is_closed = true);
        if !self.lock().seen[number].is_silent {
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}
