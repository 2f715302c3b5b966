//! An offer of an upload that has a key.

use std::net::IpAddr;

use sandport_protocol::Resume;
use sandport_protocol::journal::Notes;

use crate::accepted_offer::AcceptedOffer;

/// An offer of an upload that has a key.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) accepted: AcceptedOffer,
    /// Whether the sender chose the name.
    pub(crate) is_named: bool,
    pub(crate) resume: Resume,
    /// What is to be known of it, where it is begun.
    pub(crate) notes: Notes,
    /// Where its sender is, as far as is known.
    pub(crate) address: Option<IpAddr>,
    /// Where what of it is under way counts.
    pub(crate) place: Option<IpAddr>,
    /// Whether it is begun where there is none.
    pub(crate) begins: bool,
}
