//! Saying where a resident component listens: once in each run, and by what was seen.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::ServerEvent;
use crate::net::named;
use crate::sandbox::{Context, Grants};

pub(super) struct Announcer {
    context: Arc<Context>,
    grants: Arc<Grants>,
    announced: Mutex<Announced>,
}

#[derive(Clone, Copy, Default)]
struct Announced {
    this_run: bool,
    ever: bool,
}

impl Announcer {
    pub(super) fn new(context: Arc<Context>, grants: Arc<Grants>) -> Self {
        Self { context, grants, announced: Mutex::default() }
    }

    pub(super) fn begin_run(&self) {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).this_run = false;
    }

    /// Whether any run has listened.
    pub(super) fn ever(&self) -> bool {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).ever
    }

    /// The component says that it listens there. It is asked for by nobody twice, so all but the first
    /// time in a run is passed over.
    pub(super) fn said(&self, addresses: &[SocketAddr]) {
        let seen = self.grants.listening();
        if !self.announce(&seen) {
            return;
        }
        if addresses.iter().collect::<BTreeSet<_>>() != seen.iter().collect() {
            tracing::warn!(
                target: "receiver",
                said = ?addresses,
                ?seen,
                "the receiver does not listen where it says; what was seen counts"
            );
        }
    }

    /// It said nothing for a while. Where it listens on all addresses, that will do. `false`: it does
    /// not.
    pub(super) fn said_nothing(&self) -> bool {
        let seen = self.grants.listening();
        seen.len() == self.grants.addresses().len() && {
            self.announce(&seen);
            true
        }
    }

    /// `false`: it was announced before in this run, or listens nowhere.
    fn announce(&self, seen: &[SocketAddr]) -> bool {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.this_run || seen.is_empty() {
            return false;
        }
        *announced = Announced { this_run: true, ever: true };
        drop(announced);
        let addresses = seen.iter().map(|address| named(*address)).collect();
        self.context.events.emit(ServerEvent::ReceiverListening { addresses });
        true
    }
}
