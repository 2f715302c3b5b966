//! Which address of a host is tried, and when: Happy Eyeballs, as RFC 8305 has it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use sandport_protocol::Millis;

/// How long an attempt is alone before the next one begins beside it: RFC 8305, section 5. Milliseconds.
const ATTEMPT_DELAY_MS: Millis = 250;

/// The same for the address that has answered this run before: behind one name there may be several
/// servers, and only this one has what was begun. A lost packet is repeated after a second (RFC 6298) and
/// answered within the next. Milliseconds.
const ANSWERED_DELAY_MS: Millis = 2_000;

/// The attempts to reach one host.
///
/// [`poll_start`](Attempts::poll_start) gives each address once, when its attempt begins: the first at
/// once, the next after a delay, or as soon as an attempt has failed.
pub(super) struct Attempts {
    waiting: VecDeque<SocketAddr>,
    next_at: Millis,
    /// The delay after the attempt that begins next.
    delay_ms: Millis,
}

impl Attempts {
    /// Of the addresses in the order of the resolver (RFC 6724), families take turns. The one that has
    /// `answered` before comes first, if it is among them.
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        answered: Option<SocketAddr>,
        now: Millis,
    ) -> Self {
        let mut waiting = interleaved(addresses);
        let mut delay_ms = ATTEMPT_DELAY_MS;
        if let Some(index) = waiting.iter().position(|it| Some(*it) == answered)
            && let Some(known) = waiting.remove(index)
        {
            waiting.push_front(known);
            delay_ms = ANSWERED_DELAY_MS;
        }
        Self { waiting, next_at: now, delay_ms }
    }

    /// The address whose attempt begins now, if one does.
    pub(super) fn poll_start(&mut self, now: Millis) -> Option<SocketAddr> {
        if now < self.next_at {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.next_at = now.saturating_add(std::mem::replace(&mut self.delay_ms, ATTEMPT_DELAY_MS));
        Some(address)
    }

    /// When the next attempt begins; `None`: there is no further address.
    pub(super) fn poll_timeout(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// An attempt has failed: the next one need not wait.
    pub(super) fn handle_failure(&mut self, now: Millis) {
        self.next_at = now;
    }
}

/// Families take turns, beginning with that of the first address; each keeps its order. What is named
/// twice is kept once.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let begins_with_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second) = (VecDeque::new(), VecDeque::new());
    for address in addresses {
        let family = if address.is_ipv6() == begins_with_v6 { &mut first } else { &mut second };
        if !family.contains(&address) {
            family.push_back(address);
        }
    }
    let mut all = VecDeque::with_capacity(first.len() + second.len());
    while let Some(address) = first.pop_front() {
        all.push_back(address);
        all.extend(second.pop_front());
    }
    all.extend(second);
    all
}

#[cfg(test)]
mod tests;
