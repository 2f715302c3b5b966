//! What becomes of the files, told in words or in JSON, and the exit code that it comes to.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use sandport_client::{SendEvent, Summary};

use super::progress::Progress;
use super::tally::Tally;
use super::{json, words};
use crate::args::Talk;
use crate::console::{self, json_line};
use crate::exit::Exit;
use crate::failure::{Failure, hint_of_event};

/// Lines are held back for so long at most while files arrive, and written together: thousands of
/// small files a second would otherwise cost a system call each.
const HOLD_BACK: Duration = Duration::from_millis(100);

/// And so much of them. Bytes.
const HELD_BYTES_MAX: usize = 32 * 1024;

/// Everything that a run of `send` says.
pub(super) struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    dry_run: bool,
    progress: Option<Progress>,
    started: Instant,
    tally: Tally,
    held: String,
    written: Instant,
    /// Codes whose hint was given.
    hinted: Vec<&'static str>,
    /// Whether a later run can resume something that this one has begun.
    resumable: bool,
}

impl Output {
    pub(super) fn new(talk: &Talk, dry_run: bool, stderr_is_terminal: bool) -> Self {
        let shows_progress = stderr_is_terminal && !talk.json && !talk.quiet && !dry_run;
        let now = Instant::now();
        Self {
            json: talk.json,
            quiet: talk.quiet,
            verbose: talk.verbose > 0,
            dry_run,
            progress: shows_progress.then(Progress::new),
            started: now,
            tally: Tally::default(),
            held: String::new(),
            written: now.checked_sub(HOLD_BACK).unwrap_or(now),
            hinted: Vec::new(),
            resumable: false,
        }
    }

    pub(super) fn shows_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Whether a later run can resume something that this one has begun.
    pub(super) fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// Something happened.
    pub(super) fn event(&mut self, event: &SendEvent) {
        self.judge(event);
        self.resumable |= matches!(event, SendEvent::Unanswered { resumable: true, .. });
        if let Some(progress) = &mut self.progress {
            progress.event(event);
        }
        if self.json {
            if let Some(value) = json::of_event(event) {
                self.result(&json_line(&value));
            }
        } else if let Some(name) = words::result_of(event) {
            self.result(&name);
        }
        if let Some(line) = words::talk_of(event, self.quiet, self.verbose) {
            self.talk(&line);
        }
        if let Some((code, hint)) = hint_of_event(event, self.quiet)
            && !self.hinted.contains(&code)
        {
            self.hinted.push(code);
            self.talk(&format!("hint: {hint}"));
        }
    }

    /// The end: of the connection by `failure`, or of the files.
    pub(super) fn finish(mut self, failure: Option<Failure>, summary: &Summary) -> Exit {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        let exit = failure.as_ref().map_or_else(|| self.tally.exit(), |failure| failure.exit);
        if self.json {
            if let Some(failure) = &failure {
                self.result(&json_line(&json::of_failure(failure)));
            }
            self.result(&json_line(&json::of_summary(summary, exit)));
        }
        self.write_held();
        if let Some(failure) = &failure {
            failure.print();
        }
        let is_worth_it = failure.is_none() || *summary != Summary::default();
        if is_worth_it && !self.json && !self.quiet {
            console::talk(&if self.dry_run {
                words::of_plan(summary)
            } else {
                words::of_summary(summary, self.started.elapsed())
            });
        }
        exit
    }

    fn judge(&mut self, event: &SendEvent) {
        match event {
            // A plan comes to what the run would, as far as it is known.
            SendEvent::Planned { .. }
            | SendEvent::Stored { .. }
            | SendEvent::AlreadyStored { .. }
            | SendEvent::StoredUnverified { .. }
            | SendEvent::DirectoryStored { .. }
            | SendEvent::Sent { .. } => {
                self.tally.arrived();
            }
            SendEvent::Refused { refusal, .. } => self.tally.failed(Exit::of_refusal(refusal.code)),
            SendEvent::Failed { .. } => self.tally.failed(Exit::LocalIo),
            _ => {}
        }
    }

    /// A line for standard output.
    fn result(&mut self, line: &str) {
        self.held.push_str(line);
        self.held.push('\n');
        if self.held.len() >= HELD_BYTES_MAX || self.written.elapsed() >= HOLD_BACK {
            self.write_held();
        }
    }

    /// A line for standard error.
    fn talk(&mut self, line: &str) {
        self.write_held();
        match &self.progress {
            Some(progress) => progress.beside(|| console::talk(line)),
            None => console::talk(line),
        }
    }

    fn write_held(&mut self) {
        self.written = Instant::now();
        if self.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let write = || {
            let mut stdout = io::stdout().lock();
            // Nobody reads it any more: the files are sent all the same.
            let _ = stdout.write_all(held.as_bytes()).and_then(|()| stdout.flush());
        };
        match &self.progress {
            Some(progress) => progress.beside(write),
            None => write(),
        }
    }
}
