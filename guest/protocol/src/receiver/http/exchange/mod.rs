//! What becomes of one request: an *exchange* takes its body in and gives the answer. It knows no connection.
//!
//! The connection calls the functions of [`Exchange`] as things happen, and asks after each call for
//! [`Exchange::interim`], [`Exchange::answer`] and [`Exchange::intake`], in this order. What an exchange asks of the
//! inbox it pushes to `io.out`, as every machine of a receiver does.

use bytes::Bytes;

use super::answer::{Answer, Interim};
use super::fields::Fields;
use crate::receiver::io::Io;
use crate::receiver::{Committed, Opened, Status};
use crate::{Millis, Refusal, UploadId};

pub(in crate::receiver::http) mod fixed;
pub(in crate::receiver::http) mod form;
mod part;
pub(in crate::receiver::http) mod put;
pub(in crate::receiver::http) mod results;

/// What the payload of the body is for, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) enum Intake {
    /// Nothing yet: the exchange waits for an answer of the inbox. Nothing is read meanwhile.
    Wait,
    /// It goes into the body of this upload, which was begun by an `Output::Body`. The connection splices it, or
    /// writes what came along with a head; [`Exchange::handle_moved`] tells how much.
    Upload(UploadId),
    /// The exchange reads it: [`Exchange::handle_bytes`].
    Scan,
    /// It is read and dropped.
    Skip,
}

/// One request, from its head to its answer.
///
/// The functions without a body here are those that every kind has; the others are for kinds that ask for what they
/// tell about. `id` is what the exchange gave the upload in its `Output::Open`.
pub(in crate::receiver::http) trait Exchange: Send {
    /// What the payload of the body is for, now.
    fn intake(&self) -> Intake;

    /// The final answer, once. Where the body has not come whole by then, the connection ends with it.
    fn answer(&mut self) -> Option<Answer>;

    /// The body came whole; `trailers` are the fields after it. Called once, when the intake is not
    /// [`Intake::Wait`], also for a request without a body. After it there is no more payload.
    fn handle_body_end(&mut self, io: &mut Io, trailers: &Fields);

    /// The body will not come whole: the connection ended, the sender was silent for too long, or the framing is
    /// broken. What came is released where it can be resumed, and discarded where not. An answer is still
    /// sent where the connection takes one; without one the connection answers with `why`, unless the exchange
    /// [settles](Exchange::settles).
    fn handle_cut(&mut self, io: &mut Io, why: &Refusal);

    /// Whether an answer comes though the body does not: what was whole before comes to its end first.
    fn settles(&self) -> bool {
        false
    }

    /// Payload, while the intake is [`Intake::Scan`].
    fn handle_bytes(&mut self, _io: &mut Io, _bytes: Bytes) {}

    /// This much payload went into the upload of [`Intake::Upload`], spliced or written.
    fn handle_moved(&mut self, _io: &mut Io, _count: u64) {}

    /// The answer to `Output::Open`.
    fn handle_opened(&mut self, _io: &mut Io, _id: UploadId, _opened: Result<Opened, Refusal>) {}

    /// The answer to `Output::Look`.
    fn handle_looked(&mut self, _io: &mut Io, _looked: Result<Option<Status>, Refusal>) {}

    /// The answer to `Output::Abandon`.
    fn handle_abandoned(&mut self, _io: &mut Io, _abandoned: Result<bool, Refusal>) {}

    /// The answer to `Output::Keep`.
    fn handle_kept(&mut self, _io: &mut Io, _id: UploadId, _kept: Result<(), Refusal>) {}

    /// The answer to `Output::Concatenate`.
    fn handle_concatenated(
        &mut self,
        _io: &mut Io,
        _id: UploadId,
        _concatenated: Result<(), Refusal>,
    ) {
    }

    /// The answer to `Output::Finish`.
    fn handle_finished(&mut self, _io: &mut Io, _id: UploadId, _finished: Result<(), Refusal>) {}

    /// The answer to `Output::SetSize`.
    fn handle_sized(&mut self, _io: &mut Io, _id: UploadId, _sized: Result<(), Refusal>) {}

    /// The answer to `Output::Commit`.
    fn handle_committed(
        &mut self,
        _io: &mut Io,
        _id: UploadId,
        _outcome: Result<Committed, Refusal>,
    ) {
    }

    /// A body of the upload failed, or could not be begun, or another connection took the upload over.
    fn handle_fault(&mut self, io: &mut Io, id: UploadId, fault: Refusal);

    /// This many bytes of an open upload are durable.
    fn handle_progress(&mut self, _io: &mut Io, _id: UploadId, _durable: u64) {}

    /// When to call [`Exchange::handle_timeout`]. The connection watches over a silent sender by itself.
    fn poll_timeout(&self, _io: &Io) -> Option<Millis> {
        None
    }

    /// The moment of [`Exchange::poll_timeout`] has come, or may have.
    fn handle_timeout(&mut self, _io: &mut Io) {}

    /// An interim answer, as long as there are some. It is not sent to a client of HTTP/1.0. `100 Continue` is not
    /// among them: the connection sends it by itself, when the intake is no longer [`Intake::Wait`].
    fn interim(&mut self) -> Option<Interim> {
        None
    }
}
