//! HTTP/1.1, as far as uploads need it (RFC 9110, RFC 9112).
//!
//! An [`Http`] serves one request: where the connection goes on after it, another receiver does. What is parsed, in
//! this order: `head` the request line and the fields; `admission` what is checked of every request; `route` what
//! kind of request it is; `exchange` what becomes of it; `body` the framing of what it brings; `serving` brings the
//! three together.
//!
//! An answer that is given before the body was whole ends the connection. So nothing of a body can ever be taken
//! for another request.

use alloc::boxed::Box;

use bytes::Buf;

use super::io::{Io, cut_off};
use super::{Committed, Opened, Output, Status, Want};
use crate::{Authenticated, Millis, READ_BYTES_MAX, Refusal, UploadId};

mod admission;
mod answer;
mod audience;
mod body;
mod date;
mod digests;
mod exchange;
mod fields;
mod forwarded;
mod head;
mod key;
mod multipart;
mod naming;
mod off;
mod origin;
mod parameters;
mod problem;
mod request;
mod resource;
mod resumable;
mod route;
mod serving;
mod target;
mod tus;
mod uploads;

use admission::{Admitted, Rejected, Reply};
use exchange::Exchange;
pub(super) use off::{refusal as not_served, response as not_served_response};
use problem::Problem;
use serving::Serving;

/// The receiving end of one request.
pub(super) struct Http {
    stage: Stage,
    /// When the head has to be whole. A client that sends it byte by byte is as idle as a silent one.
    head_until: Millis,
}

enum Stage {
    /// The head is coming.
    Head,
    /// The gate is asked.
    Authenticating(Box<Admitted>),
    /// The body is coming, or the answer is.
    Serving(Box<Serving>),
}

impl Http {
    /// For a request whose first byte is in `io.input`.
    pub(super) fn new(io: &Io) -> Self {
        Self {
            stage: Stage::Head,
            head_until: io.now.saturating_add(io.limits.idle_timeout_ms.into()),
        }
    }

    /// Parses what is in `io.input`, as far as it goes.
    pub(super) fn process(&mut self, io: &mut Io) {
        match &mut self.stage {
            Stage::Head => match head::parse(&io.input) {
                Ok(None) => {}
                Ok(Some((head, length))) => {
                    io.input.advance(length);
                    match admission::admit(head, &io.limits, io.crossing) {
                        Ok(admitted) => self.admitted(io, admitted),
                        Err(rejected) => reject(io, *rejected),
                    }
                }
                Err(problem) => {
                    let rejected = Rejected::unread(problem, &io.input);
                    reject(io, rejected);
                }
            },
            Stage::Authenticating(_) => {}
            Stage::Serving(serving) => serving.run(io),
        }
    }

    pub(super) fn handle_spliced(&mut self, io: &mut Io, count: u64) {
        if let Stage::Serving(serving) = &mut self.stage {
            serving.handle_spliced(io, count);
        }
    }

    pub(super) fn handle_eof(&mut self, io: &mut Io) {
        match &mut self.stage {
            // Nothing was asked, so nothing failed.
            Stage::Head if io.input.is_empty() => io.out.close(Ok(())),
            Stage::Head => io.out.close(Err(cut_off("within the head of a request"))),
            // The answer comes before anything else, and the end will be seen again.
            Stage::Authenticating(_) => {}
            Stage::Serving(serving) => serving.handle_eof(io),
        }
    }

    pub(super) fn handle_timeout(&mut self, io: &mut Io) {
        match &mut self.stage {
            Stage::Head if io.now >= self.head_until => {
                let rejected = Rejected::unread(Problem::ours(io.timeout()), &io.input);
                reject(io, rejected);
            }
            Stage::Head | Stage::Authenticating(_) => {}
            Stage::Serving(serving) => serving.handle_timeout(io),
        }
    }

    pub(super) fn handle_authenticated(
        &mut self,
        io: &mut Io,
        outcome: Result<Authenticated, Refusal>,
    ) {
        let Stage::Authenticating(_) = self.stage else { return };
        let Stage::Authenticating(mut admitted) = core::mem::replace(&mut self.stage, Stage::Head)
        else {
            return;
        };
        match outcome {
            Ok(_) => {
                admitted.request.audience.is_authenticated = true;
                self.serve(io, *admitted);
            }
            Err(refusal) => {
                let audience = admitted.request.audience;
                let Reply { fields, is_head, .. } = admitted.reply;
                reject(io, Rejected { problem: Problem::of(refusal), audience, fields, is_head });
            }
        }
    }

