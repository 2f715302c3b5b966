//! Which certificate a server shows, and what is said of it.

use sandport_inbox::Inbox;
use sandport_protocol::report::Encryption as Told;
use sandport_server::net::Address;
use sandport_server::{Fingerprint, Tls, TlsRule};

use super::typed::typed_outward;
use crate::args::ServeArgs;
use crate::failure::Failure;

/// The certificate of a server, as it is told of.
#[derive(Clone, Debug)]
pub(super) struct Encryption {
    fingerprint: Fingerprint,
    is_self_signed: bool,
    rule: TlsRule,
}

/// The certificate that was asked for, and who has to encrypt; `None`: nobody can. Where somebody has to and there is
/// none, the server makes its own.
pub(super) fn of(args: &ServeArgs, inbox: &Inbox) -> Result<Option<(Tls, TlsRule)>, Failure> {
    let files = args.encryption.tls_cert.as_ref().zip(args.encryption.tls_key.as_ref());
    let Some(rule) = args.encryption.rule() else {
        return match files {
            Some(_) => Err(Failure::contradiction(
                "--tls off takes no certificate",
                "leave --tls off out, or --tls-cert and --tls-key",
            )),
            None => Ok(None),
        };
    };
    let tls = match files {
        Some((certificate, key)) => Tls::from_files(certificate, key)?,
        None if args.encryption.tls.is_some() || args.listen.iter().any(is_reached) => {
            Tls::self_signed(inbox)?
        }
        None => return Ok(None),
    };
    Ok(Some((tls, rule)))
}

/// Whether other machines may reach an address, as far as that can be said before it is looked up.
fn is_reached(address: &Address) -> bool {
    let is_localhost =
        matches!(address, Address::Tcp { host, .. } if host.eq_ignore_ascii_case("localhost"));
    !is_localhost && TlsRule::BeyondLoopback.requires(address)
}

impl Encryption {
    pub(super) fn of(tls: &Tls, rule: TlsRule) -> Self {
        let (fingerprint, is_self_signed) = (tls.fingerprint(), tls.is_self_signed());
        Self { fingerprint, is_self_signed, rule }
    }

    /// For the ready line.
    pub(super) fn words(&self) -> String {
        format!(", certificate {}", self.fingerprint)
    }

    /// The command that sends a file to this address, and what there is to know of the certificate.
    pub(super) fn next(&self, address: &Address) -> Vec<String> {
        if !self.rule.requires(address) {
            return Vec::new();
        }
        if !self.is_self_signed {
            return vec![String::from(
                "Send a file:  sandport send --tls FILE HOST    HOST: a name of the certificate",
            )];
        }
        vec![
            format!("Send a file:  sandport send FILE '{}'", self.link(address)),
            String::from(
                "Encryption:   required, with a certificate of this server's own. Browsers do not trust it: give one \
                 with --tls-cert and --tls-key, or use a proxy",
            ),
        ]
    }

    /// For JSON.
    pub(super) fn told(&self, addresses: &[Address]) -> Told<'static> {
        let is_tcp = |address: &&Address| matches!(address, Address::Tcp { .. });
        let required = addresses.iter().filter(|address| self.rule.requires(address));
        Told {
            fingerprint: self.fingerprint.to_string().into(),
            self_signed: self.is_self_signed,
            required: required.map(|address| address.to_string().into()).collect(),
            links: addresses.iter().filter(is_tcp).map(|it| self.link(it).into()).collect(),
        }
    }

    /// What a sender may type who has no other way to know the certificate.
    fn link(&self, address: &Address) -> String {
        format!("sandport://{}#{}", typed_outward(address), self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn encryption(rule: TlsRule, is_self_signed: bool) -> Encryption {
        Encryption { fingerprint: Fingerprint([0xab; 32]), is_self_signed, rule }
    }

    #[test]
    fn a_link_is_shown_where_plaintext_is_refused() {
        let digits = "ab".repeat(32);
        let own = encryption(TlsRule::Require, true);
        let lines = own.next(&"127.0.0.1:99".parse().unwrap());
        assert!(
            lines[0].ends_with(&format!("FILE 'sandport://127.0.0.1:99#{digits}'")),
            "{lines:?}"
        );
        assert!(lines[1].contains("--tls-cert"), "{lines:?}");
        let loopback = encryption(TlsRule::BeyondLoopback, true);
        assert!(loopback.next(&"127.0.0.1:99".parse().unwrap()).is_empty());
        let signed = encryption(TlsRule::Require, false);
        assert!(signed.next(&"127.0.0.1:99".parse().unwrap())[0].contains("--tls FILE HOST"));
    }

    #[test]
    fn json_names_the_addresses_that_take_no_plaintext() {
        let addresses = ["127.0.0.1:1", "192.0.2.7:2", "unix:/s"].map(|it| it.parse().unwrap());
        let told = encryption(TlsRule::BeyondLoopback, true).told(&addresses);
        assert_eq!(told.required, ["192.0.2.7:2"]);
        let digits = "ab".repeat(32);
        let links = ["127.0.0.1:1", "192.0.2.7:2"].map(|it| format!("sandport://{it}#{digits}"));
        assert_eq!(told.links, links);
    }
}
