//! Who a sender is.

use std::fmt;
use std::sync::Arc;

/// The number that Linux gives in the place of a user that has none in the server's user namespace
/// (`/proc/sys/kernel/overflowuid`). It may be anybody.
const OVERFLOW_UID: u32 = 65_534;

/// Who a sender is, as far as the host is convinced: uploads are resumed, receipts given again, and
/// shares of a quota counted within an identity.
///
/// It is found out by the host and is never what a sender or a receiver says. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Option<Arc<str>>);

impl Identity {
    /// Nobody in particular: whoever reaches the server.
    pub const ANONYMOUS: Self = Self(None);

    /// A user of this system, for whom the kernel vouches: `uid:1000`. By number, since names are given to
    /// others some day, and differ between containers.
    pub fn user(uid: u32) -> Self {
        if uid == OVERFLOW_UID { Self::ANONYMOUS } else { Self(Some(format!("uid:{uid}").into())) }
    }

    /// The identity of this name, as an inbox has it in its records.
    pub(crate) fn recorded(name: Option<Arc<str>>) -> Self {
        Self(name)
    }

    /// Its name; `None`: it is the anonymous one.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether nothing is known of who it is.
    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Identity {
    /// Its name, or `anonymous`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("anonymous"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_apart_by_number_and_who_has_none_is_anonymous() {
        assert_eq!(Identity::user(1000).name(), Some("uid:1000"));
        assert_eq!(Identity::user(1000), Identity::user(1000));
        assert_ne!(Identity::user(1000), Identity::user(1001));
        assert_eq!(Identity::user(0).to_string(), "uid:0");
        assert_eq!(Identity::user(OVERFLOW_UID), Identity::ANONYMOUS);
        assert_eq!(Identity::ANONYMOUS.to_string(), "anonymous");
    }
}
