#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::*;
use crate::budget::chance::Chance;

fn source(number: u8) -> Source {
    Source::V4(Ipv4Addr::new(192, 0, 2, number))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Places, and what their connections do.
struct Room {
    places: Places,
    activities: RefCell<BTreeMap<Ticket, Activity>>,
    now: Duration,
}

impl Room {
    fn new(places: usize, per_source: usize, waiting: usize) -> Self {
        let places = Places::new(Capacity { places, per_source, waiting });
        Self { places, activities: RefCell::default(), now: seconds(1_000) }
    }

    fn arrive(&mut self, source: Source) -> (Ticket, Vec<Effect>) {
        self.arrive_late(source, Duration::ZERO)
    }

    /// One that has to wait for a time.
    fn arrive_late(&mut self, source: Source, wait: Duration) -> (Ticket, Vec<Effect>) {
        let ticket = self.places.ticket();
        // Useful at the beginning, and nothing but that.
        let activity = Activity { useful: self.now, is_idle: false, is_slow: false };
        self.activities.borrow_mut().insert(ticket, activity);
        let activities = self.activities.borrow();
        self.places.arrive(ticket, source, wait, self.now, |ticket| activities[&ticket]);
        drop(activities);
        (ticket, self.effects())
    }

    /// One that has to get a place at once.
    fn enter(&mut self, source: Source) -> Ticket {
        let (ticket, effects) = self.arrive(source);
        assert_eq!(effects, [Effect::Admit(ticket)]);
        self.now += Duration::from_millis(1);
        ticket
    }

    fn reconsider(&mut self) -> Vec<Effect> {
        let activities = self.activities.borrow();
        self.places.reconsider(self.now, |ticket| activities[&ticket]);
        drop(activities);
        self.effects()
    }

    fn leave(&mut self, ticket: Ticket) -> Vec<Effect> {
        self.places.leave(ticket);
        self.effects()
    }

    fn set(&self, ticket: Ticket, change: impl FnOnce(&mut Activity)) {
        change(self.activities.borrow_mut().get_mut(&ticket).unwrap());
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.places.poll_effect()).collect()
    }
}

#[test]
fn an_address_that_has_all_places_gives_one_to_a_newcomer() {
    let mut room = Room::new(4, 4, 4);
    let first: Vec<_> = (0..4).map(|_| room.enter(source(1))).collect();
    room.set(first[0], |activity| activity.useful = seconds(1_001));
    let (newcomer, effects) = room.arrive(source(2));
    assert_eq!(effects, [Effect::End(first[1], Cause::Share)], "the one of least use lately");
    assert_eq!(room.leave(first[1]), [Effect::Admit(newcomer)]);
}

#[test]
fn places_that_are_shared_evenly_are_taken_from_nobody() {
    let mut room = Room::new(4, 4, 4);
    let held: Vec<_> = [1, 1, 2, 2].map(|number| room.enter(source(number))).into();
    // With 2 for 1, 1 would have as many as before and 3 as well: an exchange and no gain.
    let (third, effects) = room.arrive(source(3));
    assert_eq!(effects.len(), 1, "{effects:?}");
    assert!(matches!(effects[0], Effect::End(_, Cause::Share)));
    let Effect::End(gone, _) = effects[0] else { panic!() };
    assert_eq!(room.leave(gone), [Effect::Admit(third)]);
    let (_, effects) = room.arrive(source(3));
    assert_eq!(effects, [], "it would have two, as many as the fullest");
    let other = if held[..2].contains(&gone) { 1 } else { 2 };
    let (_, effects) = room.arrive(source(other));
    assert_eq!(effects, []);
}

#[test]
fn the_idle_give_way_and_of_the_fullest_the_oldest_first() {
    let mut room = Room::new(4, 4, 4);
    let [a, b, c, d] = [1, 2, 2, 2].map(|number| room.enter(source(number)));
    for ticket in [a, c, d] {
        room.set(ticket, |activity| activity.is_idle = true);
    }
    room.set(d, |activity| activity.useful = seconds(1));
    let (e, effects) = room.arrive(source(2));
    assert_eq!(effects, [Effect::End(d, Cause::Idle)]);
    let (f, effects) = room.arrive(source(2));
    assert_eq!(effects, [Effect::End(c, Cause::Idle)]);
    let (g, effects) = room.arrive(source(2));
    assert_eq!(effects, [Effect::End(a, Cause::Idle)]);
    let (_, effects) = room.arrive(source(2));
    assert_eq!(effects, [], "{b:?} is not idle");
    assert_eq!(room.leave(c), [Effect::Admit(e)]);
    assert_eq!(room.leave(a), [Effect::Admit(f)]);
    assert_eq!(room.leave(d), [Effect::Admit(g)]);
}

