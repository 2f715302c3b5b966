//! `sandport ls`.

use std::time::{Duration, SystemTime};

use sandport::inbox::care::{FileState, StoredFile, list};
use serde_json::{Value, json};

use crate::args::{LsArgs, Talk};
use crate::console::{self, Results, age, bytes, clean, count, json_line};
use crate::exit::Exit;
use crate::failure::Failure;

/// Lists the files of an inbox.
pub(crate) fn run(args: &LsArgs, talk: &Talk) -> Result<Exit, Failure> {
    let files = list(&args.dir)?;
    let now = SystemTime::now();
    let mut results = Results::new();
    let mut exit = Exit::Done;
    let (mut number, mut total) = (0, 0);
    if !talk.json && !talk.quiet {
        results.line(&row("SIZE", "AGE", "STATE", "NAME"))?;
    }
    for file in files {
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                results.flush()?;
                console::talk(&format!("error[cannot-read]: {}", clean(&error.to_string())));
                exit = Exit::SomeFailed;
                continue;
            }
        };
        number += 1;
        total += file.size;
        let line = if talk.json { json_line(&json_of(&file, now)) } else { words_of(&file, now) };
        if !results.line(&line)? {
            return Ok(exit);
        }
    }
    if talk.json {
        let summary =
            json!({"type": "summary", "files": number, "bytes": total, "exit_code": exit as u8});
        results.line(&json_line(&summary))?;
    }
    results.flush()?;
    if !talk.json && !talk.quiet {
        console::talk(&format!("{}: {}", count(number, "file"), bytes(total)));
    }
    Ok(exit)
}

fn row(size: &str, age: &str, state: &str, name: &str) -> String {
    format!("{size:>10}  {age:>5}  {state:<10}  {name}")
}

fn words_of(file: &StoredFile, now: SystemTime) -> String {
    let since = file.changed.map_or_else(String::new, |then| age(elapsed(then, now)));
    let name = clean(&file.path.to_string_lossy());
    row(&bytes(file.size), &since, state(file), &name)
}

fn json_of(file: &StoredFile, now: SystemTime) -> Value {
    let digest = match file.state {
        FileState::Stored(digest) | FileState::Touched(digest) => Some(format!("{digest:?}")),
        _ => None,
    };
    json!({
        "type": "file",
        "name": file.path.to_string_lossy(),
        "size": file.size,
        "state": state(file),
        "digest": digest,
        "modified": file.modified.and_then(console::timestamp),
        "changed": file.changed.and_then(console::timestamp),
        "age_s": file.changed.map(|then| elapsed(then, now).as_secs()),
        // Senders are anonymous until there are identities.
        "identity": Value::Null,
    })
}

fn state(file: &StoredFile) -> &'static str {
    match file.state {
        FileState::Stored(_) => "stored",
        FileState::Touched(_) => "touched",
        _ => "unrecorded",
    }
}

/// What a clock that was set back shows as the future has no age.
fn elapsed(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}
