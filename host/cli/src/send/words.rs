//! What becomes of files, in words.

use std::path::Path;
use std::time::Duration;

use sandport::protocol::RefusalCode;
use sandport::sender::{SendEvent, Summary};

use crate::console::{bytes, clean, count, seconds};

/// Less says nothing about the speed of a network. Bytes.
const RATED_BYTES_MIN: u64 = 1024 * 1024;

/// The line for standard output: the name under which a file is at the server now.
pub(super) fn result_of(event: &SendEvent<'_>) -> Option<String> {
    match event {
        SendEvent::Stored { receipt, .. } | SendEvent::AlreadyStored { receipt, .. } => {
            Some(clean(&receipt.name))
        }
        SendEvent::Sent { file, .. } => Some(shown(&file.path)),
        _ => None,
    }
}

/// The line for standard error.
pub(super) fn talk_of(event: &SendEvent<'_>, quiet: bool, verbose: bool) -> Option<String> {
    Some(match event {
        SendEvent::Refused { file, refusal } => {
            let detail = refusal.detail.as_deref().unwrap_or("the server does not take it");
            format!("error[{}]: {}: {}", refusal.code, shown(&file.path), clean(detail))
        }
        SendEvent::Failed { path, error, .. } => {
            format!("error[{}]: {}: {}", error.code(), shown(path), clean(&error.to_string()))
        }
        SendEvent::Skipped { path, .. } if !quiet => {
            format!("skipped {}: it is a symbolic link", shown(path))
        }
        SendEvent::Unanswered { file } if verbose => {
            format!("unanswered: {}", shown(&file.path))
        }
        SendEvent::Connected { agent } if verbose => format!("connected to {}", clean(agent)),
        SendEvent::Started { file } if verbose => match &file.name {
            Some(name) => format!("sending {} as {}", shown(&file.path), clean(name)),
            None => format!("sending {}", shown(&file.path)),
        },
        SendEvent::AlreadyStored { file, .. } if verbose => {
            format!("already stored: {}", shown(&file.path))
        }
        _ => return None,
    })
}

/// What to do about a refusal, under a word by which it is given once.
pub(super) fn hint_of(event: &SendEvent<'_>) -> Option<(&'static str, &'static str)> {
    let SendEvent::Refused { refusal, .. } = event else { return None };
    let hint = match refusal.code {
        RefusalCode::NameInvalid => "--name gives one file another name",
        RefusalCode::Exists => {
            "--name gives one file another name; whoever serves can set --conflict rename"
        }
        RefusalCode::TooLarge => "whoever serves can allow more with --max-file",
        RefusalCode::DigestMismatch => {
            "the bytes were damaged on the way or the file changed: send it again"
        }
        RefusalCode::InsufficientSpace | RefusalCode::Io | RefusalCode::Locked => {
            "run the same command again later: what is stored already is not sent twice"
        }
        _ => return None,
    };
    Some((refusal.code.as_str(), hint))
}

/// The last line.
pub(super) fn of_summary(summary: &Summary, elapsed: Duration) -> String {
    let mut parts = Vec::new();
    if summary.stored > 0 || summary.sent == 0 {
        parts.push(format!("{} stored and verified", count(summary.stored, "file")));
    }
    if summary.sent > 0 {
        parts.push(format!("{} sent, not verified", count(summary.sent, "file")));
    }
    if summary.directories > 0 {
        parts.push(count(summary.directories, "empty folder"));
    }
    for (number, what) in [
        (summary.already_stored, "already there"),
        (summary.refused, "refused"),
        (summary.failed, "failed"),
        (summary.unanswered, "without an answer"),
        (summary.skipped, "skipped"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let rate = rate(summary.bytes, elapsed);
    format!("{}: {} in {}{rate}", parts.join(", "), bytes(summary.bytes), seconds(elapsed))
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

    #[test]
    fn the_summary_says_what_was_verified_and_what_was_not() {
        let mut summary = Summary::default();
        summary.stored = 2;
        summary.already_stored = 3;
        summary.refused = 1;
        summary.bytes = 2 << 20;
        assert_eq!(
            of_summary(&summary, Duration::from_secs(2)),
            "2 files stored and verified, 3 already there, 1 refused: 2.0 MiB in 2 s, 1.0 MiB/s"
        );
        let mut classic = Summary::default();
        classic.sent = 1;
        assert_eq!(
            of_summary(&classic, Duration::from_millis(100)),
            "1 file sent, not verified: 0 B in 0.1 s"
        );
    }
}
