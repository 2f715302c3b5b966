//! What becomes of files, as JSON.

use std::path::Path;

use sandport_client::{RestartReason, SendEvent, SendFile, Summary};
use sandport_protocol::EntryKind;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;

/// The line for an event; `None` for those that say nothing final about a file.
pub(super) fn of_event(event: &SendEvent) -> Option<Value> {
    Some(match event {
        SendEvent::Stored { file, receipt } => stored("stored", file, receipt),
        SendEvent::AlreadyStored { file, receipt } => stored("already-stored", file, receipt),
        SendEvent::StoredUnverified { file, name, size } => json!({
            "type": "stored",
            "path": path(&file.path),
            "name": name,
            "size": size,
            "digest": null,
            "verified": false,
        }),
        SendEvent::NotResumable => json!({"type": "not-resumable"}),
        SendEvent::DirectoryStored { file, receipt } => json!({
            "type": "directory",
            "path": path(&file.path),
            "name": receipt.name,
        }),
        SendEvent::Sent { file, size } => {
            json!({"type": "sent", "path": path(&file.path), "size": size, "verified": false})
        }
        SendEvent::Planned { file } => json!({
            "type": "planned",
            "path": path(&file.path),
            "name": file.name,
            "kind": if file.kind == EntryKind::Directory { "directory" } else { "file" },
            "size": file.size,
        }),
        SendEvent::Refused { file, refusal } => json!({
            "type": "refused",
            "path": path(&file.path),
            "code": refusal.code.as_str(),
            "detail": refusal.detail,
        }),
        SendEvent::Failed { path: failed, error, .. } => json!({
            "type": "failed",
            "path": path(failed),
            "code": error.code(),
            "error": error.to_string(),
        }),
        SendEvent::Unanswered { file, resumable } => json!({
            "type": "failed",
            "path": path(&file.path),
            "code": "unanswered",
            "resumable": resumable,
            "error": "the connection ended before the server had answered",
        }),
        SendEvent::Reconnecting { error, attempt, delay } => json!({
            "type": "reconnecting",
            "code": error.code(),
            "error": error.to_string(),
            "attempt": attempt,
            "delay_ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        }),
        SendEvent::ConnectionGivenUp { error, left } => json!({
            "type": "connection-given-up",
            "code": error.code(),
            "error": error.to_string(),
            "left": left,
        }),
        SendEvent::Resumed { file, kept } => {
            json!({"type": "resumed", "path": path(&file.path), "kept": kept})
        }
        SendEvent::Restarted { file, reason } => json!({
            "type": "restarted",
            "path": path(&file.path),
            "code": match reason {
                RestartReason::Changed => "changed",
                RestartReason::Damaged => "damaged",
                RestartReason::Gone => "gone",
                _ => "mixed",
            },
        }),
        SendEvent::Skipped { path: skipped, reason } => {
            json!({"type": "skipped", "path": path(skipped), "code": reason.code()})
        }
        SendEvent::ModifiedOmitted { file } => {
            json!({"type": "modified-omitted", "path": path(&file.path)})
        }
        _ => return None,
    })
}

/// The line for what ended the run early.
pub(super) fn of_failure(failure: &Failure) -> Value {
    json!({
        "type": "error",
        "code": failure.code,
        "error": failure.message,
        "hint": failure.hint,
    })
}

/// The last line.
pub(super) fn of_summary(summary: &Summary, exit: Exit) -> Value {
    json!({
        "type": "summary",
        "stored": summary.stored,
        "already_stored": summary.already_stored,
        "unverified": summary.unverified,
        "directories": summary.directories,
        "sent": summary.sent,
        "planned": summary.planned,
        "refused": summary.refused,
        "failed": summary.failed,
        "unanswered": summary.unanswered,
        "skipped": summary.skipped,
        "modified_omitted": summary.modified_omitted,
        "bytes": summary.bytes,
        "exit_code": exit as u8,
    })
}

fn stored(kind: &str, file: &SendFile, receipt: &sandport_protocol::Receipt) -> Value {
    json!({
        "type": kind,
        "path": path(&file.path),
        "name": receipt.name,
        "size": receipt.size,
        "digest": format!("{:?}", receipt.digest),
    })
}

/// JSON has Unicode text only: other bytes of a path are shown as the replacement character.
fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
