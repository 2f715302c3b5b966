//! Bodies that count when they are found to be what they should be, and not before.
//!
//! Their bytes are written to their place as they come, and the groups are the body's alone meanwhile, as those of any
//! body are. But the ledger hears nothing of them before the digest of all of them is known and right. Where it never
//! is, the groups are given back as they were, and what lies there is worth nothing: it is written over, or freed.

use super::checked::{CHECKED_MAX, Checked};
use super::ids::{BodyId, SessionId};
use super::machine::{Upload, lost};
use super::mutation::{Mutant, is};
use crate::{Extent, Millis, Refusal, RefusalCode};

impl Upload {
    /// Begins a body whose bytes are not here before [`Self::end_checked`] has found that they are what they should
    /// be. They are in no step: there is room for all of it.
    ///
    /// # Errors
    /// As of [`Self::body`]. `too-many`: [`CHECKED_MAX`] are begun, or very many have failed. `too-large`: beyond
    /// [`CHECKED_BYTES_MAX`](super::CHECKED_BYTES_MAX).
    pub fn body_checked(&mut self, session: SessionId, extent: Extent) -> Result<BodyId, Refusal> {
        if self.bodies.checked() >= CHECKED_MAX || self.ledger.is_littered() {
            let words = "too many bodies of the upload are being checked";
            return Err(Refusal::new(RefusalCode::TooMany, words));
        }
        let checked = Checked::new(extent.offset);
        if let Some(length) = extent.length {
            checked.check(extent.offset.saturating_add(length))?;
        }
        let id = self.body(session, extent)?;
        self.bodies.check(id, checked);
        Ok(id)
    }

    /// A checked body has ended, and all grants of it have come back. Its bytes are here if the digest of what it has
    /// brought, by whatever algorithm, is the `expected` one.
    ///
    /// # Errors
    /// `digest-mismatch`: it is another; nothing of it has come, and the upload goes on. `locked`: the session has
    /// lost the upload, or met a fault. `invalid-state`: nobody has said that it is to be checked. What the body has
    /// met.
    pub fn end_checked<D: PartialEq>(
        &mut self,
        id: BodyId,
        found: D,
        expected: D,
        now: Millis,
    ) -> Result<(), Refusal> {
        let ended = self.take_checked(id, found, expected, now);
        self.advance(now);
        ended
    }

    fn take_checked<D: PartialEq>(
        &mut self,
        id: BodyId,
        found: D,
        expected: D,
        now: Millis,
    ) -> Result<(), Refusal> {
        let Some(body) = self.bodies.open(id) else { return Err(lost()) };
        if body.is_lent || body.check.is_none() {
            return Err(RefusalCode::InvalidState.into());
        }
        let fault = body.check.as_ref().and_then(|checked| checked.fault.clone());
        if fault.is_some() || (found != expected && !is(Mutant::TrustsChecks)) {
            self.end(id);
            let words = "what a body brought is not what its digest was computed of";
            let mismatch = || Refusal::new(RefusalCode::DigestMismatch, words);
            return Err(fault.unwrap_or_else(mismatch));
        }
        if let Some(checked) = body.check.take() {
            let bytes = checked.end - checked.start;
            self.ledger.accept(checked);
            self.step.let_in(bytes);
            self.step.came(bytes, now);
        }
        self.end(id);
        Ok(())
    }
}
