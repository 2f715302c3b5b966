//! Where a resident component may listen: the addresses that it was granted, and nothing else.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime_wasi::sockets::SocketAddrUse;

/// The addresses, over all runs of a component.
pub(crate) struct Grants {
    granted: Mutex<Vec<Grant>>,
}

struct Grant {
    /// Port 0 until the component has listened once: then the port that it got.
    address: SocketAddr,
    /// Whether this run listens there.
    listening: bool,
}

/// The answer to one question, which needs no waiting.
type Answer = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

impl Grants {
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        let grant = |address: &SocketAddr| Grant { address: *address, listening: false };
        Self { granted: Mutex::new(addresses.iter().map(grant).collect()) }
    }

    /// A new run begins.
    pub(crate) fn begin_run(&self) {
        self.lock().iter_mut().for_each(|grant| grant.listening = false);
    }

    /// The addresses, with the ports that are known.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().iter().map(|grant| grant.address).collect()
    }

    /// Those of them where this run listens.
    pub(crate) fn listening(&self) -> Vec<SocketAddr> {
        self.lock().iter().filter(|grant| grant.listening).map(|grant| grant.address).collect()
    }

    /// The check that wasmtime-wasi asks before it does anything with an address.
    pub(super) fn check(
        self: &Arc<Self>,
    ) -> impl Fn(SocketAddr, SocketAddrUse) -> Answer + Send + Sync + use<> {
        let grants = Arc::clone(self);
        move |address, purpose| {
            let permitted = grants.permit(address, purpose);
            if !permitted {
                tracing::debug!(target: "receiver", %address, ?purpose, "refused to the receiver");
            }
            Box::pin(std::future::ready(permitted))
        }
    }

    fn permit(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpBind => self.lock().iter().any(|grant| grant.address == address),
            SocketAddrUse::TcpListen => self.listen(address),
            // Whoever connects to a granted address.
            SocketAddrUse::TcpAccept => true,
            SocketAddrUse::TcpConnect
            | SocketAddrUse::UdpBind
            | SocketAddrUse::UdpSend
            | SocketAddrUse::UdpReceive => false,
        }
    }

    /// `address` is what the socket is bound to: with the port that the system chose.
    fn listen(&self, address: SocketAddr) -> bool {
        let mut granted = self.lock();
        let exact = granted.iter().position(|grant| grant.address == address);
        // With its zone: two interfaces may have the same link-local address.
        let mut unbound = address;
        unbound.set_port(0);
        let free = || granted.iter().position(|grant| grant.address == unbound);
        let Some(index) = exact.or_else(free) else { return false };
        granted[index] = Grant { address, listening: true };
        true
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Grant>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_granted_address_can_be_bound() {
        let grants = Grants::new(&[address("127.0.0.1:7000")]);
        assert!(grants.permit(address("127.0.0.1:7000"), SocketAddrUse::TcpBind));
        for other in
            ["127.0.0.1:7001", "127.0.0.1:0", "127.0.0.2:7000", "0.0.0.0:7000", "[::1]:7000"]
        {
            assert!(!grants.permit(address(other), SocketAddrUse::TcpBind), "{other}");
            assert!(!grants.permit(address(other), SocketAddrUse::TcpListen), "{other}");
        }
    }

    #[test]
    fn port_0_becomes_one_port_and_stays_it() {
        let grants = Grants::new(&[address("127.0.0.1:0")]);
        assert!(
            !grants.permit(address("127.0.0.1:8080"), SocketAddrUse::TcpBind),
            "no free choice"
        );
        assert!(grants.permit(address("127.0.0.1:0"), SocketAddrUse::TcpBind));
        assert!(grants.permit(address("127.0.0.1:4001"), SocketAddrUse::TcpListen));
        assert!(!grants.permit(address("127.0.0.1:0"), SocketAddrUse::TcpBind), "not a second one");
        assert!(!grants.permit(address("127.0.0.1:4002"), SocketAddrUse::TcpListen));
        assert_eq!(grants.listening(), [address("127.0.0.1:4001")]);
        grants.begin_run();
        assert_eq!(grants.listening(), []);
        assert_eq!(grants.addresses(), [address("127.0.0.1:4001")], "also after a restart");
        assert!(grants.permit(address("127.0.0.1:4001"), SocketAddrUse::TcpBind));
    }

    #[test]
    fn two_free_ports_are_two_ports() {
        let grants = Grants::new(&[address("127.0.0.1:0"), address("127.0.0.1:0")]);
        assert!(grants.permit(address("127.0.0.1:4001"), SocketAddrUse::TcpListen));
        assert!(grants.permit(address("127.0.0.1:0"), SocketAddrUse::TcpBind));
        assert!(grants.permit(address("127.0.0.1:4002"), SocketAddrUse::TcpListen));
        assert!(!grants.permit(address("127.0.0.1:4003"), SocketAddrUse::TcpListen));
        assert_eq!(grants.listening().len(), 2);
    }

    #[test]
    fn a_link_local_address_is_granted_in_its_zone() {
        let grants = Grants::new(&[address("[fe80::1%7]:0"), address("[fe80::1%8]:0")]);
        assert!(!grants.permit(address("[fe80::1%9]:4001"), SocketAddrUse::TcpListen));
        assert!(grants.permit(address("[fe80::1%8]:4001"), SocketAddrUse::TcpListen));
        assert_eq!(grants.listening(), [address("[fe80::1%8]:4001")]);
    }

    #[test]
    fn nothing_goes_out() {
        let grants = Grants::new(&[address("127.0.0.1:7000")]);
        for purpose in [
            SocketAddrUse::TcpConnect,
            SocketAddrUse::UdpBind,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            assert!(!grants.permit(address("127.0.0.1:7000"), purpose), "{purpose:?}");
        }
        let implicit = address("0.0.0.0:0");
        assert!(!grants.permit(implicit, SocketAddrUse::TcpBind), "what connect would do first");
    }
}
