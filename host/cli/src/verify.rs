//! `sandport verify`.

use std::time::Instant;

use sandport_inbox::maintenance::{Checked, Integrity, verify};
use serde_json::{Value, json};

use crate::args::{Talk, VerifyArgs};
use crate::console::{self, bytes, clean, count, json_line, seconds};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::results::Results;

/// How many files came to what.
#[derive(Debug, Default)]
struct Tally {
    whole: u64,
    changed: u64,
    missing: u64,
    unrecorded: u64,
    unreadable: u64,
    /// Of files that were read.
    bytes: u64,
}

/// Reads all files and says which are not what was received.
pub(crate) fn run(args: &VerifyArgs, talk: &Talk) -> Result<Exit, Failure> {
    let started = Instant::now();
    let mut results = Results::new();
    let mut tally = Tally::default();
    for checked in verify(&args.dir)? {
        tally.count(&checked);
        let goes_on = if talk.json {
            results.line(&json_line(&json_of(&checked)))?
        } else if talk.verbose > 0 || !matches!(checked.integrity, Integrity::Whole) {
            results.line(&words_of(&checked))? && results.flush()?
        } else {
            true
        };
        if !goes_on {
            break;
        }
    }
    let exit = tally.exit(args.strict);
    if talk.json {
        results.line(&json_line(&tally.json(exit)))?;
    }
    results.flush()?;
    if !talk.json {
        if !talk.quiet {
            console::talk(&format!("{} in {}", tally.words(), seconds(started.elapsed())));
        }
        if tally.changed > 0 {
            console::talk(
                "hint: a changed file is damaged or was edited here; move it away, and its sender can send it \
                 again",
            );
        }
    }
    Ok(exit)
}

impl Tally {
    fn count(&mut self, checked: &Checked) {
        let (counter, was_read) = match checked.integrity {
            Integrity::Whole => (&mut self.whole, true),
            Integrity::Changed => (&mut self.changed, true),
            Integrity::Missing => (&mut self.missing, false),
            Integrity::Unrecorded => (&mut self.unrecorded, false),
            _ => (&mut self.unreadable, false),
        };
        *counter += 1;
        if was_read {
            self.bytes += checked.size;
        }
    }

    fn exit(&self, strict: bool) -> Exit {
        if self.changed > 0 || (strict && self.missing > 0) {
            Exit::Integrity
        } else if self.unreadable > 0 {
            Exit::SomeFailed
        } else {
            Exit::Done
        }
    }

    fn words(&self) -> String {
        let mut parts = vec![format!("{} as received", count(self.whole, "file"))];
        for (number, what) in [
            (self.changed, "changed"),
            (self.missing, "missing"),
            (self.unrecorded, "without a record"),
            (self.unreadable, "unreadable"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        format!("{}: {} read", parts.join(", "), bytes(self.bytes))
    }

    fn json(&self, exit: Exit) -> Value {
        json!({
            "type": "summary",
            "whole": self.whole,
            "changed": self.changed,
            "missing": self.missing,
            "unrecorded": self.unrecorded,
            "unreadable": self.unreadable,
            "bytes": self.bytes,
            "exit_code": exit as u8,
        })
    }
}

fn word(integrity: &Integrity) -> &'static str {
    match integrity {
        Integrity::Whole => "whole",
        Integrity::Changed => "changed",
        Integrity::Missing => "missing",
        Integrity::Unrecorded => "unrecorded",
        _ => "unreadable",
    }
}

fn words_of(checked: &Checked) -> String {
    let name = clean(&checked.path.to_string_lossy());
    match &checked.integrity {
        Integrity::Unreadable(error) => {
            format!("unreadable  {name}: {}", clean(&error.to_string()))
        }
        integrity => format!("{:<10}  {name}", word(integrity)),
    }
}

fn json_of(checked: &Checked) -> Value {
    let error = match &checked.integrity {
        Integrity::Unreadable(error) => Some(error.to_string()),
        _ => None,
    };
    json!({
        "type": word(&checked.integrity),
        "name": checked.path.to_string_lossy(),
        "size": checked.size,
        "error": error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(changed: u64, missing: u64, unreadable: u64) -> Tally {
        Tally { whole: 2, changed, missing, unreadable, ..Tally::default() }
    }

    #[test]
    fn a_changed_file_is_an_error_and_a_missing_one_if_strict() {
        assert_eq!(tally(0, 0, 0).exit(true), Exit::Done);
        assert_eq!(tally(1, 0, 1).exit(false), Exit::Integrity);
        assert_eq!(tally(0, 1, 0).exit(false), Exit::Done);
        assert_eq!(tally(0, 1, 0).exit(true), Exit::Integrity);
        assert_eq!(tally(0, 0, 1).exit(false), Exit::SomeFailed);
    }

    #[test]
    fn the_summary_names_what_there_was() {
        assert_eq!(tally(1, 0, 0).words(), "2 files as received, 1 changed: 0 B read");
    }
}
