//! Bodies of uploads.

use crate::sandbox::streams::{BodyEnd, BodyStream};

/// A body. Its stream ends it where nobody does before.
pub struct BodyHandle {
    pub(in crate::sandbox) end: BodyEnd,
    /// Until the guest has it.
    pub(in crate::sandbox) stream: Option<BodyStream>,
    pub(in crate::sandbox) watch: sandport_inbox::UploadWatch,
}

impl BodyHandle {
    pub(in crate::sandbox) fn new(
        end: BodyEnd,
        stream: BodyStream,
        watch: sandport_inbox::UploadWatch,
    ) -> Self {
        Self { end, stream: Some(stream), watch }
    }
}
