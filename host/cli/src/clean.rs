//! `sandport clean`.

use std::time::Duration;

use sandport_inbox::maintenance::{Cleaned, Leftover, LeftoverKind, clean};
use serde_json::{Value, json};

use crate::args::{CleanArgs, Talk};
use crate::console::{self, age, bytes, count, json_line};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::results::Results;

/// Removes what was left behind, and says what.
pub(crate) fn run(args: &CleanArgs, talk: &Talk) -> Result<Exit, Failure> {
    let cleaned = clean(&args.dir, args.expire_partial, args.dry_run)?;
    let exit = if cleaned.failed.is_empty() { Exit::Done } else { Exit::SomeFailed };
    let mut results = Results::new();
    for leftover in &cleaned.removed {
        results.line(&if talk.json {
            json_line(&json_of(leftover, args.dry_run))
        } else {
            words_of(leftover, args.dry_run)
        })?;
    }
    if talk.json {
        results.line(&json_line(&summary(&cleaned, args.dry_run, exit)))?;
    }
    results.flush()?;
    for error in &cleaned.failed {
        console::talk(&format!("error[cannot-remove]: {}", console::clean(&error.to_string())));
    }
    if !talk.json && !talk.quiet {
        console::talk(&last_line(&cleaned, args.dry_run));
    }
    Ok(exit)
}

fn words_of(leftover: &Leftover, dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let what = match leftover.kind {
        LeftoverKind::Partial => "partial upload of",
        LeftoverKind::Marker => "note about",
        _ => "leftover",
    };
    let path = leftover.path.to_string_lossy();
    let name = leftover.name.as_deref().unwrap_or(&path);
    format!(
        "{verb} {what} {} ({}, idle for {})",
        console::clean(name),
        bytes(leftover.bytes),
        age(Duration::from_secs(leftover.idle_s))
    )
}

fn json_of(leftover: &Leftover, dry_run: bool) -> Value {
    json!({
        "type": if dry_run { "would-remove" } else { "removed" },
        "kind": match leftover.kind {
            LeftoverKind::Partial => "partial",
            LeftoverKind::Marker => "marker",
            _ => "staged",
        },
        "path": leftover.path.to_string_lossy(),
        "name": leftover.name,
        "size": leftover.bytes,
        "idle_s": leftover.idle_s,
    })
}

fn freed(cleaned: &Cleaned) -> u64 {
    cleaned.removed.iter().map(|leftover| leftover.bytes).sum()
}

fn summary(cleaned: &Cleaned, dry_run: bool, exit: Exit) -> Value {
    json!({
        "type": "summary",
        "removed": if dry_run { 0 } else { cleaned.removed.len() },
        "bytes": freed(cleaned),
        "failed": cleaned.failed.len(),
        "partials_left": cleaned.left,
        "served": cleaned.served,
        "dry_run": dry_run,
        "exit_code": exit as u8,
    })
}

fn last_line(cleaned: &Cleaned, dry_run: bool) -> String {
    let what = count(cleaned.removed.len() as u64, "leftover");
    let size = bytes(freed(cleaned));
    let mut line = if dry_run {
        format!("{what} to remove: {size}; nothing was removed")
    } else {
        format!("{what} removed: {size}")
    };
    if cleaned.left > 0 {
        line.push_str(&format!("; {} left", count(cleaned.left, "partial upload")));
    }
    if cleaned.served {
        line.push_str("; skipped what the running server uses");
    }
    line
}
