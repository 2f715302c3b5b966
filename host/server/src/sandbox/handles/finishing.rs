//! What comes to its end by itself.

use sandport_protocol::Refusal;

use super::later::Later;

/// Something on its way to its end.
pub struct FinishingHandle(pub(in crate::sandbox) Later<Result<(), Refusal>>);

impl FinishingHandle {
    pub(in crate::sandbox) fn coming(
        end: impl Future<Output = Result<(), Refusal>> + Send + 'static,
    ) -> Self {
        Self(Later::coming(end))
    }
}
