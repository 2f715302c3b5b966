//! What the machine takes from the connection: reads, splices, and what is skipped.

use super::host::{EndOfInput, Host, Spliced};
use super::step::On;
use super::{Driver, UNSENT_BYTES_MAX};
use crate::UploadId;
use crate::receiver::Want;

impl<S: Host> Driver<S> {
    /// Does what the machine wants of the connection. `None`: something moved.
    pub(super) fn advance(&mut self, host: &mut S, unsent: usize) -> Option<On> {
        if unsent > UNSENT_BYTES_MAX {
            return Some(On::Nothing);
        }
        match self.machine.want() {
            Want::Read { max } => match host.read(max) {
                Ok(bytes) if bytes.is_empty() => Some(On::Input),
                Ok(bytes) => {
                    self.held_reads += 1;
                    let now = self.now(host);
                    self.machine.handle_input(now, bytes);
                    None
                }
                Err(EndOfInput) => self.end_of_input(host),
            },
            Want::Splice { id, max } => self.splice(host, id, max),
            Want::Skip { max } => self.skip(host, max),
            Want::Nothing => Some(On::Nothing),
        }
    }

    fn splice(&mut self, host: &mut S, id: UploadId, max: u64) -> Option<On> {
        let Some(upload) = self.uploads.get_mut(&id).filter(|upload| host.has_body(upload)) else {
            // The body could not be opened; the machine knows and skips from now on.
            return self.skip(host, max);
        };
        match host.splice(upload, max) {
            Ok(Spliced::NoRoom) => Some(self.no_room(host, id)),
            Ok(Spliced::NoInput | Spliced::Bytes(0)) => Some(On::Input),
            Ok(Spliced::Bytes(count)) => {
                let now = host.now();
                self.machine.handle_spliced(now, count);
                if let Some(fault) = host.fault(upload) {
                    self.machine.handle_fault(now, id, fault);
                } else if let Some(durable) = host.progress(upload) {
                    self.machine.handle_progress(now, id, durable);
                }
                None
            }
            Err(EndOfInput) => self.end_of_input(host),
        }
    }

    fn skip(&mut self, host: &mut S, max: u64) -> Option<On> {
        match host.skip(max) {
            Ok(0) => Some(On::Input),
            Ok(count) => {
                self.machine.handle_spliced(host.now(), count);
                None
            }
            Err(EndOfInput) => self.end_of_input(host),
        }
    }

    fn end_of_input(&mut self, host: &mut S) -> Option<On> {
        self.machine.handle_eof(host.now());
        None
    }
}
