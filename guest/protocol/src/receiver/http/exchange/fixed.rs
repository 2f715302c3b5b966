//! An exchange whose answer is known from the head alone.

use super::{Exchange, Intake};
use crate::receiver::http::answer::Answer;
use crate::receiver::http::fields::Fields;
use crate::receiver::io::Io;
use crate::{Refusal, UploadId};

pub(in crate::receiver::http) struct Fixed(Option<Answer>);

impl Fixed {
    pub(in crate::receiver::http) fn new(answer: Answer) -> Self {
        Self(Some(answer))
    }
}

impl Exchange for Fixed {
    fn intake(&self) -> Intake {
        Intake::Skip
    }

    fn answer(&mut self) -> Option<Answer> {
        self.0.take()
    }

    fn handle_body_end(&mut self, _io: &mut Io, _trailers: &Fields) {}

    fn handle_cut(&mut self, _io: &mut Io, _why: &Refusal) {}

    fn handle_fault(&mut self, _io: &mut Io, _id: UploadId, _fault: Refusal) {}
}
