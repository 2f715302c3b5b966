//! What the files of uploads are called, and which are there.
//!
//! A name has 32 hexadecimal digits, the halves of the upload's [`ResumableId`], the second of them mixed with the
//! number of the run of the component that writes it. So each run has files of its own, which nobody else makes or
//! takes for theirs, and the first half finds those of other runs. The native inbox, which locks, uses the ID as it
//! is: its files look like those of a run 0.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use sandport_protocol::journal::ResumableId;

/// What the names of data files end with.
const DATA_SUFFIX: &str = ".data";

/// And those of journals.
const JOURNAL_SUFFIX: &str = ".journal";

/// What the files of an upload of one run are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    first: u64,
    second: u64,
}

/// What a file of an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Data,
    Journal,
}

/// Which parts of an upload there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) data: bool,
    pub(super) journal: bool,
}

impl Name {
    /// That of an upload in this run.
    pub(super) fn of(id: ResumableId, run: u64) -> Self {
        let (first, second) = id.name();
        Self { first, second: second ^ run }
    }

    /// Reads a name; `None`: it is none of ours.
    pub(super) fn parse(file: &str) -> Option<(Self, Part)> {
        let (digits, part) = match file.strip_suffix(DATA_SUFFIX) {
            Some(digits) => (digits, Part::Data),
            None => (file.strip_suffix(JOURNAL_SUFFIX)?, Part::Journal),
        };
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() != 32 || !digits.bytes().all(is_digit) {
            return None;
        }
        let half = |digits| u64::from_str_radix(digits, 16).ok();
        let (first, second) = digits.split_at(16);
        Some((Self { first: half(first)?, second: half(second)? }, part))
    }

    pub(super) fn data(&self) -> String {
        format!("{self}{DATA_SUFFIX}")
    }

    pub(super) fn journal(&self) -> String {
        format!("{self}{JOURNAL_SUFFIX}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.first, self.second)
    }
}

/// The files that are there, so that no offer has to list a directory.
#[derive(Debug, Default)]
pub(super) struct Names(RefCell<HashMap<u64, BTreeMap<u64, Parts>>>);

impl Names {
    /// Notes that a file is there.
    pub(super) fn add(&self, name: Name, part: Part) {
        let mut names = self.0.borrow_mut();
        let parts = names.entry(name.first).or_default().entry(name.second).or_default();
        match part {
            Part::Data => parts.data = true,
            Part::Journal => parts.journal = true,
        }
    }

    /// Notes that a file is gone.
    pub(super) fn remove(&self, name: Name, part: Part) {
        let mut names = self.0.borrow_mut();
        let Some(runs) = names.get_mut(&name.first) else { return };
        if let Some(parts) = runs.get_mut(&name.second) {
            match part {
                Part::Data => parts.data = false,
                Part::Journal => parts.journal = false,
            }
            if *parts == Parts::default() {
                runs.remove(&name.second);
            }
        }
        if runs.is_empty() {
            names.remove(&name.first);
        }
    }

    /// Those that may be of an upload: first the ones that have data, and of these `own`.
    pub(super) fn of(&self, own: Name) -> Vec<Name> {
        let names = self.0.borrow();
        let Some(runs) = names.get(&own.first) else { return Vec::new() };
        let name = |second| Name { first: own.first, second };
        let mut found: Vec<_> = runs
            .iter()
            .map(|(&second, parts)| (!parts.data, name(second) != own, second))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, second)| name(second)).collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(Name, Parts)> {
        let names = self.0.borrow();
        let of = |(&first, runs): (&u64, &BTreeMap<u64, Parts>)| {
            runs.iter().map(|(&second, &parts)| (Name { first, second }, parts)).collect::<Vec<_>>()
        };
        names.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn id(key: u8) -> ResumableId {
        ResumableId::of(None, &[key; 32])
    }

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_not_ours() {
        let name = Name::of(id(1), 7);
        assert_eq!(Name::parse(&name.data()), Some((name, Part::Data)));
        assert_eq!(Name::parse(&name.journal()), Some((name, Part::Journal)));
        assert_eq!(Name::of(id(1), 0).to_string(), id(1).to_string(), "that of the native inbox");
        for other in ["", "x.data", "receipts", "+1234567890abcdef1234567890abcde.data"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        assert_eq!(Name::parse(&name.data().to_uppercase()), None);
    }

    #[test]
    fn what_has_data_comes_first_and_of_that_our_own() {
        let names = Names::default();
        let [own, older, marker] = [7, 9, 11].map(|run| Name::of(id(1), run));
        for (name, part) in [
            (marker, Part::Journal),
            (older, Part::Data),
            (older, Part::Journal),
            (own, Part::Data),
            (Name::of(id(2), 7), Part::Data),
        ] {
            names.add(name, part);
        }
        assert_eq!(names.of(own), [own, older, marker]);
        names.remove(older, Part::Data);
        names.remove(own, Part::Data);
        assert_eq!(names.of(own).len(), 2);
        names.remove(older, Part::Journal);
        names.remove(marker, Part::Journal);
        assert_eq!(names.of(own), []);
        assert_eq!(names.all().len(), 1);
    }
}
