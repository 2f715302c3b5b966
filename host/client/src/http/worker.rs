//! One connection of a run: a file after the other.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::sender::http::{
    Anew, HttpEvent, HttpStep, HttpUpload, KeptUrl, Offered, Outcome, Pause, Protocol, Request,
    Said,
};
use sandport_protocol::{Receipt, Refusal, RefusalCode};
use tokio::time::{Instant, sleep_until};

use super::body::State;
use super::line::{Line, Load};
use super::payload::Payload;
use super::run::{Open, Run};
use super::urls::Place;
use super::verify::{DigestMatch, verify};
use crate::prepare::Item;
use crate::retries::{Progress, Retries};
use crate::shared::Shared;
use crate::{FileError, RestartReason, SendError, SendErrorKind, SendEvent, SendFile, SkipReason};

/// One connection, which is made when there is something to send, and made again when it was cut.
pub(super) struct Worker<'a> {
    run: &'a Run<'a>,
    line: Option<Line>,
    retries: Retries,
    brought: Progress,
    /// What has cut the last request.
    broken: SendError,
}

/// A file on its way.
struct Job {
    file: Arc<SendFile>,
    upload: HttpUpload,
    payload: Arc<Shared<Payload>>,
    place: Place,
}

/// How a job has ended, but for an error that ends the run.
enum End {
    Over(Outcome),
    Failed(FileError),
}

