//! Where a resume key leads.

use core::fmt;

use super::JournalId;

/// What a hash of this kind is of, so that no other hash is the same.
const CONTEXT: &str = "sandport 2026-11-24 resumable upload";

/// Which upload a resume key is of: a hash of it and of the identity that it counts in. The key itself is written
/// nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResumableId([u8; 32]);

impl ResumableId {
    /// That of a key of the sender who is called `identity`; `None`: the anonymous one.
    pub fn of(identity: Option<&str>, key: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        let name = identity.unwrap_or_default().as_bytes();
        hasher.update(&[u8::from(identity.is_some())]);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name).update(key);
        Self(*hasher.finalize().as_bytes())
    }

    /// What the checks of its journal begin with: the second half.
    pub fn journal(&self) -> JournalId {
        let mut id = JournalId::default();
        id.copy_from_slice(&self.0[16..]);
        id
    }

    /// The two halves of its name, as numbers.
    pub fn name(&self) -> (u64, u64) {
        let half = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&self.0[from..from + 8]);
            u64::from_be_bytes(bytes)
        };
        (half(0), half(8))
    }
}

impl fmt::Display for ResumableId {
    /// The first half, in 32 hexadecimal digits: as in the names of its files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..16].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use super::*;

    fn id(identity: Option<&str>, key: u8) -> ResumableId {
        ResumableId::of(identity, &[key; 32])
    }

    #[test]
    fn keys_of_others_lead_elsewhere() {
        let all = [id(None, 1), id(None, 2), id(Some(""), 1), id(Some("uid:1"), 1)];
        for (number, one) in all.iter().enumerate() {
            assert!(all[number + 1..].iter().all(|other| other != one));
        }
        assert_eq!(id(None, 1), id(None, 1));
    }

    #[test]
    fn its_name_has_32_digits() {
        let id = id(None, 7);
        let (first, second) = id.name();
        assert_eq!(id.to_string(), format!("{first:016x}{second:016x}"));
        assert_eq!(id.to_string().len(), 32);
    }
}
