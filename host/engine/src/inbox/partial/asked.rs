//! An offer of an upload that has a key.

use std::net::IpAddr;

use sandport_protocol::Resume;
use sandport_protocol::journal::Notes;

use crate::inbox::plan::Plan;

/// An offer of an upload that has a key.
#[derive(Clone)]
pub(in crate::inbox) struct Asked {
    pub(in crate::inbox) plan: Plan,
    /// Whether the sender chose the name.
    pub(in crate::inbox) is_named: bool,
    pub(in crate::inbox) resume: Resume,
    /// What is to be known of it, where it is begun.
    pub(in crate::inbox) notes: Notes,
    /// Where its sender is, as far as is known.
    pub(in crate::inbox) address: Option<IpAddr>,
    /// Whether it is begun where there is none.
    pub(in crate::inbox) begins: bool,
}