impl<'a> Worker<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Self {
        Self {
            run,
            line: None,
            retries: Retries::new(run.options.retries),
            brought: Progress::default(),
            broken: SendError::Cut,
        }
    }

    /// Sends what there is, until there is nothing left.
    ///
    /// # Errors
    /// What keeps the next file from being sent too.
    pub(super) async fn work(mut self) -> Result<(), SendError> {
        while let Some(item) = self.run.next().await {
            let report = self.run.report;
            match item {
                Item::Skipped { path, reason } => {
                    report.emit(SendEvent::Skipped { path, reason });
                }
                Item::Failed { path, error } => {
                    report.emit(SendEvent::Failed { path, file: None, error });
                }
                Item::Directory(file) => {
                    let reason = SkipReason::EmptyDirectory;
                    report.emit(SendEvent::Skipped { path: file.path, reason });
                }
                item => self.send(item).await?,
            }
        }
        Ok(())
    }

    async fn send(&mut self, item: Item) -> Result<(), SendError> {
        let report = self.run.report;
        let (mut file, payload) = match Payload::of(item) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err((file, error)) => {
                report.emit(SendEvent::Failed { path: file.path, file: None, error });
                return Ok(());
            }
        };
        let protocol = self.run.server.protocol;
        // There the address is the name; tus has names beside it.
        let is_named = protocol == Protocol::Tus || self.run.url.is_collection();
        if !is_named {
            file.name = self.run.url.file_name();
        }
        let mut file = Arc::new(file);
        report.start(&mut file);
        let (place, kept) = self.place(&file, &payload);
        let offered = Offered {
            name: file.name.clone().filter(|_| is_named),
            size: file.size,
            modified_ns: file.modified_ns,
        };
        let upload = HttpUpload::new(self.run.server, self.run.url, offered, kept);
        let payload = Arc::new(Shared::new(payload));
        let mut job = Job { file, upload, payload, place };
        self.note(&mut job);
        let end = self.bring(&mut job).await?;
        self.finish(job, end).await;
        Ok(())
    }

    /// Where the URL of an upload is kept, and the URL that an earlier run has left there.
    fn place(&self, file: &SendFile, payload: &Payload) -> (Place, Option<KeptUrl>) {
        let urls = &self.run.urls;
        let is_file = matches!(payload, Payload::Memory { .. } | Payload::File { .. });
        // Whether it still is what was found, reading it shows.
        match file.path.metadata() {
            Ok(metadata) if is_file => urls.of_file(file, &metadata),
            _ => (urls.of_stream(), None),
        }
    }

    /// Takes an upload to its end.
    async fn bring(&mut self, job: &mut Job) -> Result<End, SendError> {
        loop {
            let step = job.upload.poll_step();
            self.tell(job);
            match step {
                HttpStep::Over(outcome) => return Ok(End::Over(outcome)),
                HttpStep::Wait(pause) => {
                    if let Some(end) = self.pause(pause).await? {
                        return Ok(end);
                    }
                }
                HttpStep::Fetch => {
                    if let Err(error) = fetch(job).await {
                        return Ok(End::Failed(error));
                    }
                }
                HttpStep::Send(request) => {
                    if let Some(error) = self.request(job, &request).await? {
                        return Ok(End::Failed(error));
                    }
                }
                // The machine is of the same version as this crate.
                _ => return Ok(End::Over(Outcome::Lost)),
            }
            self.tell(job);
        }
    }

    /// Sends a request; what went wrong with the file, if something did.
    async fn request(
        &mut self,
        job: &mut Job,
        request: &Request,
    ) -> Result<Option<FileError>, SendError> {
        let state = Arc::new(State::default());
        let result = self.exchange(job, request, &state).await;
        self.brought.sent += state.sent();
        if let Some(error) = state.take_failure() {
            self.line = None;
            return Ok(Some(error));
        }
        match result {
            Ok(answer) => job.upload.handle_answer(&answer),
            Err(error) if error.kind() == SendErrorKind::Temporary => {
                self.line = None;
                self.broken = error;
                job.upload.handle_cut();
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    async fn exchange(
        &mut self,
        job: &Job,
        request: &Request,
        state: &Arc<State>,
    ) -> Result<sandport_protocol::sender::http::HttpAnswer, SendError> {
        let run = self.run;
        let mut kept = self.line.take();
        if let Some(line) = &mut kept
            && !line.is_usable().await
        {
            kept = None;
        }
        let mut line = match kept {
            Some(line) => line,
            None => Line::open(run.to, run.options).await?,
        };
        let offset = match request.content {
            sandport_protocol::sender::http::Content::Part { offset, .. } => offset,
            _ => 0,
        };
        let length = request.content.length();
        let mut sent = |count: u64| {
            let file = || Arc::clone(&job.file);
            run.report.emit(SendEvent::Progress { file: file(), sent: offset + count });
            if request.completes && Some(count) == length {
                run.report.emit(SendEvent::Verifying { file: file() });
            }
        };
        let load = Load { payload: &job.payload, state, sent: &mut sent };
        let answer = line.send(request, &run.url.authority(), Some(load), run.options).await?;
        self.line = Some(line);
        Ok(answer)
    }

    /// Waits before the next try, or says that there is none.
    async fn pause(&mut self, pause: Pause) -> Result<Option<End>, SendError> {
        self.retries.brought(std::mem::take(&mut self.brought));
        let next = self.retries.next();
        let error = match pause.refusal {
            Some(refusal) if next.is_none() => {
                return Ok(Some(End::Over(Outcome::Refused(refusal))));
            }
            Some(refusal) => SendError::NotNow(refusal),
            None => std::mem::replace(&mut self.broken, SendError::Cut),
        };
        let Some((attempt, delay)) = next else { return Err(error) };
        let delay = delay.max(Duration::from_millis(pause.at_least_ms));
        self.run.report.emit(SendEvent::Reconnecting { error, attempt, delay });
        sleep_until(Instant::now() + delay).await;
        Ok(None)
    }

    // ----------------------------------------------------------------- telling

    /// Tells what has happened to an upload, and keeps what a later run needs.
    fn tell(&mut self, job: &mut Job) {
        while let Some(event) = job.upload.poll_event() {
            let file = Arc::clone(&job.file);
            match event {
                HttpEvent::Begun { url } => job.place.keep(&url),
                HttpEvent::Forgotten => job.place.forget(),
                HttpEvent::Resumed { kept } => {
                    self.run.report.emit(SendEvent::Resumed { file, kept });
                }
                HttpEvent::Restarted(why) => {
                    let reason = match why {
                        Anew::Changed => RestartReason::Changed,
                        Anew::Damaged => RestartReason::Damaged,
                        _ => RestartReason::Gone,
                    };
                    self.run.report.emit(SendEvent::Restarted { file, reason });
                }
                HttpEvent::Safe { bytes } => self.brought.safe = self.brought.safe.max(bytes),
                _ => {}
            }
        }
        self.note(job);
    }

    /// Notes how an upload stands, for the end of a run that comes first.
    fn note(&self, job: &mut Job) {
        let resumable = job.place.is_kept();
        self.run.note(Open {
            file: job.file.clone(),
            resumable,
            cancel: if resumable { None } else { job.upload.cancel() },
        });
    }

    /// Reports the outcome.
    async fn finish(&mut self, mut job: Job, end: End) {
        let end = match end {
            End::Over(Outcome::Stored(said)) => match self.stored(&job, said).await {
                Ok(()) => None,
                Err(error) => Some(End::Failed(error)),
            },
            other => Some(other),
        };
        self.run.ended(job.file.number);
        let (file, report) = (Arc::clone(&job.file), self.run.report);
        match end {
            None => self.brought.has_outcome = true,
            Some(End::Over(Outcome::Refused(refusal))) => {
                report.emit(SendEvent::Refused { file, refusal });
            }
            Some(End::Over(_)) => {
                let error = FileError::StreamGone;
                let path = file.path.clone();
                report.emit(SendEvent::Failed { path, file: Some(file), error });
            }
            Some(End::Failed(error)) => {
                let path = file.path.clone();
                report.emit(SendEvent::Failed { path, file: Some(file), error });
                // What the server has is of a file that is no more.
                if let Some(request) = job.upload.cancel() {
                    self.run.cancel(&[request]).await;
                }
                job.place.forget();
            }
        }
    }

    /// Compares what the server says to have with what was sent, and reports it.
    async fn stored(&self, job: &Job, said: Said) -> Result<(), FileError> {
        let (file, report) = (Arc::clone(&job.file), self.run.report);
        let size = file.size.or_else(|| job.payload.lock().size()).unwrap_or(0);
        let name = said.name.clone().or_else(|| file.name.clone()).unwrap_or_default();
        match verify(&said, size, &job.payload).await? {
            DigestMatch::Same(digest) => {
                let receipt = Receipt { name, size, digest, proof: None };
                report.emit(match said.was_there {
                    true => SendEvent::AlreadyStored { file, receipt },
                    false => SendEvent::Stored { file, receipt },
                });
            }
            DigestMatch::Unknown => {
                report.emit(SendEvent::StoredUnverified { file, name, size });
            }
            DigestMatch::Different => {
                let words =
                    "the server has stored something else than was sent: its digest differs";
                let refusal = Refusal::new(RefusalCode::DigestMismatch, words);
                report.emit(SendEvent::Refused { file, refusal });
            }
        }
        Ok(())
    }
}

/// Reads the next block of a stream.
async fn fetch(job: &mut Job) -> Result<(), FileError> {
    // Nobody else has it between two requests.
    let taken = job.payload.replace(Payload::nothing());
    let Payload::Stream(mut blocks) = taken else {
        job.payload.replace(taken);
        return Err(FileError::StreamGone);
    };
    let fetched = blocks.fetch().await;
    job.upload.handle_content(blocks.range(), blocks.end().is_some());
    job.payload.replace(Payload::Stream(blocks));
    fetched
}
