//! One connection being served, and how it waits.

use alloc::string::String;
use alloc::vec::Vec;

use sandport_protocol::driver::{Asked, Driver, On, Step, Wait};
use sandport_protocol::receiver::Receiver;

use crate::bindings::exports::sandport::upload::receiver::Ending;
use crate::bindings::sandport::upload::{gate, types};
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::clock::{now_ms, timer};
use crate::convert;
use crate::host_impl::HostImpl;
use crate::open_upload::OpenUpload;
use crate::pending::Commit;

/// Serves one connection, or one request on it: `receiver.serve` of the WIT package.
pub(crate) fn serve(
    peer: &types::Peer,
    input: &InputStream,
    output: &OutputStream,
) -> Result<Ending, types::Refusal> {
    let limits = convert::limits(gate::get_limits());
    // HTTP alone hands a connection on.
    let mut machine = if peer.continued {
        Receiver::after_http(limits, now_ms())
    } else {
        let agent = concat!("sandport-receiver/", env!("CARGO_PKG_VERSION"));
        Receiver::new(limits, gate::challenge(), String::from(agent), now_ms())
    };
    machine.set_encrypted(peer.encrypted);
    machine.set_trusted_proxy(peer.trusted_proxy);
    machine.set_date(now_ms(), gate::now().seconds);
    let mut host = HostImpl::new(input, output);
    let mut waiting = Waiting {
        // Subscribed once: a pollable can be polled any number of times.
        input_ready: input.subscribe(),
        timer: None,
    };
    let mut driver = Driver::new(machine);
    let outcome = loop {
        match driver.step(&mut host) {
            Step::Again => {}
            Step::Wait(wait) => {
                if waiting.wait(wait, &mut driver, &host) {
                    driver.hear_news(&mut host);
                }
            }
            // A machine is given reads of 65,536 bytes at most, so the number fits.
            Step::Next { unread } => {
                break Ok(Ending::Again(u32::try_from(unread).unwrap_or(u32::MAX)));
            }
            Step::Closed(outcome) => break outcome.map(|()| Ending::Close),
        }
    };
    // Gives the disk back before the peer is waited for. The host ends a connection whose peer does
    // not read.
    driver.drop_uploads();
    host.drain();
    outcome.map_err(convert::refusal)
}

/// What is polled whatever happens.
struct Waiting {
    input_ready: Pollable,
    timer: Option<Timer>,
}

struct Timer {
    at_ms: u64,
    ready: Pollable,
}

impl Waiting {
    /// Waits; whether that was for news of uploads too.
    fn wait<'a>(
        &mut self,
        wait: Wait,
        driver: &mut Driver<HostImpl<'a>>,
        host: &HostImpl<'a>,
    ) -> bool {
        if let Some(at_ms) = wait.until {
            // A timer that fires too early only wakes the loop once for nothing. So an old one is
            // kept while the deadline moves away, as it does with every byte.
            if self.timer.as_ref().is_none_or(|timer| timer.at_ms > at_ms) {
                let ready = timer(at_ms);
                self.timer = Some(Timer { at_ms, ready });
            }
        } else {
            self.timer = None;
        }
        let body_ready = match wait.on {
            On::Body(id) => driver.upload(id).and_then(OpenUpload::room),
            _ => None,
        };
        if let Some(commit) = driver.oldest_commit_mut() {
            commit.subscribe();
        }
        if let Some(asked) = driver.asked_mut() {
            match asked {
                Asked::Opening(_, opening) => opening.offered.subscribe(),
                Asked::Asking(_, asking) => asking.subscribe(),
                Asked::Authenticating(authenticating) => authenticating.subscribe(),
            }
        }
        let mut ready: Vec<&Pollable> = Vec::with_capacity(6);
        ready.extend(self.timer.as_ref().map(|timer| &timer.ready));
        ready.extend(body_ready.as_ref());
        ready.extend(host.waits_for());
        ready.extend(driver.oldest_commit().and_then(Commit::ready));
        ready.extend(driver.asked().and_then(|asked| match asked {
            Asked::Opening(_, opening) => opening.offered.ready(),
            Asked::Asking(_, asking) => asking.ready(),
            Asked::Authenticating(authenticating) => authenticating.ready(),
        }));
        let before = ready.len();
        let news = driver.uploads().filter_map(OpenUpload::news);
        ready.extend(news);
        let hears_news = ready.len() > before;
        if matches!(wait.on, On::Input) {
            ready.push(&self.input_ready);
        }
        // An empty list would trap. It could only come from a machine that waits for nothing.
        if !ready.is_empty() {
            poll(&ready);
        }
        if self.timer.as_ref().is_some_and(|timer| timer.at_ms <= now_ms()) {
            self.timer = None;
        }
        hears_news
    }
}