#[test]
fn who_becomes_slow_gives_way_to_who_waits_already() {
    let mut room = Room::new(1, 2, 4);
    let slow = room.enter(source(1));
    let (waits, effects) = room.arrive(source(1));
    assert_eq!(effects, []);
    room.now += seconds(60);
    assert_eq!(room.reconsider(), []);
    room.set(slow, |activity| activity.is_slow = true);
    assert_eq!(room.reconsider(), [], "all were looked at a moment ago");
    room.now += seconds(1);
    let effects = room.reconsider();
    assert_eq!(effects, [Effect::End(slow, Cause::Slow)]);
    assert_eq!(room.reconsider(), [], "one gives way to one");
    assert_eq!(room.leave(slow), [Effect::Admit(waits)]);
}

#[test]
fn who_has_to_wait_for_a_time_takes_nothing_from_anybody_before() {
    let mut room = Room::new(2, 2, 2);
    let (late, effects) = room.arrive_late(source(1), seconds(5));
    assert_eq!(effects, [], "though there are places");
    let [a, b] = [2, 2].map(|number| room.enter(source(number)));
    room.set(a, |activity| activity.is_idle = true);
    room.now += seconds(4);
    assert_eq!(room.reconsider(), [], "nobody gives way to it");
    assert_eq!(room.leave(b), []);
    let next = room.enter(source(3));
    room.now += seconds(1);
    assert_eq!(room.reconsider(), [Effect::End(a, Cause::Idle)]);
    assert_eq!(room.leave(a), [Effect::Admit(late)]);
    // It is one of those that wait, and of these the first to go.
    let (_, effects) = room.arrive_late(source(1), seconds(5));
    assert_eq!(effects, []);
    let (second, _) = room.arrive_late(source(1), seconds(5));
    let (other, effects) = room.arrive(source(4));
    assert_eq!(effects[0], Effect::TurnAway(second));
    assert_eq!(room.leave(next).last(), Some(&Effect::Admit(other)));
}

#[test]
fn a_clock_that_is_set_back_takes_and_gives_no_place() {
    let mut room = Room::new(1, 2, 4);
    let held = room.enter(source(1));
    let (late, effects) = room.arrive_late(source(2), seconds(5));
    assert_eq!(effects, []);
    room.now = seconds(1);
    assert_eq!(room.reconsider(), []);
    assert_eq!(room.leave(held), [], "its time is not over");
    room.now = seconds(1_006);
    assert_eq!(room.reconsider(), [Effect::Admit(late)]);
}

#[test]
fn a_free_place_goes_to_who_has_the_fewest_and_waited_longest() {
    let mut room = Room::new(3, 3, 8);
    let [a, _, b] = [1, 1, 2].map(|number| room.enter(source(number)));
    let (third_of_one, effects) = room.arrive(source(1));
    assert_eq!(effects, []);
    let (second_of_two, effects) = room.arrive(source(2));
    assert_eq!(effects, []);
    assert_eq!(room.leave(b), [Effect::Admit(second_of_two)]);
    assert_eq!(room.leave(a), [Effect::Admit(third_of_one)]);
}

#[test]
fn where_too_many_wait_the_newest_of_the_fullest_is_turned_away() {
    let mut room = Room::new(1, 1, 2);
    room.enter(source(1));
    let (first, _) = room.arrive(source(1));
    let (second, _) = room.arrive(source(1));
    let (third, effects) = room.arrive(source(1));
    assert_eq!(effects, [Effect::TurnAway(third)]);
    let (_, effects) = room.arrive(source(2));
    assert_eq!(effects, [Effect::TurnAway(second)]);
    assert_eq!(room.places.waiting(), 2);
    assert_eq!(room.leave(first), []);
    assert_eq!(room.places.waiting(), 1);
}

#[test]
fn one_address_has_no_more_than_its_most_and_a_proxy_all() {
    let mut room = Room::new(8, 2, 8);
    let (first, _) = (room.enter(source(1)), room.enter(source(1)));
    let (waits, effects) = room.arrive(source(1));
    assert_eq!(effects, []);
    for _ in 0..4 {
        // They do not wait behind who does.
        let ticket = room.places.ticket();
        room.places.arrive(
            ticket,
            Source::Proxy(None),
            Duration::ZERO,
            room.now,
            |_| unreachable!(),
        );
        assert_eq!(room.effects(), [Effect::Admit(ticket)]);
    }
    assert_eq!(room.leave(first), [Effect::Admit(waits)]);
}