    pub(super) fn handle_opened(
        &mut self,
        io: &mut Io,
        id: UploadId,
        opened: Result<Opened, Refusal>,
    ) {
        self.tell(io, |exchange, io| exchange.handle_opened(io, id, opened));
    }

    pub(super) fn handle_looked(&mut self, io: &mut Io, looked: Result<Option<Status>, Refusal>) {
        self.tell(io, |exchange, io| exchange.handle_looked(io, looked));
    }

    pub(super) fn handle_abandoned(&mut self, io: &mut Io, abandoned: Result<bool, Refusal>) {
        self.tell(io, |exchange, io| exchange.handle_abandoned(io, abandoned));
    }

    pub(super) fn handle_kept(&mut self, io: &mut Io, id: UploadId, kept: Result<(), Refusal>) {
        self.tell(io, |exchange, io| exchange.handle_kept(io, id, kept));
    }

    pub(super) fn handle_concatenated(
        &mut self,
        io: &mut Io,
        id: UploadId,
        concatenated: Result<(), Refusal>,
    ) {
        self.tell(io, |exchange, io| exchange.handle_concatenated(io, id, concatenated));
    }

    pub(super) fn handle_finished(
        &mut self,
        io: &mut Io,
        id: UploadId,
        finished: Result<(), Refusal>,
    ) {
        self.tell(io, |exchange, io| exchange.handle_finished(io, id, finished));
    }

    pub(super) fn handle_sized(&mut self, io: &mut Io, id: UploadId, sized: Result<(), Refusal>) {
        self.tell(io, |exchange, io| exchange.handle_sized(io, id, sized));
    }

    pub(super) fn handle_committed(
        &mut self,
        io: &mut Io,
        id: UploadId,
        outcome: Result<Committed, Refusal>,
    ) {
        self.tell(io, |exchange, io| exchange.handle_committed(io, id, outcome));
    }

    pub(super) fn handle_fault(&mut self, io: &mut Io, id: UploadId, fault: Refusal) {
        self.tell(io, |exchange, io| exchange.handle_fault(io, id, fault));
    }

    pub(super) fn handle_progress(&mut self, io: &mut Io, id: UploadId, durable: u64) {
        self.tell(io, |exchange, io| exchange.handle_progress(io, id, durable));
    }

    pub(super) fn want(&self, io: &Io) -> Want {
        match &self.stage {
            Stage::Head => Want::Read { max: READ_BYTES_MAX.saturating_sub(io.input.len()).max(1) },
            Stage::Authenticating(_) => Want::Nothing,
            Stage::Serving(serving) => serving.want(io),
        }
    }

    pub(super) fn poll_timeout(&self, io: &Io) -> Option<Millis> {
        match &self.stage {
            Stage::Head => Some(self.head_until),
            Stage::Authenticating(_) => None,
            Stage::Serving(serving) => serving.poll_timeout(io),
        }
    }

    fn admitted(&mut self, io: &mut Io, mut admitted: Admitted) {
        if let Some(address) = admitted.forwarded_for.take() {
            io.out.push(Output::Forwarded(address));
        }
        match admitted.credential.take() {
            Some(credential) => {
                io.out.push(Output::Authenticate(credential));
                self.stage = Stage::Authenticating(Box::new(admitted));
            }
            None => self.serve(io, admitted),
        }
    }

    fn serve(&mut self, io: &mut Io, admitted: Admitted) {
        let Admitted { request, expects_continue, reply, .. } = admitted;
        let exchange = route::begin(&request, io);
        let mut serving =
            Serving::new(exchange, request.content, expects_continue, reply, request.audience);
        serving.run(io);
        self.stage = Stage::Serving(Box::new(serving));
    }

    /// Tells the exchange something and goes on.
    fn tell(&mut self, io: &mut Io, what: impl FnOnce(&mut dyn Exchange, &mut Io)) {
        if let Stage::Serving(serving) = &mut self.stage {
            what(&mut *serving.exchange, io);
            serving.run(io);
        }
    }
}

/// Answers a request that is not served, and ends the connection.
fn reject(io: &mut Io, rejected: Rejected) {
    let Rejected { problem, audience, fields, is_head } = rejected;
    let refusal = problem.refusal().clone();
    let answer = problem.answer(audience).dated(io.unix_s());
    io.out.send(&answer.encode(&fields, true, is_head));
    io.out.close(Err(refusal));
}
