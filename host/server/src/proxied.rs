//! Connections from proxies that say by the PROXY protocol whose they are.

use std::time::Duration;

use sandport_protocol::{Refusal, RefusalCode};
use tokio::sync::watch;

use super::phase::{Phase, reached};
use crate::budget::Seat;
use crate::net::{HeaderError, Stream, Told, read_header};
use crate::sandbox::Context;

/// How long a proxy may take for its header, which it sends with the connection: a few segments that are lost, and
/// sent again.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the header, where connections of this peer have one. `None`: the connection is over.
pub(super) async fn strip_header(
    mut stream: Stream,
    context: &Context,
    seat: &Seat,
    phase: &mut watch::Receiver<Phase>,
) -> Option<Stream> {
    if !context.proxies.expect_header(stream.place()) {
        return Some(stream);
    }
    let told = tokio::select! {
        told = tokio::time::timeout(HEADER_TIMEOUT, read_header(&stream)) => told,
        () = reached(phase, Phase::Draining) => return None,
    };
    let refusal = match told {
        Ok(Ok(Told::From(address))) => {
            stream.pass_on(address);
            return Some(stream);
        }
        Ok(Ok(Told::OwnAddress)) => return Some(stream),
        // To see whether somebody is there; or the peer is gone.
        Ok(Ok(Told::Nothing) | Err(HeaderError::Io(_))) => return None,
        Ok(Err(error @ HeaderError::Malformed(_))) => {
            Refusal::new(RefusalCode::Malformed, error.to_string())
        }
        Err(_) => Refusal::new(RefusalCode::Timeout, "no PROXY header was sent"),
    };
    context.refuse(seat.source(), stream.peer().clone(), refusal);
    None
}