#[test]
fn what_a_proxy_says_counts_from_then_on() {
    let mut room = Room::new(3, 2, 8);
    let proxy = Source::Proxy(None);
    let tickets = [proxy; 3].map(|source| room.enter(source));
    for ticket in &tickets[..2] {
        room.places.change_source(*ticket, source(1));
    }
    assert_eq!(room.effects(), []);
    room.places.change_source(tickets[2], source(1));
    assert_eq!(room.effects(), [Effect::End(tickets[2], Cause::Most)]);
    room.places.change_source(tickets[2], proxy);
    assert_eq!(room.leave(tickets[2]), []);
    let fourth = room.enter(proxy);
    room.places.change_source(fourth, source(2));
    assert_eq!(room.effects(), []);
}

/// Many sources come and go, one of them with all it can; who has few places is served.
#[test]
fn nobody_starves_and_nothing_grows_whoever_comes_and_goes() {
    let mut chance = Chance::seeded();
    for _ in 0..50 {
        let capacity = Capacity {
            places: 1 + chance.below(12),
            per_source: 1 + chance.below(12),
            waiting: 1 + chance.below(8),
        };
        simulate(&mut chance, capacity);
    }
}

fn simulate(chance: &mut Chance, capacity: Capacity) {
    let mut room = Room::new(capacity.places, capacity.per_source, capacity.waiting);
    let (mut held, mut waiting, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
    let mut sources = BTreeMap::new();
    for _ in 0..400 {
        room.now += Duration::from_millis(chance.below(300) as u64);
        let effects = match chance.below(8) {
            0..=3 => {
                // The first is the one who comes most.
                let source = source(if chance.below(3) > 0 { 1 } else { chance.below(6) as u8 });
                let (ticket, effects) = room.arrive(source);
                sources.insert(ticket, source);
                waiting.push(ticket);
                effects
            }
            4 if !held.is_empty() => {
                let ticket = held.swap_remove(chance.below(held.len()));
                leaving.retain(|it| *it != ticket);
                room.leave(ticket)
            }
            5 if !leaving.is_empty() => {
                let ticket = leaving.swap_remove(chance.below(leaving.len()));
                held.retain(|it| *it != ticket);
                room.leave(ticket)
            }
            6 if !held.is_empty() => {
                let ticket = held[chance.below(held.len())];
                let (now, what) = (room.now, chance.below(4));
                room.set(ticket, |activity| match what {
                    0 => activity.is_idle = !activity.is_idle,
                    1 => activity.is_slow = !activity.is_slow,
                    _ => activity.useful = now,
                });
                Vec::new()
            }
            7 if !held.is_empty() => {
                let ticket = held[chance.below(held.len())];
                let source = source(chance.below(6) as u8);
                room.places.change_source(ticket, source);
                sources.insert(ticket, source);
                room.effects()
            }
            _ => room.reconsider(),
        };
        for effect in effects {
            match effect {
                Effect::Admit(ticket) => {
                    waiting.retain(|it| *it != ticket);
                    held.push(ticket);
                }
                Effect::TurnAway(ticket) => waiting.retain(|it| *it != ticket),
                Effect::End(ticket, _) => {
                    assert!(held.contains(&ticket) && !leaving.contains(&ticket));
                    leaving.push(ticket);
                }
            }
        }
        check(&room, &held, &waiting, &sources);
    }
    let begun: Vec<_> = room.reconsider();
    let shares = waiting.iter().map(|ticket| room.places.count(sources[ticket]));
    let richest = room.places.by_places.last().map_or(0, |(places, _)| *places);
    for share in shares.filter(|share| share.held() < capacity.per_source) {
        let gets_one = !begun.is_empty() || room.places.leaving > 0;
        assert!(gets_one || share.wanted() >= richest, "{share:?} and another has {richest}");
    }
    // When everybody leaves, everybody who waits is served, and nothing is left.
    while let Some(ticket) = held.pop() {
        for effect in room.leave(ticket) {
            let Effect::Admit(ticket) = effect else { panic!("{effect:?}") };
            waiting.retain(|it| *it != ticket);
            held.push(ticket);
        }
    }
    assert_eq!(waiting, []);
    assert!(room.places.counts.is_empty() && room.places.by_places.is_empty());
    assert_eq!((room.places.leaving, room.places.held()), (0, 0));
}

fn check(room: &Room, held: &[Ticket], waiting: &[Ticket], sources: &BTreeMap<Ticket, Source>) {
    let (places, capacity) = (&room.places, room.places.capacity);
    assert_eq!((places.held(), places.waiting()), (held.len(), waiting.len()));
    assert!(held.len() <= capacity.places && waiting.len() <= capacity.waiting);
    assert!(places.counts.len() <= capacity.places + capacity.waiting, "sources are bounded");
    assert!(places.by_places.len() <= capacity.places);
    let has = |source| held.iter().filter(|it| sources[*it] == source).count();
    for ticket in waiting {
        let source = sources[ticket];
        let is_full = held.len() == capacity.places || has(source) >= capacity.per_source;
        assert!(is_full, "{source:?} waits while there is room");
    }
}
