//! The one loop that everything waits in.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use sandport_protocol::Millis;

use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::random::random::get_random_u64;
use crate::committing::Orphans;
use crate::connection::{Connection, Shared, Turn, now_ms, timer};
use crate::disk;
use crate::inbox::{Ambient, Inbox, OpenError};
use crate::network::Listener;
use crate::report::{Event, Failed};
use crate::settings::Settings;

/// How long nothing is accepted after that failed. Milliseconds. Mostly there are too many open files,
/// and only the end of a connection helps.
const ACCEPT_RETRY_MS: Millis = 100;

/// Most connections that are accepted in one round, so that those that are there have their turn.
const ACCEPTS_MAX: usize = 64;

/// Serves for as long as the runtime lets it.
pub(crate) fn serve(settings: &Settings) -> Result<Infallible, Failed> {
    let root = disk::mounted(&settings.inbox)?;
    let ambient = Ambient { chance: get_random_u64, now: now_ms, wall_s };
    let inbox = Inbox::open(root, settings.inbox_options(), ambient)
        .map_err(|error| cannot_open(&settings.inbox, error))?;
    let listeners =
        settings.listen.iter().map(|&it| Listener::bind(it)).collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(|it| it.address).collect();
    let form = settings.form();
    form.tell(&Event::Listening { addresses: &addresses, inbox: &settings.inbox });
    let shared =
        Rc::new(Shared { inbox, limits: settings.limits(), form, orphans: Orphans::new(form) });
    let max_connections = settings.max_connections as usize;
    let mut server = Server {
        shared,
        listeners,
        max_connections,
        connections: BTreeMap::new(),
        next: 0,
        accept_from: 0,
        heard: 0,
        timer: None,
    };
    loop {
        let woken = server.wait();
        server.serve(&woken);
    }
}

struct Server {
    shared: Rc<Shared>,
    listeners: Vec<Listener>,
    max_connections: usize,
    connections: BTreeMap<u64, Live>,
    /// The number of the next connection.
    next: u64,
    /// When the next connection may be accepted.
    accept_from: Millis,
    /// The news of the inbox that were heard.
    heard: u64,
    /// The earliest moment that anything waits for.
    timer: Option<(Millis, Pollable)>,
}

struct Live {
    connection: Connection,
    /// It has more to do, whatever becomes ready.
    again: bool,
    /// Until when it waits.
    until: Option<Millis>,
}

/// What something that became ready belongs to.
#[derive(Clone, Copy)]
enum Owner {
    Listener(usize),
    Connection(u64),
    Timer,
}

impl Server {
    /// Waits until something is ready; what it is.
    fn wait(&mut self) -> Vec<Owner> {
        let now = now_ms();
        let mut earliest = self.shared.inbox.next_turn();
        let mut ready: Vec<&Pollable> = Vec::new();
        let mut owners = Vec::new();
        let accepting = self.connections.len() < self.max_connections;
        if accepting && self.accept_from > now {
            earliest = Some(earliest.map_or(self.accept_from, |at| at.min(self.accept_from)));
        } else if accepting {
            for (index, listener) in self.listeners.iter().enumerate() {
                ready.push(&listener.ready);
                owners.push(Owner::Listener(index));
            }
        }
        for (&id, live) in &mut self.connections {
            if live.again {
                earliest = Some(now);
                continue;
            }
            let before = ready.len();
            live.until = live.connection.wait(&mut ready);
            owners.resize(owners.len() + ready.len() - before, Owner::Connection(id));
            earliest = [earliest, live.until].into_iter().flatten().min();
        }
        // A timer that fires too early only wakes the loop once for nothing. So an old one is kept
        // while the moment moves away, as it does with every byte.
        match earliest {
            Some(at) if self.timer.as_ref().is_none_or(|(old, _)| *old > at || *old <= now) => {
                self.timer = Some((at, timer(at)));
            }
            Some(_) => {}
            None => self.timer = None,
        }
        if let Some((_, timer)) = &self.timer {
            ready.push(timer);
            owners.push(Owner::Timer);
        }
        // Never empty: without connections there are listeners, and without those a timer.
        poll(&ready).into_iter().filter_map(|index| owners.get(index as usize).copied()).collect()
    }

    /// Gives a turn to all that were woken, that have more to do, or whose time has come.
    fn serve(&mut self, woken: &[Owner]) {
        let now = now_ms();
        let mut turns: Vec<u64> = Vec::new();
        for owner in woken {
            match *owner {
                Owner::Listener(index) => turns.extend(self.accept(index)),
                Owner::Connection(id) => turns.push(id),
                Owner::Timer => {}
            }
        }
        let due = |live: &Live| live.again || live.until.is_some_and(|until| until <= now);
        turns.extend(self.connections.iter().filter(|(_, live)| due(live)).map(|(&id, _)| id));
        turns.sort_unstable();
        turns.dedup();
        self.give_turns(&turns);
        self.shared.inbox.turn();
        self.spread_news();
    }

    fn give_turns(&mut self, ids: &[u64]) {
        for id in ids {
            let Some(live) = self.connections.get_mut(id) else { continue };
            match live.connection.turn() {
                Turn::Again => live.again = true,
                Turn::Waits => live.again = false,
                Turn::Over => drop(self.connections.remove(id)),
            }
        }
    }

    /// Lets connections hear what others, or the clock, have done to their uploads.
    fn spread_news(&mut self) {
        let news = self.shared.inbox.news();
        if std::mem::replace(&mut self.heard, news) == news {
            return;
        }
        self.shared.orphans.tell();
        let mut woken = Vec::new();
        for (&id, live) in &mut self.connections {
            if live.connection.is_waiting_for_room() || live.connection.has_news() {
                live.connection.hear_news();
                woken.push(id);
            }
        }
        self.give_turns(&woken);
    }

    /// Accepts what there is, up to the limits; the numbers of the connections.
    fn accept(&mut self, index: usize) -> Vec<u64> {
        let mut accepted = Vec::new();
        while accepted.len() < ACCEPTS_MAX && self.connections.len() < self.max_connections {
            match self.listeners[index].accept() {
                Ok(Some(connection)) => {
                    let connection = Connection::new(&self.shared, connection);
                    let live = Live { connection, again: false, until: None };
                    self.connections.insert(self.next, live);
                    accepted.push(self.next);
                    self.next += 1;
                }
                Ok(None) => break,
                Err(reason) => {
                    self.shared.form.tell(&Event::AcceptFailed { reason: &reason });
                    self.accept_from = now_ms().saturating_add(ACCEPT_RETRY_MS);
                    break;
                }
            }
        }
        accepted
    }
}

/// Seconds since 1970; 0 for a clock that is before.
fn wall_s() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

fn cannot_open(path: &str, error: OpenError) -> Failed {
    match error {
        OpenError::WrongLayout(found) => Failed::new(
            "inbox-layout",
            format!("the inbox {path} has layout {found:?}, which this version does not know"),
            "use the version that wrote it, or a later one",
        ),
        OpenError::Disk(_, error) if error.may_not_write() => Failed::new(
            "inbox-not-writable",
            format!("the inbox {path} cannot be written: {error}"),
            "give the user of the runtime write permission on it, and mount it writable",
        ),
        OpenError::Disk(doing, error) => Failed::new(
            "inbox-io",
            format!("could not {doing} the inbox {path}: {error}"),
            "look at the directory, at the state of the disk and at the system's log",
        ),
    }
}
