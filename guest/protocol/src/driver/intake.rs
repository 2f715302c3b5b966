//! What the machine takes from the connection: reads, splices, and what is skipped.

use super::shell::{EndOfInput, Shell, Spliced};
use super::step::On;
use super::{Driver, UNSENT_BYTES_MAX};
use crate::UploadId;
use crate::receiver::Want;

impl<S: Shell> Driver<S> {
    /// Does what the machine wants of the connection. `None`: something moved.
    pub(super) fn advance(&mut self, shell: &mut S, unsent: usize) -> Option<On> {
        if unsent > UNSENT_BYTES_MAX {
            return Some(On::Nothing);
        }
        match self.machine.want() {
            Want::Read { max } => match shell.read(max) {
                Ok(bytes) if bytes.is_empty() => Some(On::Input),
                Ok(bytes) => {
                    self.held_reads += 1;
                    let now = self.now(shell);
                    self.machine.handle_input(now, bytes);
                    None
                }
                Err(EndOfInput) => self.end_of_input(shell),
            },
            Want::Splice { id, max } => self.splice(shell, id, max),
            Want::Skip { max } => self.skip(shell, max),
            Want::Nothing => Some(On::Nothing),
        }
    }

    fn splice(&mut self, shell: &mut S, id: UploadId, max: u64) -> Option<On> {
        let Some(upload) = self.uploads.get_mut(&id).filter(|upload| shell.has_body(upload)) else {
            // The body could not be opened; the machine knows and skips from now on.
            return self.skip(shell, max);
        };
        match shell.splice(upload, max) {
            Ok(Spliced::NoRoom) => Some(self.no_room(shell, id)),
            Ok(Spliced::NoInput | Spliced::Bytes(0)) => Some(On::Input),
            Ok(Spliced::Bytes(count)) => {
                let now = shell.now();
                self.machine.handle_spliced(now, count);
                if let Some(fault) = shell.fault(upload) {
                    self.machine.handle_fault(now, id, fault);
                } else if let Some(durable) = shell.progress(upload) {
                    self.machine.handle_progress(now, id, durable);
                }
                None
            }
            Err(EndOfInput) => self.end_of_input(shell),
        }
    }

    fn skip(&mut self, shell: &mut S, max: u64) -> Option<On> {
        match shell.skip(max) {
            Ok(0) => Some(On::Input),
            Ok(count) => {
                self.machine.handle_spliced(shell.now(), count);
                None
            }
            Err(EndOfInput) => self.end_of_input(shell),
        }
    }

    fn end_of_input(&mut self, shell: &mut S) -> Option<On> {
        self.machine.handle_eof(shell.now());
        None
    }
}
