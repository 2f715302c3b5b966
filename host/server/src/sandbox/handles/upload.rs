//! Uploads that the guest holds.

use tracing::Span;

use crate::budget::Charge;
use crate::sandbox::spans;
use crate::sandbox::streams::WritesUnderWay;

/// An open upload.
pub struct UploadHandle {
    pub(in crate::sandbox) upload: sandport_inbox::Upload,
    pub(in crate::sandbox) name: Option<String>,
    pub(in crate::sandbox) writes: WritesUnderWay,
    pub(in crate::sandbox) span: Span,
    /// What it takes of memory.
    pub(in crate::sandbox) charge: Charge,
}

impl UploadHandle {
    pub(in crate::sandbox) fn new(
        upload: sandport_inbox::Upload,
        name: Option<String>,
        charge: Charge,
    ) -> Self {
        let span = spans::upload(name.as_deref());
        Self { upload, name, writes: WritesUnderWay::default(), span, charge }
    }
}
