//! What would be sent, without sending it.

use super::event::{Report, SendEvent, Summary};
use super::prepare::{self, Contents, Item};
use super::{Dialect, SendError, SendOptions, Source, source};

/// Finds what [`send`](super::send) would send with the same sources and options, and tells `events`
/// of each file as [`SendEvent::Planned`]. It connects to nobody, opens each file to see that it can
/// be read, and reads no content, but for the first byte of what is said to be empty; streams are not
/// touched.
///
/// # Errors
/// [`SendError::ClassicDirectory`]. What befalls single files is an event.
pub async fn plan(
    sources: Vec<Source>,
    options: &SendOptions,
    mut events: impl FnMut(SendEvent<'_>),
) -> Result<Summary, SendError> {
    if options.dialect == Dialect::Classic {
        source::require_files(&sources)?;
    }
    let report = Report::new(&mut events);
    let mut items = prepare::start(sources, options.selection.clone(), Contents::Leave, None);
    while let Some(batch) = items.recv().await {
        for item in batch {
            match item {
                Item::Directory(mut file)
                | Item::Small { mut file, .. }
                | Item::Large { mut file, .. }
                | Item::Stream { mut file, .. } => report.plan(&mut file),
                Item::Skipped { path, reason } => {
                    report.emit(SendEvent::Skipped { path: &path, reason });
                }
                Item::Failed { path, error } => {
                    report.emit(SendEvent::Failed { path: &path, file: None, error: &error });
                }
            }
        }
    }
    Ok(report.summary())
}
