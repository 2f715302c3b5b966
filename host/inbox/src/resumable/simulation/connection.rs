//! A connection: it offers, brings bytes, waits, commits, and leaves when it likes.

mod attached;
mod joining;
mod wish;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use sandport_protocol::{Receipt, Refusal};

use super::body::Body;
use super::disk::Stored;
use super::world::World;
use crate::OfferResponse;
use crate::completion::CommitHandle;
use crate::resumable::Opened;
use attached::Attached;
use joining::Joining;
use wish::Wish;
pub(super) use wish::{Key, Role};

/// What is said of a commit that nobody answers.
const DROPPED: &str = "the inbox has stopped";

/// A future, and whether it is to be polled.
pub(super) struct Waiting<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One connection.
#[derive(Default)]
pub(super) struct Connection {
    state: State,
    outcome: Option<Result<Receipt, Refusal>>,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Opening(Wish, Waiting<Result<Opened<OfferResponse>, Refusal>>),
    Attached(Box<Attached>),
    /// An upload is put together.
    Joining(Box<Attached>, Joining),
    /// All of a part is here, and is to be kept.
    Keeping(Box<Attached>, Waiting<Result<(), Refusal>>),
    Committing(Wish, CommitHandle, Waiting<()>),
}

impl<T> Waiting<T> {
    pub(super) fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self { future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))) }
    }

    /// What it has come to, if it was woken and has.
    pub(super) fn poll(&mut self) -> Option<T> {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}

impl Connection {
    /// One that sends all of a file as it should be sent.
    pub(super) fn honest(world: &World, key: usize) -> Self {
        let wish = Wish::honest(world, key);
        let state = State::Opening(wish.clone(), wish.open(world));
        Self { state, outcome: None }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// What has become of its file; `None`: it is not through.
    pub(super) fn outcome(self) -> Option<Result<Receipt, Refusal>> {
        self.outcome
    }

    /// Does something.
    pub(super) fn step(&mut self, world: &World) {
        if self.go_on(world) {
            return;
        }
        let chance = &world.shared.chance;
        match &mut self.state {
            State::Idle => {
                let wish = Wish::by_chance(world);
                world.shared.trace(|| format!("offer {wish:?}"));
                let future = wish.open(world);
                self.state = State::Opening(wish, future);
            }
            // It may be cut off at any moment.
            State::Opening(..)
            | State::Committing(..)
            | State::Joining(..)
            | State::Keeping(..) => {
                if chance.per_mille(15) {
                    std::mem::take(self).leave(world);
                }
            }
            State::Attached(_) => {
                let State::Attached(attached) = std::mem::take(&mut self.state) else { return };
                self.state = attached.step(world);
            }
        }
    }

    /// Goes on where it has waited, if it can; whether it could.
    pub(super) fn go_on(&mut self, world: &World) -> bool {
        match &mut self.state {
            State::Idle => false,
            State::Opening(_, future) => {
                let Some(opened) = future.poll() else { return false };
                let State::Opening(wish, _) = std::mem::take(&mut self.state) else { return true };
                self.opened(world, wish, opened);
                true
            }
            State::Committing(wish, pending, future) => {
                if future.poll().is_none() {
                    return false;
                }
                let outcome = pending.try_get().unwrap();
                world.shared.trace(|| format!("commit {wish:?} ends {outcome:?}"));
                check_receipt(world, wish, &outcome);
                let is_dropped = |refusal: &Refusal| refusal.detail.as_deref() == Some(DROPPED);
                if outcome.as_ref().is_err_and(is_dropped) && !world.has_crashed() {
                    world.shared.violate("4: a commit is dropped and not answered");
                }
                if outcome.is_ok()
                    && world.keys[wish.key].role == Role::Final
                    && world.shared.chance.per_mille(600)
                {
                    // It is stored: its parts go.
                    world.parts().for_each(|part| world.abandon(part));
                }
                self.outcome = Some(outcome);
                self.state = State::Idle;
                true
            }
            State::Joining(_, joining) => {
                let Some(outcome) = joining.poll() else { return false };
                let State::Joining(attached, joining) = std::mem::take(&mut self.state) else {
                    return true;
                };
                joining.check(world, &attached, &outcome);
                match outcome {
                    Err(refusal) if joining.is_honest => {
                        attached.leave(world);
                        self.outcome = Some(Err(refusal));
                    }
                    _ => self.state = State::Attached(attached),
                }
                true
            }
            State::Keeping(_, kept) => {
                let Some(kept) = kept.poll() else { return false };
                let State::Keeping(attached, _) = std::mem::take(&mut self.state) else {
                    return true;
                };
                attached.leave(world);
                self.outcome = kept.err().map(Err);
                true
            }
            State::Attached(attached) => {
                let mut moved = false;
                for body in &mut attached.bodies {
                    moved |= body.go_on();
                }
                moved
            }
        }
    }

    fn opened(
        &mut self,
        world: &World,
        wish: Wish,
        opened: Result<Opened<OfferResponse>, Refusal>,
    ) {
        world.shared.trace(|| {
            let answer = match &opened {
                Ok(Opened::Session(_)) => "a session".to_owned(),
                Ok(Opened::Committing(_)) => "a commit".to_owned(),
                Ok(Opened::DigestFirst) => "digest-first".to_owned(),
                Ok(Opened::Published(_)) => "published".to_owned(),
                Err(refusal) => format!("{refusal:?}"),
            };
            format!("offer {wish:?} gets {answer}")
        });
        match opened {
            Ok(Opened::Session(session)) => {
                let number = world.count_session(wish.key);
                let attached = Box::new(Attached { wish, session, number, bodies: Vec::new() });
                attached.check_opened(world);
                if world.keys[attached.wish.key].is_told {
                    world.keep(attached.wish.key, &attached.session);
                }
                self.state = State::Attached(attached);
            }
            Ok(Opened::Committing(pending)) => {
                let of_it = pending.clone();
                let future = Waiting::new(async move { of_it.ready().await });
                self.state = State::Committing(wish, pending, future);
            }
            Ok(Opened::Published(OfferResponse::Stored(receipt))) => {
                let outcome = Ok(receipt);
                if wish.digest.is_none() {
                    check_receipt(world, &wish, &outcome);
                }
                self.outcome = Some(outcome);
            }
            Ok(_) => {}
            Err(refusal) => {
                // What there was made room for it, where it is begun anew.
                self.outcome = Some(Err(refusal));
            }
        }
    }

    /// What it waits for that will not come.
    pub(super) fn waits_in_vain(&self, world: &World) -> Option<&'static str> {
        match &self.state {
            State::Idle => None,
            State::Opening(wish, _) => {
                world.shared.trace(|| format!("{wish:?} waits"));
                Some("an offer waits")
            }
            State::Committing(wish, ..) => {
                let others = world.connections.iter().any(|other| {
                    let other = other.borrow();
                    matches!(&other.state, State::Attached(it) if it.wish.key == wish.key)
                });
                (!others).then_some("a commit waits")
            }
            State::Attached(attached) => {
                let waits = attached.bodies.iter().any(Body::waits);
                waits.then_some("a body waits for room")
            }
            State::Joining(..) => Some("an upload that is put together waits"),
            State::Keeping(..) => Some("a part that is to be kept waits"),
        }
    }

