//! What to type next, for a person who has just started a server.

use sandport_protocol::Address;

use super::encryption::Encryption;
use super::typed::typed_outward;

/// The commands, for the first address that is listened on.
pub(super) fn commands(addresses: &[Address], encryption: Option<&Encryption>) -> Vec<String> {
    let Some(address) = addresses.first() else { return Vec::new() };
    let mut lines = encryption.map(|it| it.next(address)).unwrap_or_default();
    if lines.is_empty() {
        lines.push(format!("Send a file:  sandport send FILE {}", typed_outward(address)));
    }
    lines.push(String::from("Stop:         Ctrl-C"));
    lines
}
