//! `sandport inspect`.

use std::io::{self, Write};

use sandport_server::{Cache, Inspection, Mode, ReceiverSource, inspect};
use serde_json::{Value, json};

use crate::args::{InspectArgs, Talk};
use crate::console::{self, bytes, clean, compiling, json_line};
use crate::exit::Exit;
use crate::failure::Failure;

/// Says what a component is; the exit code says whether it would run.
pub(crate) fn run(args: &InspectArgs, talk: &Talk) -> Result<Exit, Failure> {
    let source = args.file.clone().map_or_else(ReceiverSource::default, ReceiverSource::File);
    let slow = || {
        // In JSON, standard output has the one object that was asked for.
        if let (false, false, Some(file)) = (talk.json, talk.quiet, &args.file) {
            console::talk(&compiling(&file.to_string_lossy()));
        }
    };
    let found = inspect(&source, &Cache::Off, args.max_memory, slow)
        .map_err(|error| Failure::from(&error))?;
    let refusal = found.refusal.as_ref().map(Failure::from);
    let text = if talk.json {
        format!("{}\n", json_line(&as_json(&found, refusal.as_ref())))
    } else if talk.quiet {
        String::new()
    } else {
        in_words(&found)
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure::local("write to standard output", &error));
        }
        _ => {}
    }
    match refusal {
        // In JSON it is told already.
        Some(refusal) if talk.json => Ok(refusal.exit),
        Some(refusal) => Err(refusal),
        None => Ok(Exit::Done),
    }
}

fn in_words(found: &Inspection) -> String {
    let mut lines = vec![format!("{}: {}", clean(&found.name), bytes(found.size))];
    match found.mode {
        Some(Mode::PerConnection) => {
            lines.push(String::from("Mode: a fresh instance for each connection"));
        }
        Some(Mode::Resident) => lines.push(String::from(
            "Mode: resident, one instance that listens and serves all connections",
        )),
        _ => {}
    }
    let longest = found.imports.iter().map(|import| import.name.chars().count()).max();
    if !found.exports.is_empty() {
        lines.push(String::from("Exports:"));
        lines.extend(found.exports.iter().map(|name| format!("  {}", clean(name))));
    }
    if let Some(width) = longest {
        lines.push(String::from("Imports, and what they give access to:"));
        lines.extend(found.imports.iter().map(|import| {
            let reach = import.reach.unwrap_or("NOT GIVEN");
            format!("  {:width$}  {reach}", clean(&import.name))
        }));
    }
    let verdict = match found.refusal {
        None => "It would run.",
        Some(_) => "It would be refused.",
    };
    lines.push(String::from(verdict));
    lines.join("\n") + "\n"
}

fn as_json(found: &Inspection, refusal: Option<&Failure>) -> Value {
    let imports: Vec<Value> = found
        .imports
        .iter()
        .map(|import| {
            json!({
                "name": import.name,
                "given": import.reach.is_some(),
                "reach": import.reach,
            })
        })
        .collect();
    json!({
        "type": "inspection",
        "name": found.name,
        "size": found.size,
        "runs": refusal.is_none(),
        "mode": found.mode.map(Mode::as_str),
        "exports": found.exports,
        "imports": imports,
        "refusal": refusal.map(|refusal| json!({
            "code": refusal.code,
            "message": refusal.message,
            "hint": refusal.hint,
        })),
    })
}