    pub(super) fn waits_for_room(&self) -> bool {
        matches!(&self.state, State::Attached(attached) if attached.bodies.iter().any(Body::waits))
    }

    /// It is cut off.
    pub(super) fn leave(self, world: &World) {
        match self.state {
            State::Attached(attached) => attached.leave(world),
            State::Joining(attached, joining) => {
                drop(joining);
                attached.leave(world);
            }
            State::Keeping(attached, _) => attached.leave(world),
            State::Committing(wish, ..) => {
                let id = world.id(wish.key);
                world.shared.disk.lock().unwrap().slot(id).is_through = true;
            }
            State::Idle | State::Opening(..) => {}
        }
    }

    /// The next thing that a sender does who does all right.
    pub(super) fn act_honestly(&mut self, world: &World) {
        if self.go_on(world) || !matches!(self.state, State::Attached(_)) {
            return;
        }
        let State::Attached(attached) = std::mem::take(&mut self.state) else { return };
        attached.check_told(world);
        self.state = match attached.session.signals().fault().cloned() {
            Some(fault) => {
                self.outcome = Some(Err(fault));
                attached.leave(world);
                State::Idle
            }
            None => attached.bring(world, 1),
        };
    }
}

/// `stored` is said of what was sent, and of nothing else.
fn check_receipt(world: &World, wish: &Wish, outcome: &Result<Receipt, Refusal>) {
    let Ok(receipt) = outcome else { return };
    let disk = world.shared.disk.lock().unwrap();
    let told = Stored { size: receipt.size, digest: receipt.digest };
    if !disk.stored.get(&receipt.name).is_some_and(|stored| stored.contains(&told)) {
        world.shared.violate("4: a file is told to be stored that is not there");
    }
    if wish.digest.is_some_and(|digest| digest != receipt.digest) {
        world.shared.violate("4: another file than the offered one is told to be stored");
    }
    // Where there is a digest, that says it all.
    if wish.digest.is_none() && wish.size.is_some_and(|size| size != receipt.size) {
        world.shared.violate("4: a file of another size is told to be stored");
    }
}

impl World {
    /// Whether a connection other than the one that takes a step is at an upload.
    pub(super) fn is_shared(&self, key: usize) -> bool {
        self.connections.iter().any(|other| match other.try_borrow() {
            // It takes a step: maybe at this upload.
            Err(_) => self.is_nested(),
            Ok(other) => match &other.state {
                State::Idle => false,
                State::Opening(wish, _) | State::Committing(wish, ..) => wish.key == key,
                State::Attached(attached)
                | State::Joining(attached, _)
                | State::Keeping(attached, _) => attached.wish.key == key,
            },
        })
    }
}
