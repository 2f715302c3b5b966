//! Credentials that are shown.

use sandport_protocol::Refusal;

use super::later::Later;

/// A credential that is being checked. None holds: this host knows no identities.
pub struct AuthenticatingHandle(pub(in crate::sandbox) Later<Refusal>);
