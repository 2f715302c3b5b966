//! `sandport ls`.

use std::time::{Duration, SystemTime};

use sandport_inbox::Identity;
use sandport_inbox::maintenance::{
    FileState, PartialFile, StoredFile, Unreadable, list, list_partials,
};
use serde_json::{Value, json};

use crate::args::{LsArgs, Talk};
use crate::console::{self, age, bytes, clean, count, json_line};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::results::Results;

/// In the place of the name of an upload of which nothing is kept yet: no file of an inbox has one with this.
const UNKNOWN: &str = "(begun, nothing is kept yet)";

/// Lists the files of an inbox.
pub(crate) fn run(args: &LsArgs, talk: &Talk) -> Result<Exit, Failure> {
    let files = list(&args.dir)?;
    let mut partials: Vec<_> = list_partials(&args.dir)?.collect();
    partials.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
    let now = SystemTime::now();
    let mut results = Results::new();
    let mut exit = Exit::Done;
    let (mut number, mut total) = (0, 0);
    if !talk.json && !talk.quiet {
        results.line(&row("SIZE", "AGE", "STATE", "FROM", "NAME"))?;
    }
    for file in files {
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                results.flush()?;
                exit = complain(&error);
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
    let mut unfinished = 0;
    for partial in &partials {
        match partial {
            Ok(partial) => {
                unfinished += 1;
                results.line(&if talk.json {
                    json_line(&json_of_partial(partial, now))
                } else {
                    words_of_partial(partial, now)
                })?;
            }
            Err(error) => {
                results.flush()?;
                exit = complain(error);
            }
        }
    }
    if talk.json {
        results.line(&json_line(&json!({
            "type": "summary",
            "files": number,
            "bytes": total,
            "partials": unfinished,
            "exit_code": exit as u8,
        })))?;
    }
    results.flush()?;
    if !talk.json && !talk.quiet {
        let mut line = format!("{}: {}", count(number, "file"), bytes(total));
        if unfinished > 0 {
            line.push_str(&format!("; {}", count(unfinished, "partial upload")));
        }
        console::talk(&line);
    }
    Ok(exit)
}

fn complain(error: &Unreadable) -> Exit {
    console::talk(&format!("error[cannot-read]: {}", clean(&error.to_string())));
    Exit::SomeFailed
}

fn name_of(partial: &Result<PartialFile, Unreadable>) -> Option<&str> {
    partial.as_ref().ok().and_then(|partial| partial.name.as_deref())
}

fn row(size: &str, age: &str, state: &str, from: &str, name: &str) -> String {
    format!("{size:>10}  {age:>5}  {state:<10}  {from:<10}  {name}")
}

fn words_of(file: &StoredFile, now: SystemTime) -> String {
    let since = file.changed.map_or_else(String::new, |then| age(elapsed(then, now)));
    let name = clean(&file.path.to_string_lossy());
    let from = file.identity.as_ref().map_or_else(|| String::from("-"), from);
    row(&bytes(file.size), &since, state(file), &from, &name)
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
        "identity": file.identity.as_ref().and_then(Identity::name),
    })
}

/// The size is what is here; how much of the whole, the state says.
fn words_of_partial(partial: &PartialFile, now: SystemTime) -> String {
    let since = partial.active.map_or_else(String::new, |then| age(elapsed(then, now)));
    let state = match percent(partial) {
        Some(percent) => format!("{percent} %"),
        None => String::from("partial"),
    };
    let name = partial.name.as_deref().map_or_else(|| UNKNOWN.to_owned(), clean);
    let from = partial.identity.as_ref().map_or_else(|| String::from("-"), from);
    row(&bytes(partial.kept), &since, &state, &from, &name)
}

/// How much of an upload is kept. Not all is done before it is stored.
fn percent(partial: &PartialFile) -> Option<u64> {
    let size = partial.size.filter(|size| *size > 0)?;
    let percent = u128::from(partial.kept) * 100 / u128::from(size);
    Some(u64::try_from(percent).unwrap_or(99).min(99))
}

fn json_of_partial(partial: &PartialFile, now: SystemTime) -> Value {
    json!({
        "type": "partial",
        "name": partial.name,
        "size": partial.size,
        "kept": partial.kept,
        "percent": percent(partial),
        "state": "partial",
        "begun": partial.begun.and_then(console::timestamp),
        "active": partial.active.and_then(console::timestamp),
        "age_s": partial.active.map(|then| elapsed(then, now).as_secs()),
        "identity": partial.identity.as_ref().and_then(Identity::name),
    })
}

/// Who sent it, as the records have it.
fn from(identity: &Identity) -> String {
    clean(&identity.to_string())
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
