//! The beginning of a connection: whether it is encrypted, whether it has to be, and the handshake.

use std::io;
use std::time::Duration;

use rustls::{ProtocolVersion, ServerConnection};
use sandport_protocol::{Dialect, Refusal, RefusalCode};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{Tls, plaintext};
use crate::budget::{Deadlines, Fate, Futile, Limit, Met, Seat};
use crate::limits;
use crate::linger::linger;
use crate::net::{Session, Stream};
use crate::phase::{Phase, reached};
use crate::sandbox::Context;

/// How often it is looked at again whether a time is over, at least: the clock of a handshake may be set anew by what
/// happens meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What names a session: RFC 9266, section 2.
const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const BINDING_BYTES: usize = 32;

/// How a connection ended before it was a connection.
enum Ended {
    /// The peer has closed it, or the server stops: nobody is to be told.
    Silently,
    Limit(Limit),
    /// It is refused, and so counts against the peer.
    Refused(Refusal),
}

/// What a handshake needs to know of the server.
pub(crate) struct Rules<'a> {
    pub(crate) context: &'a Context,
    pub(crate) deadlines: Deadlines,
    pub(crate) met: &'a Met,
}

/// Ends TLS, where the connection begins with it, and refuses the ones that have to and do not. `None`: the connection
/// is over.
pub(crate) async fn secure(
    tls: Option<&Tls>,
    stream: Stream,
    rules: &Rules<'_>,
    seat: &Seat,
    phase: &mut watch::Receiver<Phase>,
) -> Option<Stream> {
    // Who offers no TLS requires none.
    let Some(tls) = tls else { return Some(stream) };
    let (peer, source) = (stream.peer().clone(), || seat.source());
    let ended = tokio::select! {
        begun = begin(tls, stream, rules, seat) => match begun {
            Ok(stream) => return Some(stream),
            Err(ended) => ended,
        },
        limit = met(rules.deadlines, seat) => Ended::Limit(limit),
        () = reached(phase, Phase::Draining) => Ended::Silently,
    };
    let refusal = match ended {
        Ended::Silently => return None,
        Ended::Limit(limit) => {
            // Silence from the beginning is one thing, however long it may last.
            let is_silent = limit == Limit::Silence && !seat.pulse.has_spoken();
            let limit = if is_silent { Limit::FirstByte } else { limit };
            let (code, words) = limits::refusal(limit);
            // The others were counted when they were decided.
            if matches!(limit, Limit::FirstByte | Limit::Hello | Limit::Silence) {
                rules.met.count(limit);
                rules.context.failures.fail(source(), Futile::Handshake);
            }
            Refusal::new(code, words)
        }
        Ended::Refused(refusal) => {
            rules.context.failures.fail(source(), Futile::Handshake);
            refusal
        }
    };
    rules.context.refuse(source(), peer, refusal);
    None
}

/// Waits for the first byte, and does what it asks for.
async fn begin(tls: &Tls, stream: Stream, rules: &Rules<'_>, seat: &Seat) -> Result<Stream, Ended> {
    let first = stream.peek_first_byte().await.ok().flatten().ok_or(Ended::Silently)?;
    if Dialect::of(first) != Some(Dialect::Tls) {
        if !stream.requires_tls() {
            return Ok(stream);
        }
        seat.pulse.handle_first_byte(seat.now());
        refuse_plaintext(&stream, first).await;
        return Err(Ended::Refused(plaintext::refusal()));
    }
    seat.pulse.handle_first_byte(seat.now());
    tls.refresh(&rules.context.events).await;
    let (end, raw) = stream.into_raw().map_err(|_| Ended::Silently)?;
    let acceptor = TlsAcceptor::from(std::sync::Arc::clone(&tls.config));
    match acceptor.accept(raw).into_fallible().await {
        Ok(decrypted) => {
            // What is within begins anew: there was neither a hello nor a request.
            seat.pulse.handle_request_over(seat.now());
            let session = session(decrypted.get_ref().1);
            Ok(Stream::decrypted(end, decrypted, session))
        }
        Err((error, raw)) => {
            let refusal = refusal(&error);
            // The alert that says why is on its way. Closing with unread bytes would overtake it.
            linger(&Stream::undone(end, raw)).await;
            Err(Ended::Refused(refusal))
        }
    }
}

/// What the receiver is told of a session.
fn session(connection: &ServerConnection) -> Session {
    let protocol =
        connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    // With TLS 1.2, two sessions may have the same, unless both ends see to it: RFC 9266, section 4.2.
    let is_unique = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let exported = || {
        let bytes = [0; BINDING_BYTES];
        connection.export_keying_material(bytes, BINDING_LABEL, Some(b"")).ok()
    };
    let binding = if is_unique { exported() } else { None };
    Session { protocol, binding: binding.map(|bytes| bytes.to_vec()) }
}

async fn refuse_plaintext(stream: &Stream, first: u8) {
    let answer = plaintext::answer(first);
    // It is shorter than what any socket takes at once; a peer that is gone hears nothing.
    if !answer.is_empty() && stream.try_write(&answer).is_ok() {
        linger(stream).await;
    }
}

/// Why a handshake failed.
fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Refusal::new(RefusalCode::Malformed, format!("the TLS handshake failed: {error}"))
        }
        _ => {
            Refusal::new(RefusalCode::Cancelled, "the connection was cut within the TLS handshake")
        }
    }
}

/// Waits until the connection meets a limit: a time is over, or it has to give way.
async fn met(deadlines: Deadlines, seat: &Seat) -> Limit {
    let overdue = async {
        loop {
            let now = seat.now();
            match deadlines.check(&seat.pulse.reading(false), now) {
                Err(overdue) => return limits::limit(overdue),
                Ok(at) => {
                    #[expect(clippy::disallowed_methods, reason = "a deadline is a time")]
                    tokio::time::sleep(at.saturating_sub(now).min(LOOK_AGAIN)).await;
                }
            }
        }
    };
    tokio::select! {
        limit = overdue => limit,
        fate = seat.fate_after(Fate::Served) => match fate {
            Fate::Over(limit) => limit,
            // Who is served does not wait again.
            Fate::Served | Fate::Waits => std::future::pending().await,
        },
    }
}
