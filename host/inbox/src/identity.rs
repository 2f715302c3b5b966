//! Who a sender is.

use std::fmt;
use std::sync::Arc;

/// The number that Linux gives in the place of a user that has none in the server's user namespace
/// (`/proc/sys/kernel/overflowuid`). It may be anybody.
const OVERFLOW_UID: u32 = 65_534;

/// Longest name. Bytes: that of a user in a directory service, with its domain. It stands in each record.
const NAME_BYTES_MAX: usize = 255;

/// Who a sender is, as far as the host is convinced: uploads are resumed, receipts given again, and
/// shares of a quota counted within an identity.
///
/// It is found out by the host and is never what a sender or a receiver says. Cloning is cheap.
///
/// ```
/// use sandport_inbox::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let alice = Identity::named("alice@example.org")?;
/// assert_eq!(alice.name(), Some("alice@example.org"));
/// assert_eq!(Identity::user(1000).to_string(), "uid:1000");
/// assert!(Identity::ANONYMOUS.is_anonymous());
/// # Ok(())
/// # }
/// ```
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

    /// Somebody for whom the caller vouches: the holder of a certificate, say. Two identities of one name are the same,
    /// so a name should have an area of its own: `uid:1000` is the [user](Self::user).
    ///
    /// # Errors
    /// The name is empty, longer than 255 bytes, or has control characters.
    pub fn named(name: &str) -> Result<Self, IdentityError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(IdentityError);
        }
        Ok(Self(Some(name.into())))
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

/// A text that cannot be the name of an [`Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an identity has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
#[non_exhaustive]
pub struct IdentityError;

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

    #[test]
    fn a_name_that_somebody_vouches_for_is_short_and_fit_for_a_line() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        assert_eq!(Identity::named(&longest).map(|it| it.to_string()), Ok(longest.clone()));
        assert_eq!(Identity::named("uid:1000"), Ok(Identity::user(1000)));
        for wrong in ["", "a\nb", "\u{1b}[2J", &format!("{longest}x")] {
            assert_eq!(Identity::named(wrong), Err(IdentityError), "{wrong:?}");
        }
    }
}
