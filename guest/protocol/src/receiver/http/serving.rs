//! One exchange being served: its body is brought to it, and its answers are brought to the client.

use alloc::boxed::Box;
use alloc::format;

use super::admission::Reply;
use super::answer::{Answer, Interim};
use super::audience::Audience;
use super::body::{Body, Next};
use super::exchange::{Exchange, Intake};
use super::problem::Problem;
use super::request::Content;
use crate::receiver::io::{Io, cut_off};
use crate::receiver::{LogLevel, Output, Want};
use crate::{Millis, READ_BYTES_MAX, Refusal};

pub(super) struct Serving {
    pub(super) exchange: Box<dyn Exchange>,
    body: Body,
    /// The exchange knows that the body is whole.
    has_ended: bool,
    /// Why the body does not come whole. The exchange has been told.
    cut: Option<Problem>,
    expects_continue: bool,
    reply: Reply,
    audience: Audience,
}

impl Serving {
    pub(super) fn new(
        exchange: Box<dyn Exchange>,
        content: Content,
        expects_continue: bool,
        reply: Reply,
        audience: Audience,
    ) -> Self {
        let body = Body::new(content);
        Self { exchange, body, has_ended: false, cut: None, expects_continue, reply, audience }
    }

    /// Goes on as far as it goes with what is in `io.input`.
    pub(super) fn run(&mut self, io: &mut Io) {
        while !io.out.is_closed() {
            while let Some(interim) = self.exchange.interim() {
                self.send_interim(io, &interim);
            }
            if self.cut.is_some() {
                return self.finish_cut(io);
            }
            if let Some(answer) = self.exchange.answer() {
                return self.finish(io, answer);
            }
            let intake = self.exchange.intake();
            if self.has_ended || intake == Intake::Wait {
                return;
            }
            self.send_continue(io);
            match self.body.next(&mut io.input) {
                Ok(Next::Payload(_)) if io.input.is_empty() => return,
                Ok(Next::Payload(left)) => {
                    let count = left.min(io.input.len() as u64);
                    let bytes = io.input.split_to(count as usize);
                    self.body.take(count);
                    match intake {
                        Intake::Upload(id) => {
                            io.out.push(Output::Write { id, bytes });
                            self.exchange.handle_moved(io, count);
                        }
                        Intake::Scan => self.exchange.handle_bytes(io, bytes),
                        Intake::Skip | Intake::Wait => {}
                    }
                }
                Ok(Next::More) => return,
                Ok(Next::End(trailers)) => {
                    self.has_ended = true;
                    self.exchange.handle_body_end(io, &trailers);
                }
                Err(problem) => return self.break_off(io, problem),
            }
        }
    }

    pub(super) fn handle_spliced(&mut self, io: &mut Io, count: u64) {
        let count = count.min(self.body.payload());
        self.body.take(count);
        if matches!(self.exchange.intake(), Intake::Upload(_)) {
            self.exchange.handle_moved(io, count);
        }
        self.run(io);
    }

    pub(super) fn handle_eof(&mut self, io: &mut Io) {
        // Of a client that shut its side down after its request nothing is wanted, and so this is not seen.
        self.break_off(io, Problem::ours(cut_off("within the body of a request")).status(400));
    }

    pub(super) fn handle_timeout(&mut self, io: &mut Io) {
        if self.is_clients_turn() && io.is_idle() {
            return self.break_off(io, Problem::ours(io.timeout()));
        }
        if self.exchange.poll_timeout(io).is_some_and(|due| io.now >= due) {
            self.exchange.handle_timeout(io);
            self.run(io);
        }
    }

    pub(super) fn poll_timeout(&self, io: &Io) -> Option<Millis> {
        let idle = self.is_clients_turn().then(|| io.idle_at());
        idle.into_iter().chain(self.exchange.poll_timeout(io)).min()
    }

    pub(super) fn want(&self, io: &Io) -> Want {
        let payload = self.body.payload();
        match self.exchange.intake() {
            _ if self.has_ended => Want::Nothing,
            Intake::Wait => Want::Nothing,
            _ if payload == 0 => Want::Read { max: self.body.read_bytes_max(io.input.len()) },
            Intake::Upload(id) => Want::Splice { id, max: payload },
            Intake::Skip => Want::Skip { max: payload },
            Intake::Scan => Want::Read { max: payload.min(READ_BYTES_MAX as u64) as usize },
        }
    }

    fn is_clients_turn(&self) -> bool {
        !self.has_ended && self.exchange.intake() != Intake::Wait
    }

    fn send_interim(&self, io: &mut Io, interim: &Interim) {
        if self.reply.takes_interim {
            io.out.send(&interim.encode());
        }
    }

    /// Lets a client send its body that waits to be told so. One that did not wait needs no word.
    fn send_continue(&mut self, io: &mut Io) {
        if core::mem::take(&mut self.expects_continue)
            && io.input.is_empty()
            && !self.body.is_over()
        {
            self.send_interim(io, &Interim::new(100));
        }
    }

    /// The body does not come whole.
    fn break_off(&mut self, io: &mut Io, problem: Problem) {
        if self.cut.is_some() {
            return;
        }
        self.exchange.handle_cut(io, problem.refusal());
        self.has_ended = true;
        self.cut = Some(problem);
        self.finish_cut(io);
    }

    /// Sends the answer to a body that does not come whole, once it is known.
    fn finish_cut(&mut self, io: &mut Io) {
        let answer = self.exchange.answer();
        if answer.is_none() && self.exchange.settles() {
            return;
        }
        let Some(problem) = self.cut.clone() else { return };
        let why = problem.refusal().clone();
        let answer = answer.unwrap_or_else(|| problem.answer(self.audience));
        let answer = answer.dated(io.unix_s());
        self.reply.keeps_alive = false;
        io.out.send(&answer.encode(&self.reply.fields, true, self.reply.is_head));
        io.out.close(Err(why));
    }

    /// Sends the answer. The connection goes on if all of the body was taken from it: what is left of it would be
    /// taken for the next request.
    fn finish(&mut self, io: &mut Io, answer: Answer) {
        let answer = answer.dated(io.unix_s());
        let goes_on = self.reply.keeps_alive && self.body.is_over() && !answer.closes;
        io.out.send(&answer.encode(&self.reply.fields, !goes_on, self.reply.is_head));
        if !goes_on {
            return io.out.close(answer.refusal.map_or(Ok(()), Err));
        }
        if let (Some(refusal), false) = (&answer.refusal, answer.is_heard_of) {
            io.out.log(LogLevel::Warn, refused(refusal));
        }
        io.out.next(io.input.len());
    }
}

fn refused(refusal: &Refusal) -> alloc::string::String {
    format!("refused a request: {refusal}")
}
