//! The sending end of uploads over HTTP: which request comes next, and what an answer means.
//!
//! Nothing here knows a connection. [`Discovery`] finds out what a server speaks; an [`HttpUpload`] brings one file
//! to it. Both say which [`Request`] to send, and are told the [`Answer`], or that the request was cut.
//!
//! > Call [`HttpUpload::poll_step`] and carry the step out; then [`HttpUpload::poll_event`] until it returns
//! > `None`; and so on until the step is [`Step::Over`].

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

pub use answer::{ANSWER_BYTES_MAX, Answer};
pub use discovery::{Discovery, Found};
pub use offered::Offered;
pub use request::{Content, Method, Request};
pub use said::Said;
pub use server::{Protocol, Server};
pub use step::{Anew, Event, Outcome, Pause, Step};
pub use upload::{APPEND_BYTES_MAX, HttpUpload, Kept, WHOLE_BYTES_MAX};
pub use url::{HttpUrl, HttpUrlError};
