//! What a proxy may have said of where the sender is.

use crate::bindings::exports::sandport::upload::receiver::OutputStream;
use crate::bindings::sandport::upload::gate::{self, Credential};
use crate::bindings::sandport::upload::inbox::{Answer, Upload};
use crate::bindings::sandport::upload::types::{EntryKind, Peer, Refusal};
use crate::resources::{answer, offer, outcome};

/// An address that nobody has who sends to a test, and another one.
const SAID: &str = "203.0.113.9:7";
const SAID_LATER: &str = "203.0.113.10";

/// Says that the sender is elsewhere: by what is no address, by an address, by another one, and, after it has
/// stored the file `told`, by one again. It answers whether the host says that the peer is a trusted proxy, and what
/// became of each.
pub(crate) fn lie(peer: &Peer, output: &OutputStream) {
    let mut told = vec![forward("10.0.0.1, 10.0.0.2"), forward(SAID), forward(SAID_LATER)];
    store("told");
    told.push(forward(SAID_LATER));
    say(peer, &told, output);
}

/// The same after a credential, and once more for an empty file.
pub(crate) fn lie_late(peer: &Peer, output: &OutputStream) {
    drop(gate::authenticate(&Credential::Bearer(String::from("token"))));
    let told = [forward(SAID)];
    store("late");
    say(peer, &told, output);
}

/// Says that the sender is elsewhere, and leaves the connection to the next instance.
pub(crate) fn lie_and_go(peer: &Peer, output: &OutputStream) {
    say(peer, &[forward(SAID)], output);
}

fn forward(address: &str) -> String {
    match gate::forwarded(address) {
        Ok(()) => String::from("believed"),
        Err(Refusal { code, .. }) => format!("{code:?}").replace("RefusalCode::", ""),
    }
}

fn store(name: &str) {
    // Without a size: for one that is here already the inbox would ask for a digest.
    if let Ok(Answer::Accepted(upload)) = answer(&offer(name, EntryKind::File, None)) {
        drop(outcome(&Upload::commit(upload, 0, &[])));
    }
}

fn say(peer: &Peer, told: &[String], output: &OutputStream) {
    let text = format!("{} {}\n", peer.trusted_proxy, told.join(" "));
    let _ = output.blocking_write_and_flush(text.as_bytes());
}
