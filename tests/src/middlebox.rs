//! A box in the middle of the network, which passes connections on and may cut or hold them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

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
    /// Whether what the server says passes no more.
    is_silent: bool,
    /// A connection that is held stays open.
    held: Vec<TcpStream>,
}

/// A running box. Connections that it holds end with it.
#[derive(Debug)]
pub struct Middlebox {
    address: String,
    server: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<Seen>>>,
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
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Arc::new(Mutex::new(server.to_owned()));
        let mut fates = fates.into_iter().collect::<Vec<_>>().into_iter();
        let (shared, before) = (Arc::clone(&seen), Arc::clone(&server));
        thread::spawn(move || {
            for number in 0.. {
                let Ok((sender, _)) = listener.accept() else { return };
                let server = before.lock().expect("no thread panics with it").clone();
                let receiver = TcpStream::connect(server).expect("the server listens");
                let fate = fates.next().unwrap_or(Fate::Pass);
                lock(&shared).push(Seen::default());
                let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
                let (back_from, back_to) = (copy(&receiver), copy(&sender));
                let seen = Arc::clone(&shared);
                thread::spawn(move || forwards(sender, receiver, fate, number, &seen));
                let seen = Arc::clone(&shared);
                thread::spawn(move || backwards(back_from, back_to, number, &seen));
            }
        });
        Self { address, server, seen }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on connections go to this server.
    pub fn turn_to(&self, server: &str) {
        server.clone_into(&mut self.server.lock().expect("no thread panics with it"));
    }

    /// Cuts a connection that is held.
    pub fn cut(&self, number: usize) {
        for stream in &lock(&self.seen)[number].held {
            // The other side may have ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many bytes of the sender's it has passed on so far, for each connection, in the order in which
    /// they came.
    pub fn bytes(&self) -> Vec<u64> {
        lock(&self.seen).iter().map(|seen| seen.bytes).collect()
    }

    /// How many connections had a fate that has come.
    pub fn struck(&self) -> usize {
        lock(&self.seen).iter().filter(|seen| seen.struck).count()
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().expect("no thread panics with it")
}

/// From the sender to the server.
fn forwards(
    mut from: TcpStream,
    mut to: TcpStream,
    fate: Fate,
    number: usize,
    seen: &Mutex<Vec<Seen>>,
) {
    let most = match fate {
        Fate::Pass | Fate::Damage(_) | Fate::Slow(_) => u64::MAX,
        Fate::Cut(bytes) | Fate::Hold(bytes) | Fate::HoldSender(bytes) => bytes,
    };
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut passed = 0_u64;
    loop {
        let room = usize::try_from(most - passed).unwrap_or(usize::MAX).min(buffer.len());
        let count = if room == 0 { 0 } else { from.read(&mut buffer[..room]).unwrap_or(0) };
        match fate {
            Fate::Slow(delay) => thread::sleep(delay),
            Fate::Damage(place) if (passed..passed + count as u64).contains(&place) => {
                buffer[usize::try_from(place - passed).expect("within the buffer")] ^= 1;
            }
            _ => {}
        }
        if count > 0 && to.write_all(&buffer[..count]).is_ok() {
            passed += count as u64;
            lock(seen)[number].bytes = passed;
            continue;
        }
        let seen = &mut lock(seen)[number];
        seen.struck = room == 0;
        match fate {
            Fate::Hold(_) if seen.struck => {
                seen.is_silent = true;
                seen.held = vec![from, to];
            }
            Fate::HoldSender(_) if seen.struck => seen.held = vec![from, to],
            Fate::Cut(_) if seen.struck => {
                seen.is_silent = true;
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            }
            _ => drop(to.shutdown(Shutdown::Write)),
        }
        return;
    }
}

/// From the server to the sender.
fn backwards(mut from: TcpStream, mut to: TcpStream, number: usize, seen: &Mutex<Vec<Seen>>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(count) = from.read(&mut buffer)
        && count > 0
        && !lock(seen)[number].is_silent
        && to.write_all(&buffer[..count]).is_ok()
    {}
    if !lock(seen)[number].is_silent {
        let _ = to.shutdown(Shutdown::Write);
    }
}
