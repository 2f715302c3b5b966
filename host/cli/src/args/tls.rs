//! The arguments of `sandport serve` that are about encryption.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sandport_server::TlsRule;

/// Which certificate to show, and who has to encrypt.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct TlsArgs {
    /// Certificate in PEM, with those of its authorities behind it; read again when it changes [default: where encryption
    /// is required, one that the server makes for itself]
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "SANDPORT_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of --tls-cert in PEM; it may be in the same file
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "SANDPORT_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Who has to encrypt [default: who connects to an address that other machines reach]
    #[arg(long, value_name = "WHO", value_enum, env = "SANDPORT_TLS")]
    pub(crate) tls: Option<TlsSwitch>,
}

/// `--tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsSwitch {
    /// Everybody but Unix sockets
    Require,
    /// Nobody; who wants to may
    Allow,
    /// Nobody can: everything is in plaintext
    Off,
}

impl TlsArgs {
    /// Who has to encrypt. `None`: nobody can.
    pub(crate) fn rule(&self) -> Option<TlsRule> {
        match self.tls {
            None => Some(TlsRule::BeyondLoopback),
            Some(TlsSwitch::Require) => Some(TlsRule::Require),
            Some(TlsSwitch::Allow) => Some(TlsRule::Allow),
            Some(TlsSwitch::Off) => None,
        }
    }
}
