//! What would be sent, without sending it.

use super::prepare::{self, Contents, Item};
use super::report::Report;
use super::{Options, SendError, SendEvent, Source, source};

/// Finds what would be sent, and reports it.
///
/// # Errors
/// [`SendError::ClassicDirectory`].
pub(super) async fn plan(
    sources: Vec<Source>,
    options: &Options,
    report: &Report,
) -> Result<(), SendError> {
    if options.classic {
        source::require_files(&sources)?;
    }
    let mut items = prepare::start(sources, options.selection.clone(), Contents::Leave, None);
    while let Some(batch) = items.recv().await {
        for item in batch {
            match item {
                Item::Directory(file)
                | Item::Small { file, .. }
                | Item::Large { file, .. }
                | Item::Stream { file, .. } => report.plan(file),
                Item::Skipped { path, reason } => report.emit(SendEvent::Skipped { path, reason }),
                Item::Failed { path, error } => {
                    report.emit(SendEvent::Failed { path, file: None, error });
                }
            }
        }
    }
    Ok(())
}
