//! The sending end of uploads over HTTP: which request comes next, and what an answer means.
//!
//! Nothing here knows a connection. [`Discovery`] finds out what a server speaks; an [`HttpUpload`] brings one file
//! to it. Both say which [`Request`] to send, and are told the [`HttpAnswer`], or that the request was cut.
//!
//! > Call [`HttpUpload::poll_step`] and carry the step out; then [`HttpUpload::poll_event`] until it returns
//! > `None`; and so on until the step is [`HttpStep::Over`].

mod answer;
mod discovery;
mod encode;
mod judge;
mod offered;
mod redirect;
mod request;
mod said;
mod server;
mod speech;
mod step;
mod upload;
mod url;

pub use answer::{ANSWER_BYTES_MAX, HttpAnswer};
pub use discovery::{Discovered, Discovery};
pub use offered::Offered;
pub use request::{Content, Method, Request};
pub use said::Said;
pub use server::{Protocol, Server};
pub use step::{Anew, HttpEvent, HttpStep, Outcome, Pause};
pub use upload::{APPEND_BYTES_MAX, HttpUpload, KeptUrl, WHOLE_BYTES_MAX};
pub use url::{HttpUrl, HttpUrlError};
