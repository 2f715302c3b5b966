//! How a native connection comes to its end: what is open is discarded, or released where it can be
//! resumed, what is being committed is answered, then a goodbye where one is due.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::Output;
use super::super::io::Io;
use super::{Ending, Native, Stage, Upload, presentable};
use crate::extents::Order;
use crate::wire::ReceiverMessage;
use crate::{Refusal, RefusalCode, UploadId};

impl Native {
    /// Ends the connection, and tells the sender why.
    pub(super) fn fail(&mut self, io: &mut Io, refusal: Refusal) {
        self.wind_up(io, Ending { goodbye: true, result: Err(presentable(refusal)) });
    }

    /// Ends the connection without a word, because the sender has ended it.
    pub(super) fn end(&mut self, io: &mut Io, result: Result<(), Refusal>) {
        self.wind_up(io, Ending { goodbye: false, result });
    }

    /// The sender broke the grammar.
    pub(super) fn malformed(&mut self, io: &mut Io, detail: impl Into<String>) {
        self.fail(io, Refusal::new(RefusalCode::Malformed, detail));
    }

    /// The sender sent a message that makes no sense now.
    pub(super) fn out_of_place(&mut self, io: &mut Io, what: &str) {
        self.fail(io, Refusal::new(RefusalCode::InvalidState, what));
    }

    /// Closes, if that was decided and nothing is waited for any more.
    pub(super) fn conclude(&mut self, io: &mut Io) {
        if self.commits > 0 {
            return;
        }
        let Stage::Ending(Ending { goodbye, result }) = &mut self.stage else { return };
        let result = core::mem::replace(result, Ok(()));
        if let (true, Err(refusal)) = (*goodbye, &result) {
            self.send(io, &ReceiverMessage::Goodbye(refusal.clone()));
        }
        io.out.close(result);
    }

    /// The first reason to end is the one that counts.
    fn wind_up(&mut self, io: &mut Io, ending: Ending) {
        if matches!(self.stage, Stage::Ending(_)) {
            return;
        }
        let open: Vec<UploadId> = self
            .uploads
            .iter()
            .filter(|(_, upload)| !matches!(upload, Upload::Committing))
            .map(|(&id, _)| id)
            .collect();
        for id in open {
            if let Some(Upload::Receiving { account, .. }) = self.uploads.remove(&id) {
                io.out.push(match account.order() {
                    Order::Ascending => Output::Discard { id, reason: None },
                    Order::Any => Output::Release { id },
                });
            }
        }
        io.input.clear();
        self.stage = Stage::Ending(ending);
        self.conclude(io);
    }
}
