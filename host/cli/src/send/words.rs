//! What becomes of files, in words.

use std::path::Path;
use std::time::Duration;

use sandport_client::{RestartReason, SendEvent, SendFile, SkipReason, Summary};
use sandport_protocol::{EntryKind, Receipt};

use crate::console::{bytes, clean, count, seconds};

/// Less says nothing about the speed of a network. Bytes.
const RATED_BYTES_MIN: u64 = 1024 * 1024;

/// The line for standard output: the name under which a file is at the server now.
pub(super) fn result_of(event: &SendEvent) -> Option<String> {
    match event {
        SendEvent::Stored { receipt, .. } | SendEvent::AlreadyStored { receipt, .. } => {
            Some(clean(&receipt.name))
        }
        SendEvent::StoredUnverified { name, .. } => Some(clean(name)),
        SendEvent::Sent { file, .. } => Some(shown(&file.path)),
        SendEvent::Planned { file } => Some(planned(file)),
        _ => None,
    }
}

/// A file that would be sent: the name it is offered under, and its size.
fn planned(file: &SendFile) -> String {
    let name = file.name.as_deref().map_or_else(|| shown(&file.path), clean);
    match (file.kind, file.size) {
        (EntryKind::Directory, _) => format!("{name}/ (empty directory)"),
        (_, Some(size)) => format!("{name} ({})", bytes(size)),
        (_, None) => format!("{name} (size unknown)"),
    }
}

/// The line for standard error.
pub(super) fn talk_of(event: &SendEvent, quiet: bool, verbose: bool) -> Option<String> {
    Some(match event {
        SendEvent::Refused { file, refusal } => {
            let detail = refusal.detail.as_deref().unwrap_or("the server does not accept it");
            format!("error[{}]: {}: {}", refusal.code, shown(&file.path), clean(detail))
        }
        SendEvent::Failed { path, error, .. } => {
            format!("error[{}]: {}: {}", error.code(), shown(path), clean(&error.to_string()))
        }
        SendEvent::Reconnecting { error, delay, .. } if !quiet => {
            format!("{}; reconnecting in {}", clean(&error.to_string()), seconds(*delay))
        }
        SendEvent::ConnectionGivenUp { error, left } if !quiet => {
            let error = clean(&error.to_string());
            format!("{error}; continuing with {}", count(*left as u64, "connection"))
        }
        SendEvent::Resumed { file, kept } if !quiet => {
            format!("{}: resuming, the server already has {}", shown(&file.path), bytes(*kept))
        }
        SendEvent::Restarted { file, reason } if !quiet => {
            let why = match reason {
                RestartReason::Changed => "it has changed since the upload started",
                RestartReason::Damaged => "the server had other content",
                RestartReason::Gone => "the server does not know the upload any more",
                _ => "the server has another upload with its resume key",
            };
            format!("{}: {why}; sending it from the beginning", shown(&file.path))
        }
        SendEvent::Skipped { path, reason: SkipReason::SymbolicLink } if !quiet => {
            format!("skipped {}: it is a symbolic link", shown(path))
        }
        SendEvent::Skipped { path, reason: SkipReason::InboxState } if !quiet => {
            format!("skipped {}: it is the state of an inbox", shown(path))
        }
        SendEvent::Skipped { path, reason: SkipReason::OwnArrival } if !quiet => format!(
            "skipped {}: it is in an inbox, where the files of this command may arrive",
            shown(path)
        ),
        SendEvent::Skipped { path, reason: SkipReason::EmptyDirectory } if !quiet => {
            format!("skipped {}: an empty directory cannot be sent over HTTP", shown(path))
        }
        SendEvent::NotResumable if !quiet => String::from(
            "warning: the server takes each file in one request: what is cut is sent from its beginning",
        ),
        SendEvent::ModifiedOmitted { file } if verbose => {
            format!("{}: cannot send its modification time", shown(&file.path))
        }
        // Asked for, so no news.
        SendEvent::Skipped { path, reason: SkipReason::Excluded } if verbose => {
            format!("left out {}: it matches --exclude", shown(path))
        }
        SendEvent::Unanswered { file, .. } if verbose => {
            format!("no answer: {}", shown(&file.path))
        }
        SendEvent::Connected { agent } if verbose => format!("connected to {}", clean(agent)),
        SendEvent::Started { file } if verbose => match &file.name {
            Some(name) => format!("sending {} as {}", shown(&file.path), clean(name)),
            None => format!("sending {}", shown(&file.path)),
        },
        SendEvent::Stored { file, receipt } if !quiet => renaming(file, receipt)?,
        SendEvent::AlreadyStored { file, receipt } if verbose => match renaming(file, receipt) {
            Some(renaming) => format!("already stored: {renaming}"),
            None => format!("already stored: {}", shown(&file.path)),
        },
        SendEvent::AlreadyStored { file, receipt } if !quiet => renaming(file, receipt)?,
        _ => return None,
    })
}

