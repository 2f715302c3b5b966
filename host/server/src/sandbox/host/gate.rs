//! `sandport:upload/gate`: limits, the challenge, the time of day, and identities.

#![allow(unreachable_pub, reason = "`bindgen!` re-exports the types behind its resources")]

use std::time::{SystemTime, UNIX_EPOCH};

use sandport_protocol as protocol;
use sandport_protocol::RefusalCode;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;

use crate::budget::Futile;
use crate::sandbox::bindings::sandport::upload::gate::{
    Credential, Host, HostAuthenticating, Limits,
};
use crate::sandbox::bindings::sandport::upload::types::{Identity, Refusal, Timestamp};
use crate::sandbox::convert;
use crate::sandbox::handles::{AuthenticatingHandle, Later};
use crate::sandbox::state::State;

impl Host for State {
    fn get_limits(&mut self) -> wasmtime::Result<Limits> {
        let limits = &self.connection.context.limits;
        Ok(Limits {
            classic: limits.classic,
            http: limits.http,
            http_origins: limits.http_origins.clone(),
            hosts: limits.hosts.clone(),
            settle_ms: limits.settle_ms,
            idle_timeout_ms: limits.idle_timeout_ms,
            size_max: limits.max_file_size,
            uploads_ahead_max: limits.max_uploads_ahead,
            bytes_ahead_max: limits.max_bytes_ahead,
            append_max: limits.max_append_size,
            expires_s: self.connection.context.inbox.expires_after().map(|after| after.as_secs()),
            algorithms: protocol::Algorithm::ALL
                .into_iter()
                .filter_map(convert::to_algorithm)
                .collect(),
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

    fn now(&mut self) -> wasmtime::Result<Timestamp> {
        Ok(timestamp(SystemTime::now()))
    }

    fn forwarded(&mut self, address: String) -> wasmtime::Result<Result<(), Refusal>> {
        self.connection.handle_greeting();
        let sender = &self.connection.sender;
        let asked = &mut self.asked;
        if sender.is_trusted_proxy() && (asked.forwarded || asked.credential || asked.inbox) {
            let words = "an address comes once, and before a credential and the first offer";
            let refusal = protocol::Refusal::new(RefusalCode::InvalidState, words);
            return Ok(Err(convert::to_refusal(refusal)));
        }
        if let Err(refusal) = self.connection.forward(&address) {
            return Ok(Err(convert::to_refusal(refusal)));
        }
        asked.forwarded = true;
        self.console.set_peer(sender.peer());
        Ok(Ok(()))
    }

    /// This host knows no identities, so no credential holds.
    fn authenticate(
        &mut self,
        _credential: Credential,
    ) -> wasmtime::Result<Resource<AuthenticatingHandle>> {
        self.connection.handle_greeting();
        let refusal = if self.asked.credential || self.asked.inbox {
            let words = "a credential comes once, and before the first offer";
            protocol::Refusal::new(RefusalCode::InvalidState, words)
        } else {
            RefusalCode::NotPermitted.into()
        };
        self.connection.fail(Futile::Credential);
        self.asked.credential = true;
        let answer = Later::here(refusal);
        Ok(self.table.push(AuthenticatingHandle(answer))?)
    }
}

impl HostAuthenticating for State {
    fn subscribe(
        &mut self,
        this: Resource<AuthenticatingHandle>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let later = self.table.get(&this)?.0.clone();
        later.subscribe(&mut self.table)
    }

    fn take(
        &mut self,
        this: Resource<AuthenticatingHandle>,
    ) -> wasmtime::Result<Option<Result<Identity, Refusal>>> {
        let refused = self.table.get(&this)?.0.take();
        Ok(refused.map(|refusal| Err(convert::to_refusal(refusal))))
    }

    fn drop(&mut self, this: Resource<AuthenticatingHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// Both sides of 1970.
fn timestamp(time: SystemTime) -> Timestamp {
    let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i128::from(after.as_secs()), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            match before.subsec_nanos() {
                0 => (-i128::from(before.as_secs()), 0),
                nanoseconds => (-i128::from(before.as_secs()) - 1, 1_000_000_000 - nanoseconds),
            }
        }
    };
    Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanoseconds }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_1970_has_whole_seconds_and_nanoseconds() {
        let time = UNIX_EPOCH - Duration::from_millis(1_500);
        let Timestamp { seconds, nanoseconds } = timestamp(time);
        assert_eq!((seconds, nanoseconds), (-2, 500_000_000));
        let Timestamp { seconds, nanoseconds } = timestamp(UNIX_EPOCH - Duration::from_secs(3));
        assert_eq!((seconds, nanoseconds), (-3, 0));
        let Timestamp { seconds, nanoseconds } = timestamp(UNIX_EPOCH + Duration::from_nanos(7));
        assert_eq!((seconds, nanoseconds), (0, 7));
    }
}
