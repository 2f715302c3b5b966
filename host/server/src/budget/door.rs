//! Carries out what [`Places`] decides: tells connections that they have a place, or have to leave it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::limit::{Limit, Met};
use super::places::{Activity, Capacity, Cause, Effect, Places, Ticket};
use super::pulse::Pulse;
use super::source::Source;

/// Whether the server works for a connection, which then is not idle.
pub(crate) trait Busy: Send + Sync {
    fn is_busy(&self) -> bool;
}

/// The places of one kind of connections.
#[derive(Debug)]
pub(crate) struct Door {
    since: Instant,
    least_bytes: u64,
    met: Arc<Met>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    places: Places,
    seats: HashMap<Ticket, Arc<Seat>>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for a place.
    Waits,
    /// It has one.
    Served,
    /// It has to end, because of a limit; it may not have had a place.
    Over(Limit),
}

/// One connection's part in a [`Door`].
pub(crate) struct Seat {
    /// What the connection is doing.
    pub(crate) pulse: Pulse,
    since: Instant,
    ticket: Option<Ticket>,
    door: Weak<Door>,
    /// Where it counts.
    at: Mutex<At>,
    fate: AtomicU8,
    changed: Notify,
    works: OnceLock<Weak<dyn Busy>>,
}

/// Where a connection counts.
#[derive(Clone, Copy, Debug)]
struct At {
    /// When nobody says otherwise.
    own: Source,
    /// Now.
    now: Source,
}

/// A connection that arrived, until this is dropped.
#[derive(Debug)]
pub(crate) struct Arrived(Arc<Seat>);

const WAITS: u8 = u8::MAX;
const SERVED: u8 = u8::MAX - 1;

impl Door {
    /// With all places free. `least_bytes`: what a connection has to bring in a minute.
    pub(crate) fn new(capacity: Capacity, least_bytes: u64, met: Arc<Met>) -> Self {
        let inner = Inner { places: Places::new(capacity), seats: HashMap::new() };
        Self { since: Instant::now(), least_bytes, met, inner: Mutex::new(inner) }
    }