/// The name that a file was sent under and the one that it got, where they differ.
fn renaming(file: &SendFile, receipt: &Receipt) -> Option<String> {
    let sent_as = file.name.as_ref().filter(|name| **name != receipt.name)?;
    Some(format!("{} -> {}", clean(sent_as), clean(&receipt.name)))
}

/// The last line of a dry run.
pub(super) fn of_plan(summary: &Summary) -> String {
    let mut parts = vec![format!("{} to send", count(summary.planned, "file"))];
    push_others(&mut parts, summary);
    format!("{}: {}; nothing was sent", parts.join(", "), bytes(summary.bytes))
}

/// The last line.
pub(super) fn of_summary(summary: &Summary, elapsed: Duration) -> String {
    let mut parts = Vec::new();
    if summary.stored > 0 || (summary.sent == 0 && summary.unverified == 0) {
        parts.push(format!("{} stored and verified", count(summary.stored, "file")));
    }
    if summary.unverified > 0 {
        parts.push(format!("{} stored, not verified", count(summary.unverified, "file")));
    }
    if summary.sent > 0 {
        parts.push(format!("{} sent, not verified", count(summary.sent, "file")));
    }
    push_others(&mut parts, summary);
    // What was there already was not sent, so it says nothing about the speed of a network.
    let was_sent = summary.stored > 0 || summary.sent > 0;
    let rate = if was_sent { rate(summary.bytes, elapsed) } else { String::new() };
    format!("{}: {} in {}{rate}", parts.join(", "), bytes(summary.bytes), seconds(elapsed))
}

/// What there was besides files that arrived.
fn push_others(parts: &mut Vec<String>, summary: &Summary) {
    if summary.directories > 0 {
        parts.push(count(summary.directories, "empty directory"));
    }
    for (number, what) in [
        (summary.already_stored, "already stored"),
        (summary.refused, "refused"),
        (summary.failed, "failed"),
        (summary.unanswered, "without answer"),
        (summary.skipped, "skipped"),
        (summary.modified_omitted, "without modification time"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
}

/// `, 12 MiB/s`, where there was something to measure.
fn rate(sent: u64, elapsed: Duration) -> String {
    let per_second = sent as f64 / elapsed.as_secs_f64();
    if sent < RATED_BYTES_MIN || !per_second.is_finite() {
        return String::new();
    }
    format!(", {}/s", bytes(per_second as u64))
}

fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::hint_of_event;

    #[test]
    fn the_summary_says_what_was_verified_and_what_was_not() {
        let mut summary = Summary::default();
        summary.stored = 2;
        summary.already_stored = 3;
        summary.refused = 1;
        summary.bytes = 2 << 20;
        assert_eq!(
            of_summary(&summary, Duration::from_secs(2)),
            "2 files stored and verified, 3 already stored, 1 refused: 2.0 MiB in 2 s, 1.0 MiB/s"
        );
        let mut again = Summary::default();
        again.already_stored = 1;
        again.bytes = 2 << 20;
        assert_eq!(
            of_summary(&again, Duration::from_secs(2)),
            "0 files stored and verified, 1 already stored: 2.0 MiB in 2 s"
        );
        let mut planned = Summary::default();
        planned.planned = 2;
        planned.skipped = 1;
        planned.bytes = 2 << 20;
        assert_eq!(of_plan(&planned), "2 files to send, 1 skipped: 2.0 MiB; nothing was sent");
        planned.modified_omitted = 2;
        assert_eq!(
            of_plan(&planned),
            "2 files to send, 1 skipped, 2 without modification time: 2.0 MiB; nothing was sent"
        );
        let mut other = Summary::default();
        other.unverified = 1;
        assert_eq!(
            of_summary(&other, Duration::from_millis(100)),
            "1 file stored, not verified: 0 B in 0.1 s"
        );
        let mut classic = Summary::default();
        classic.sent = 1;
        assert_eq!(
            of_summary(&classic, Duration::from_millis(100)),
            "1 file sent, not verified: 0 B in 0.1 s"
        );
    }

    #[test]
    fn what_is_left_out_of_an_inbox_is_said_with_what_to_do() {
        let skipped = |reason| SendEvent::Skipped { path: "t/in/t".into(), reason };
        let own = skipped(SkipReason::OwnArrival);
        let line = talk_of(&own, false, false);
        assert!(line.is_some_and(|line| line.starts_with("skipped t/in/t: it is in an inbox")));
        assert!(
            hint_of_event(&own, false)
                .is_some_and(|(_, hint)| hint.contains("name it on the command line"))
        );
        let state = skipped(SkipReason::InboxState);
        assert!(talk_of(&state, false, false).is_some() && hint_of_event(&state, false).is_none());
        for event in [own, state] {
            assert!(
                talk_of(&event, true, false).is_none() && hint_of_event(&event, true).is_none()
            );
        }
    }
}
