//! Finding out what a server speaks.

use alloc::format;
use alloc::string::String;

use super::answer::HttpAnswer;
use super::judge::{Judgement, judge, retry_after_ms};
use super::redirect::{self, Redirect};
use super::request::{Method, Request};
use super::server::Server;
use super::step::Pause;
use super::url::HttpUrl;
use crate::Refusal;

/// The question to a server what it speaks.
#[derive(Clone, Debug)]
pub struct Discovery {
    url: HttpUrl,
    target: String,
    redirects: u32,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discovered {
    /// What it speaks.
    Server(Server),
    /// Ask again, with [`Discovery::request`].
    Again,
    /// Ask again after a pause.
    Wait(Pause),
    /// It sends the request somewhere else.
    Refused(Refusal),
}

impl Discovery {
    /// Asks the server at an address.
    pub fn new(url: &HttpUrl) -> Self {
        Self { url: url.clone(), target: String::from(url.path()), redirects: 0 }
    }

    /// The request to send.
    pub fn request(&self) -> Request {
        Request::new(Method::Options, &self.target)
    }

    /// A server that does not want to be asked may take files all the same: it is offered them.
    pub fn handle_answer(&mut self, answer: &HttpAnswer) -> Discovered {
        match redirect::of(&self.url, &self.target, answer, self.redirects) {
            Redirect::None => {}
            Redirect::Follow(target) => {
                self.redirects += 1;
                self.target = target;
                return Discovered::Again;
            }
            Redirect::Refused(refusal) => return Discovered::Refused(refusal),
        }
        match judge(answer) {
            Judgement::Later(refusal) => {
                let detail = refusal.detail.unwrap_or_default();
                let detail = format!("asked what it speaks: {detail}");
                let refusal = Some(Refusal::new(refusal.code, detail));
                Discovered::Wait(Pause { refusal, at_least_ms: retry_after_ms(answer) })
            }
            Judgement::Done | Judgement::Never(_) => Discovered::Server(Server::of(answer)),
        }
    }
}
