//! A network between two ends of loopback: a delay each way, and a rate for each connection.
//!
//! It is a program between two sockets, so it shows what waiting for answers costs, and what a rate for
//! each connection does; not what lost packets do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::SockRef;

/// One read and one write. Bytes.
const STEP_BYTES: usize = 16 * 1024;

/// What lies between a sender and a receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// How long each byte is under way, in each direction.
    pub(crate) delay: Duration,
    /// How much passes in a second, on each connection and in each direction. Bytes.
    pub(crate) bytes_per_s: f64,
}

impl Network {
    /// How many steps are under way in one direction: as many as fill the delay, and some for the turns of
    /// the threads.
    fn steps(self) -> usize {
        let in_delay = self.delay.as_secs_f64() * self.bytes_per_s / STEP_BYTES as f64;
        in_delay as usize + 16
    }
}

/// Carries what comes to its address, until the benchmark ends.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    network: Network,
    to: Mutex<SocketAddr>,
    taken: AtomicU64,
}

impl Proxy {
    /// Connects whoever connects to it with `to`, over `network`.
    pub(crate) fn start(network: Network, to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // What the system would take in before it can go on is not on the network, and is nothing that a
        // sender could have sent elsewhere. The connections have it from here.
        SockRef::from(&listener).set_recv_buffer_size(network.steps() * STEP_BYTES)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { network, to: Mutex::new(to), taken: AtomicU64::new(0) });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who cannot be connected hears so by the end of the connection.
                if let Err(error) = shared.connect(client) {
                    eprintln!("proxy: {error:#}");
                }
            }
        });
        Ok(Self { address, shared: ours })
    }

    /// Connects whoever comes from now on with another address.
    pub(crate) fn redirect(&self, to: SocketAddr) {
        *self.shared.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// How many bytes it has taken from those who connect.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        let to = *self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let server = TcpStream::connect(to)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let shared = Arc::clone(self);
        let count = move |bytes| _ = shared.taken.fetch_add(bytes, Ordering::Relaxed);
        carry(self.network, client.try_clone()?, server.try_clone()?, count);
        carry(self.network, server, client, |_| ());
        Ok(())
    }
}

/// Carries one direction, on two threads: what is on its way does not keep more from being taken in.
fn carry(
    network: Network,
    mut from: TcpStream,
    to: TcpStream,
    count: impl Fn(u64) + Send + 'static,
) {
    let (taken, carried) = sync_channel(network.steps());
    thread::spawn(move || take(network, &mut from, &taken, count));
    thread::spawn(move || give(network, to, &carried));
}

fn take(
    network: Network,
    from: &mut TcpStream,
    taken: &SyncSender<(Instant, Vec<u8>)>,
    count: impl Fn(u64),
) {
    let mut step = vec![0; STEP_BYTES];
    // An end and an error are passed on alike, by the end of the queue.
    while let Ok(length @ 1..) = from.read(&mut step) {
        count(length as u64);
        let due = Instant::now() + network.delay;
        if taken.send((due, step[..length].to_vec())).is_err() {
            break;
        }
    }
    // Whoever sends more is not heard.
    let _ = from.shutdown(Shutdown::Read);
}

fn give(network: Network, mut to: TcpStream, carried: &Receiver<(Instant, Vec<u8>)>) {
    let mut free_at = Instant::now();
    for (due, step) in carried {
        let at = due.max(free_at);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        free_at = at + Duration::from_secs_f64(step.len() as f64 / network.bytes_per_s);
        if to.write_all(&step).is_err() {
            return;
        }
    }
    // Whoever is gone already needs no end.
    let _ = to.shutdown(Shutdown::Write);
}
