//! Who is at the other end of a connection, and where.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::{Refusal, RefusalCode};

use crate::net::Peer;
use sandport_inbox::Identity;

/// Longest text of an address. Bytes: of IPv6 with brackets and a port it is 47.
const ADDRESS_BYTES_MAX: usize = 64;

/// The sender of a connection.
pub(super) struct Sender {
    /// The other end, as socket and PROXY header show it.
    peer: Peer,
    /// Whether it is a proxy that is believed where its clients are.
    is_trusted_proxy: bool,
    /// The address that it gave for what is being served now.
    forwarded: Mutex<Option<Arc<str>>>,
}

impl Sender {
    pub(super) fn new(peer: Peer, is_trusted_proxy: bool) -> Self {
        Self { peer, is_trusted_proxy, forwarded: Mutex::default() }
    }

    /// Who sends what is being served now, and from where.
    pub(super) fn peer(&self) -> Peer {
        let mut peer = self.peer.clone();
        if let Some(address) = &*self.lock() {
            peer.address = Arc::clone(address);
        }
        peer
    }

    /// The IP address that what is served now comes from, where it has one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let text = self.peer().address;
        let with_port = text.parse().map(|address: SocketAddr| address.ip());
        with_port.or_else(|_| text.parse()).ok()
    }

    /// The other end of the connection itself.
    pub(super) fn next_hop(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.peer.identity
    }

    pub(super) fn is_trusted_proxy(&self) -> bool {
        self.is_trusted_proxy
    }

    /// The proxy has said that the sender of what is served now is at this address.
    ///
    /// # Errors
    /// `not-permitted`, of a peer that is not believed; `malformed`, for what is no address.
    pub(super) fn forward(&self, address: &str) -> Result<(), Refusal> {
        if !self.is_trusted_proxy {
            let words = "the connection comes from no trusted proxy";
            return Err(Refusal::new(RefusalCode::NotPermitted, words));
        }
        let address = normal(address)
            .ok_or_else(|| Refusal::new(RefusalCode::Malformed, "this is no IP address"))?;
        *self.lock() = Some(address.into());
        Ok(())
    }

    /// What is served now is over.
    /// Whether it came from elsewhere than the connection.
    pub(super) fn forget_forwarded(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.forwarded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IP address, with or without a port, in the one form that each has: who compares texts compares addresses.
fn normal(text: &str) -> Option<String> {
    if text.len() > ADDRESS_BYTES_MAX || text.contains('%') {
        return None;
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(SocketAddr::new(address.ip().to_canonical(), address.port()).to_string());
    }
    let bare = match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse().ok().map(IpAddr::V6)?,
        None => text.parse().ok()?,
    };
    Some(bare.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sender(is_trusted_proxy: bool) -> Sender {
        let peer = Peer { address: "10.0.0.1:1".into(), identity: Identity::user(1000) };
        Sender::new(peer, is_trusted_proxy)
    }

    #[test]
    fn a_trusted_proxy_says_where_the_sender_is_and_not_who() {
        let sender = sender(true);
        sender.forward("192.0.2.7").unwrap();
        assert_eq!(sender.peer().to_string(), "192.0.2.7 (uid:1000)");
        assert_eq!(&*sender.next_hop().address, "10.0.0.1:1");
        sender.forget_forwarded();
        assert_eq!(&*sender.peer().address, "10.0.0.1:1");
    }

    #[test]
    fn the_address_of_what_is_served_has_no_port() {
        let sender = sender(true);
        let address = || sender.address().unwrap().to_string();
        assert_eq!(address(), "10.0.0.1");
        for (told, is) in [
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:db8::7]:1", "2001:db8::7"),
            ("[::ffff:192.0.2.8]:1", "192.0.2.8"),
        ] {
            sender.forward(told).unwrap();
            assert_eq!(address(), is);
        }
        let local = Peer { address: "unix".into(), identity: Identity::ANONYMOUS };
        assert_eq!(Sender::new(local, false).address(), None);
    }

    #[test]
    fn nobody_else_is_believed() {
        let sender = sender(false);
        assert_eq!(sender.forward("192.0.2.7").unwrap_err().code, RefusalCode::NotPermitted);
        assert_eq!(&*sender.peer().address, "10.0.0.1:1");
    }

    #[test]
    fn each_address_has_one_form() {
        for (text, form) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:52114", "192.0.2.7:52114"),
            ("2001:DB8:0::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:52114", "[2001:db8::7]:52114"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:1", "192.0.2.7:1"),
        ] {
            assert_eq!(normal(text).as_deref(), Some(form), "{text}");
        }
        let long = format!("{:0>64}:1", "1.2.3.4");
        for wrong in [
            "",
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2",
            "192.0.2.7:",
            "192.0.2.7:65536",
            "[192.0.2.7]",
            "[::1",
            "::1]:7",
            "fe80::1%eth0",
            "[fe80::1%1]:7",
            " 192.0.2.7",
            "192.0.2.7, 10.0.0.1",
            "unix",
            &long,
        ] {
            assert_eq!(normal(wrong), None, "{wrong}");
        }
    }
}
