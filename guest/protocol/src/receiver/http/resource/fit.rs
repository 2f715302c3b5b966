//! Whether what a request brings fits to an upload, and to the limits.

use super::{Append, Standing, Trouble};
use crate::receiver::io::Io;

/// Why content does not fit to what is here of an upload.
pub(super) fn misfit(append: &Append, standing: &Standing, received: u64) -> Option<Trouble> {
    if append.offset != received {
        return Some(Trouble::Offset { provided: append.offset });
    }
    if let (Some(said), Some(known)) = (append.size, standing.size)
        && said != known
    {
        return Some(Trouble::Length);
    }
    let size = append.size.or(standing.size)?;
    if received > size {
        return Some(Trouble::Length);
    }
    let end = append.content.map(|content| received.saturating_add(content));
    end.is_some_and(|end| end > size).then_some(Trouble::Excess)
}

/// Why an upload is not begun.
pub(super) fn too_much(append: &Append, io: &Io) -> Option<Trouble> {
    if let (Some(content), Some(size)) = (append.content, append.size)
        && content > size
    {
        return Some(Trouble::Excess);
    }
    if let Some(most) = io.limits.max_file_size
        && append.size.or(append.content).is_some_and(|size| size > most)
    {
        return Some(Trouble::Refused(crate::receiver::io::too_large(most)));
    }
    exceeds_append(append, io).map(Trouble::AppendTooLarge)
}

/// The most that a request may bring, where this one brings more.
pub(super) fn exceeds_append(append: &Append, io: &Io) -> Option<u64> {
    let most = io.limits.max_append_size?;
    append.content.is_some_and(|content| content > most).then_some(most)
}