    /// A connection arrives. `source` says where it counts, by a number that no other has; `wait`, how long one of that
    /// source has to wait, whether or not there is a place.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        source: impl FnOnce(u64) -> Source,
        wait: impl FnOnce(Source) -> Duration,
    ) -> Arrived {
        let now = self.since.elapsed();
        let mut inner = self.lock();
        let ticket = inner.places.ticket();
        let source = source(ticket.number());
        let seat = Arc::new(Seat {
            pulse: Pulse::new(self.least_bytes, now),
            since: self.since,
            ticket: Some(ticket),
            door: Arc::downgrade(self),
            at: Mutex::new(At { own: source, now: source }),
            fate: AtomicU8::new(WAITS),
            changed: Notify::new(),
            works: OnceLock::new(),
        });
        let Inner { places, seats } = &mut *inner;
        seats.insert(ticket, Arc::clone(&seat));
        places.arrive(ticket, source, wait(source), now, |ticket| activity(seats, ticket, now));
        inner.carry_out(&self.met, now);
        Arrived(seat)
    }

    /// Somebody waits, and others may have become idle.
    pub(crate) fn reconsider(&self) {
        let now = self.since.elapsed();
        let mut inner = self.lock();
        let Inner { places, seats } = &mut *inner;
        places.reconsider(now, |ticket| activity(seats, ticket, now));
        inner.carry_out(&self.met, now);
    }

    /// Connections that are served.
    pub(crate) fn served(&self) -> usize {
        self.lock().places.held()
    }

    fn leave(&self, ticket: Ticket) {
        let now = self.since.elapsed();
        let mut inner = self.lock();
        inner.seats.remove(&ticket);
        inner.places.leave(ticket);
        inner.carry_out(&self.met, now);
    }

    fn change_source(&self, ticket: Ticket, source: Source) {
        let now = self.since.elapsed();
        let mut inner = self.lock();
        inner.places.change_source(ticket, source);
        inner.carry_out(&self.met, now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn carry_out(&mut self, met: &Met, now: Duration) {
        while let Some(effect) = self.places.poll_effect() {
            let (ticket, fate) = match effect {
                Effect::Admit(ticket) => (ticket, Fate::Served),
                Effect::TurnAway(ticket) => (ticket, Fate::Over(Limit::Waiting)),
                Effect::End(ticket, cause) => (ticket, Fate::Over(limit_of(cause))),
            };
            if let Fate::Over(limit) = fate {
                met.count(limit);
            }
            if let Some(seat) = self.seats.get(&ticket) {
                if fate == Fate::Served {
                    seat.pulse.handle_begin(now);
                }
                seat.set(fate);
            }
        }
    }
}

fn limit_of(cause: Cause) -> Limit {
    match cause {
        Cause::Idle => Limit::Idle,
        Cause::Slow => Limit::Rate,
        Cause::Share => Limit::Share,
        Cause::Most => Limit::Address,
    }
}

fn activity(seats: &HashMap<Ticket, Arc<Seat>>, ticket: Ticket, now: Duration) -> Activity {
    match seats.get(&ticket) {
        Some(seat) => seat.pulse.activity(now, seat.is_busy()),
        // It is over.
        None => Activity { useful: Duration::ZERO, is_idle: false, is_slow: false },
    }
}

impl Seat {
    /// Of a connection that has a place nobody else wants.
    pub(crate) fn alone() -> Self {
        Self {
            pulse: Pulse::new(0, Duration::ZERO),
            since: Instant::now(),
            ticket: None,
            door: Weak::new(),
            at: Mutex::new(At { own: Source::Unknown, now: Source::Unknown }),
            fate: AtomicU8::new(SERVED),
            changed: Notify::new(),
            works: OnceLock::new(),
        }
    }

    /// The reading of the clock that [`Self::pulse`] goes by.
    pub(crate) fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// The server works for the connection whenever `works` says so.
    pub(crate) fn ask_whether_busy(&self, works: Weak<dyn Busy>) {
        // It is one connection, and says so once.
        let _ = self.works.set(works);
    }

    /// A proxy has said whose connection it is: from now on it counts here. `source` has a number that no other has.
    pub(crate) fn handle_header(&self, source: impl FnOnce(u64) -> Source) {
        let source = source(self.ticket.map_or(0, Ticket::number));
        *self.at() = At { own: source, now: source };
        self.count_at(source);
    }

    /// What is served now counts elsewhere; `None`: where the connection does.
    pub(crate) fn forward(&self, source: Option<Source>) {
        let source = {
            let mut at = self.at();
            at.now = source.unwrap_or(at.own);
            at.now
        };
        self.count_at(source);
    }

    /// Where the connection counts now.
    pub(crate) fn source(&self) -> Source {
        self.at().now
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of the connection.
    pub(crate) fn fate(&self) -> Fate {
        match self.fate.load(Ordering::Acquire) {
            WAITS => Fate::Waits,
            SERVED => Fate::Served,
            number => match Limit::ALL.get(usize::from(number)) {
                Some(limit) => Fate::Over(*limit),
                None => Fate::Served,
            },
        }
    }

    /// Waits until it is not this any more. One task at a time may wait.
    pub(crate) async fn fate_after(&self, before: Fate) -> Fate {
        loop {
            let fate = self.fate();
            if fate != before {
                return fate;
            }
            self.changed.notified().await;
        }
    }

    fn set(&self, fate: Fate) {
        let number = match fate {
            Fate::Waits => WAITS,
            Fate::Served => SERVED,
            // There are a handful.
            Fate::Over(limit) => limit as u8,
        };
        self.fate.store(number, Ordering::Release);
        self.changed.notify_one();
    }

    fn is_busy(&self) -> bool {
        self.works.get().and_then(Weak::upgrade).is_some_and(|works| works.is_busy())
    }

    fn count_at(&self, source: Source) {
        if let (Some(ticket), Some(door)) = (self.ticket, self.door.upgrade()) {
            door.change_source(ticket, source);
        }
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("ticket", &self.ticket)
            .field("fate", &self.fate())
            .finish_non_exhaustive()
    }
}

impl Arrived {
    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.0
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if let (Some(ticket), Some(door)) = (self.0.ticket, self.0.door.upgrade()) {
            door.leave(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(places: usize, waiting: usize) -> (Arc<Door>, Arc<Met>) {
        let met = Arc::new(Met::default());
        let capacity = Capacity { places, per_source: places, waiting };
        (Arc::new(Door::new(capacity, 0, Arc::clone(&met))), met)
    }

    fn arrive(door: &Arc<Door>, source: impl FnOnce(u64) -> Source) -> Arrived {
        door.arrive(source, |_| Duration::ZERO)
    }

    #[test]
    fn a_connection_hears_it_is_served_when_another_gave_way() {
        let (door, met) = door(2, 2);
        let held = [(); 2].map(|()| arrive(&door, |_| Source::Local));
        assert!(held.iter().all(|it| it.seat().fate() == Fate::Served));
        let newcomer = arrive(&door, |_| Source::User(7));
        assert_eq!(newcomer.seat().fate(), Fate::Waits);
        let over: Vec<_> = held.iter().map(|it| it.seat().fate()).collect();
        assert!(over.contains(&Fate::Over(Limit::Share)), "{over:?}");
        assert_eq!(door.served(), 2, "its place is not free before it has left it");
        drop(held);
        assert_eq!(newcomer.seat().fate(), Fate::Served);
        assert_eq!(met.counts(), [(Limit::Share, 1)]);
        drop(newcomer);
        assert_eq!(door.served(), 0);
        assert!(door.lock().seats.is_empty());
    }

    #[test]
    fn connections_that_count_by_themselves_have_own_places() {
        let (door, met) = door(2, 1);
        let _held = [(); 2].map(|()| arrive(&door, Source::Single));
        let waits = arrive(&door, Source::Single);
        assert_eq!(waits.seat().fate(), Fate::Waits);
        let away = arrive(&door, Source::Single);
        assert_eq!(away.seat().fate(), Fate::Over(Limit::Waiting));
        assert_eq!(met.counts(), [(Limit::Waiting, 1)]);
    }

    #[test]
    fn a_forwarded_request_counts_at_its_origin_until_it_is_over() {
        let (door, _) = door(3, 3);
        let proxy = Source::Proxy(None);
        let held = [(); 3].map(|()| arrive(&door, |_| proxy));
        for arrived in &held[..2] {
            arrived.seat().forward(Some(Source::User(1)));
        }
        // Whoever comes gets the place of one of the two, and not that of the proxy.
        let newcomer = arrive(&door, |_| Source::User(2));
        assert_eq!(held[2].seat().fate(), Fate::Served);
        assert!(held[..2].iter().any(|it| it.seat().fate() == Fate::Over(Limit::Share)));
        drop(newcomer);
        held[0].seat().forward(None);
        assert_eq!(door.lock().places.held(), 3);
    }
}
