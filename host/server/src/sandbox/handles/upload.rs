//! Uploads that the guest holds.

use crate::sandbox::streams::WritesUnderWay;

/// An open upload.
pub struct UploadHandle {
    pub(in crate::sandbox) upload: sandport_inbox::Upload,
    pub(in crate::sandbox) name: Option<String>,
    pub(in crate::sandbox) writes: WritesUnderWay,
}

impl UploadHandle {
    pub(in crate::sandbox) fn new(upload: sandport_inbox::Upload, name: Option<String>) -> Self {
        Self { upload, name, writes: WritesUnderWay::default() }
    }
}
