//! Who has to encrypt.

use std::net::IpAddr;

use crate::net::Address;

/// Who has to encrypt, by the address that a connection came to. Where a peer says that it is does not count: a
/// proxy on this machine is no reason to take passwords in plaintext from the network.
///
/// Nobody has to on a Unix socket, whatever the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsRule {
    /// All that come to an address that other machines reach: every one but loopback.
    #[default]
    BeyondLoopback,
    /// All that come by TCP.
    Require,
    /// Nobody.
    Allow,
}

impl TlsRule {
    /// Whether what comes to this address has to be encrypted. `[::]` and `0.0.0.0` are addresses that other machines
    /// reach.
    pub fn requires(self, address: &Address) -> bool {
        match (self, address) {
            (_, Address::Unix(_)) | (Self::Allow, _) => false,
            (Self::Require, _) => true,
            (Self::BeyondLoopback, Address::Tcp { host, .. }) => {
                !host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_what_other_machines_reach_is_encrypted_by_default() {
        let requires = |address: &str| TlsRule::default().requires(&address.parse().unwrap());
        for address in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/s"]
        {
            assert!(!requires(address), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.7:1", "[fe80::1%eth0]:1", "files.example:1"]
        {
            assert!(requires(address), "{address}");
        }
        let unix = "unix:/s".parse().unwrap();
        assert!(
            !TlsRule::Require.requires(&unix)
                && TlsRule::Require.requires(&"[::1]".parse().unwrap())
        );
        assert!(!TlsRule::Allow.requires(&"[::]:1".parse().unwrap()));
    }
}
