//! What a file is called when its name is taken and the inbox renames: `report.pdf`, `report-1.pdf`,
//! `report-2.pdf` and so on.

use alloc::format;

use crate::EntryName;

/// Highest number that the conflict rule puts into a name.
pub const CONFLICT_NUMBER_MAX: u32 = 999_999;

/// Longest ending that counts as a file's extension, without its dot. Bytes. Longer than any in use
/// (`sqlite3-journal` has 15); what follows the last dot of a sentence is mostly longer.
const EXTENSION_BYTES_MAX: usize = 16;

impl EntryName {
    /// The name with `-number` put before the extension of its last part.
    ///
    /// `report.pdf` becomes `report-1.pdf`, `archive.tar.gz` becomes `archive-1.tar.gz`, `.bashrc`
    /// becomes `.bashrc-1`, `README` becomes `README-1`. `None`: the number is 0 or higher than
    /// [`CONFLICT_NUMBER_MAX`].
    pub fn renamed(&self, number: u32) -> Option<EntryName> {
        if number == 0 || number > CONFLICT_NUMBER_MAX {
            return None;
        }
        let (stem, extension) = split_extension(self.leaf());
        Some(EntryName::derived(match self.parent() {
            Some(parent) => format!("{parent}/{stem}-{number}{extension}"),
            None => format!("{stem}-{number}{extension}"),
        }))
    }
}

/// Finds a number whose name is free, given that the name without a number is taken; `None`: all are
/// taken.
///
/// Where the taken numbers have no gaps, as an inbox makes them, it is the lowest free one. It asks
/// about as often as the number has bits, twice: a name that ten thousand senders use must not cost ten
/// thousand questions each time.
///
/// # Errors
///
/// Those of `is_free`.
pub fn free_number<E>(mut is_free: impl FnMut(u32) -> Result<bool, E>) -> Result<Option<u32>, E> {
    let mut taken = 0;
    let mut free = 1;
    while !is_free(free)? {
        if free == CONFLICT_NUMBER_MAX {
            return Ok(None);
        }
        taken = free;
        free = (free * 2).min(CONFLICT_NUMBER_MAX);
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_free(middle)? {
            free = middle;
        } else {
            taken = middle;
        }
    }
    Ok(Some(free))
}

/// Splits a part into what the number goes behind and the extension with its dots, which may be empty.
fn split_extension(leaf: &str) -> (&str, &str) {
    let Some(dot) = extension_dot(leaf) else {
        return (leaf, "");
    };
    // A compressed tape archive has two endings that belong together.
    let dot = match extension_dot(&leaf[..dot]) {
        Some(inner) if leaf[inner..dot].eq_ignore_ascii_case(".tar") => inner,
        _ => dot,
    };
    leaf.split_at(dot)
}

/// Where the extension of `leaf` begins.
fn extension_dot(leaf: &str) -> Option<usize> {
    let dot = leaf.rfind('.')?;
    // The leading dots of a hidden file begin its name, not its extension.
    if leaf[..dot].bytes().all(|byte| byte == b'.') {
        return None;
    }
    let extension = &leaf[dot + 1..];
    let plausible = !extension.is_empty()
        && extension.len() <= EXTENSION_BYTES_MAX
        && !extension.contains(char::is_whitespace);
    plausible.then_some(dot)
}

#[cfg(test)]
mod tests;
