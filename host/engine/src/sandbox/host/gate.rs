//! `sandport:upload/gate`: limits, the challenge, and identities.

use sandport_protocol::RefusalCode;

use crate::sandbox::bindings::sandport::upload::gate::{Credential, Host, Limits};
use crate::sandbox::bindings::sandport::upload::types::{Identity, Refusal};
use crate::sandbox::convert;
use crate::sandbox::state::State;

impl Host for State {
    fn get_limits(&mut self) -> wasmtime::Result<Limits> {
        let limits = &self.connection.context.limits;
        Ok(Limits {
            classic: limits.classic,
            settle_ms: limits.settle_ms,
            idle_timeout_ms: limits.idle_timeout_ms,
            size_max: limits.size_max,
            uploads_ahead_max: limits.uploads_ahead_max,
            bytes_ahead_max: limits.bytes_ahead_max,
        })
    }

    fn challenge(&mut self) -> wasmtime::Result<Vec<u8>> {
        if let Some(challenge) = self.challenge {
            return Ok(challenge.to_vec());
        }
        let mut challenge = [0_u8; 32];
        let mut filled = 0;
        while filled < challenge.len() {
            let rest = &mut challenge[filled..];
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
        }
        self.challenge = Some(challenge);
        Ok(challenge.to_vec())
    }

    /// This host knows no identities, so no credential holds.
    fn authenticate(
        &mut self,
        _credential: Credential,
    ) -> wasmtime::Result<Result<Identity, Refusal>> {
        Ok(Err(convert::to_refusal(RefusalCode::NotPermitted.into())))
    }
}
