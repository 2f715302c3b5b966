//! Which name a file gets.

use crate::{EntryName, Receipt, Refusal, free_number};

use super::{taken, taken_by_directory, taken_by_other};

/// What happens to a file whose name is taken. None of them ever writes through a symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// It gets a number: `report.pdf`, `report-1.pdf` and so on.
    #[default]
    Rename,
    /// It is refused.
    Refuse,
    /// It takes the place of the file or the symbolic link that had the name. A directory is not
    /// replaced, and neither is a file that another identity has sent: it is as in a directory with the sticky
    /// bit.
    Replace,
}

/// What choosing a name came to.
#[derive(Debug)]
pub enum Chosen<S = Receipt> {
    /// The name is free, or is to be replaced.
    Name {
        /// As for [`EntryName::renamed`]; 0: as offered.
        number: u32,
        /// The name.
        name: EntryName,
    },
    /// The same file is here already, or about to be.
    Same(S),
    /// There is no name for it.
    Refused(Refusal),
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing.
    None,
    /// A directory.
    Directory,
    /// A file that another identity has sent. It matters where the rule is to replace.
    Foreign,
    /// A file, a link, or whatever else is no directory.
    Other,
}

/// Chooses the name of a file that was offered as `offered`, by the conflict rule.
///
/// `look` says what has a name; `same` finds the same content under the offered name or one that was
/// made of it, and is asked only where the name is taken.
///
/// # Errors
///
/// Those of `look`.
pub fn choose_name<S, E>(
    conflict: Conflict,
    offered: &EntryName,
    mut look: impl FnMut(&EntryName) -> Result<Occupant, E>,
    same: impl FnOnce() -> Option<S>,
) -> Result<Chosen<S>, E> {
    let there = look(offered)?;
    let as_offered = Chosen::Name { number: 0, name: offered.clone() };
    if conflict == Conflict::Replace {
        return Ok(match there {
            Occupant::Directory => Chosen::Refused(taken_by_directory()),
            Occupant::Foreign => Chosen::Refused(taken_by_other()),
            _ => as_offered,
        });
    }
    if there == Occupant::None {
        return Ok(as_offered);
    }
    // The same file once more, by a sender who did not hear the answer, say.
    if let Some(same) = same() {
        return Ok(Chosen::Same(same));
    }
    if conflict == Conflict::Refuse {
        return Ok(Chosen::Refused(taken()));
    }
    let number = free_number(|number| match offered.renamed(number) {
        Some(name) => Ok(look(&name)? == Occupant::None),
        None => Ok(false),
    })?;
    Ok(match number.and_then(|number| Some((number, offered.renamed(number)?))) {
        Some((number, name)) => Chosen::Name { number, name },
        None => Chosen::Refused(taken()),
    })
}
