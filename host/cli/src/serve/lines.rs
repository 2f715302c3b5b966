//! What a server says, line by line.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandport_inbox::Limitation;
use sandport_protocol::Refusal;
use sandport_protocol::report::{Counts, MissingFeature, Report};
use sandport_server::net::{Address, Peer};
use sandport_server::{Limit, ServerEvent};
use serde_json::Value;

use super::encryption::Encryption;
use super::form::Form;
use super::{claims, next};
use crate::console::{self, bytes, clean, compiling, count, json_line, seconds};
use crate::hints;

/// What there is to say of a server that is ready, besides where it listens.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    pub(super) limitations: Vec<Limitation>,
    pub(super) encryption: Option<Encryption>,
}

/// Something to tell.
pub(super) enum Happened {
    Ready { addresses: Vec<Address>, dir: PathBuf, ready: Ready, first: bool },
    Server(ServerEvent),
    Stopping { drain_timeout: Duration },
    Stopped { limits: Vec<(Limit, u64)> },
    Lost { events: u64 },
}

impl Happened {
    /// Writes what it is in this form to `stdout`, and what is talk to standard error.
    pub(super) fn write(&self, form: Form, stdout: &mut impl Write) {
        let line = match form {
            Form::Json => json_of(self).map(|value| json_line(&value)),
            Form::Words | Form::FewWords => {
                if let Some(talk) = talk_of(self) {
                    console::talk(&talk);
                }
                words_of(self, form)
            }
        };
        if let Some(line) = line {
            // Nobody reads it any more: serving goes on.
            let _ = writeln!(stdout, "{line}");
        }
        if let (Form::Words, Self::Ready { addresses, ready, first: true, .. }) = (form, self) {
            let Ready { limitations, encryption } = ready;
            let _ = stdout.flush();
            limits_of(limitations).iter().for_each(|line| console::talk(line));
            next::commands(addresses, encryption.as_ref())
                .iter()
                .for_each(|line| console::talk(line));
        }
    }
}

fn words_of(happened: &Happened, form: Form) -> Option<String> {
    Some(match happened {
        Happened::Ready { addresses, dir, ready, .. } => {
            let addresses: Vec<String> = addresses.iter().map(Address::to_string).collect();
            let encryption = ready.encryption.as_ref().map(Encryption::words).unwrap_or_default();
            let dir = shown_dir(dir);
            format!("Sandport is ready on {}, inbox {dir}{encryption}", addresses.join(", "))
        }
        Happened::Server(ServerEvent::Stored { peer, receipt }) if form == Form::Words => {
            let (name, size) = (named(&receipt.name), bytes(receipt.size));
            format!("received {name} ({size}) from {}", who(peer))
        }
        Happened::Server(ServerEvent::Directory { peer, name }) if form == Form::Words => {
            format!("directory {} from {}", named(name), who(peer))
        }
        Happened::Server(ServerEvent::UploadRefused { peer, name, refusal }) => {
            let name = name.as_deref().map_or_else(|| String::from("a file"), named);
            format!("refused {name} from {}: {}", who(peer), shown(refusal))
        }
        Happened::Server(ServerEvent::ConnectionRefused { peer, refusal }) => {
            format!("refused {}: {}", who(peer), shown(refusal))
        }
        Happened::Server(ServerEvent::Claimed(claim)) => claims::words(claim, form)?,
        _ => return None,
    })
}

/// What is not a result goes to standard error.
fn talk_of(happened: &Happened) -> Option<String> {
    Some(match happened {
        Happened::Server(ServerEvent::Compiling { name }) => compiling(name),
        Happened::Server(ServerEvent::Trapped { peer, reason, last_words }) => format!(
            "error[trapped]: the receiver of {} trapped: {}{}",
            who(peer),
            clean(reason),
            quoted(last_words)
        ),
        Happened::Server(ServerEvent::ReceiverEnded {
            reason, last_words, restart_after, ..
        }) => {
            format!(
                "error[receiver-ended]: the receiver ended with all its connections: {}. It restarts in \
                 {}.{}",
                clean(reason),
                seconds(*restart_after),
                quoted(last_words)
            )
        }
        Happened::Server(ServerEvent::AcceptFailed { reason }) => {
            format!("error[accept]: cannot accept connections for now: {}", clean(reason))
        }
        Happened::Server(ServerEvent::InboxLost { code, reason }) => {
            let hint = hints::of_inbox_code(code);
            let hint = hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"));
            format!("error[{code}]: {}. The server stops.{hint}", clean(reason))
        }
        Happened::Server(ServerEvent::CertificateChanged { fingerprint }) => {
            format!("The certificate has changed: {fingerprint}")
        }
        Happened::Server(ServerEvent::CertificateKept { code, reason }) => format!(
            "error[{code}]: the certificate has changed and cannot be used: {}. The server shows the one before.",
            clean(reason)
        ),
        Happened::Server(ServerEvent::Draining { connections }) if *connections > 0 => {
            format!("Waiting for {}.", count(*connections as u64, "connection"))
        }
        Happened::Server(ServerEvent::Untold { count: untold }) => {
            format!("{} not shown: too many came.", count(*untold, "refusal"))
        }
        Happened::Stopping { drain_timeout } => format!(
            "Stopping: active uploads get {} to finish. Press Ctrl-C again to stop at once.",
            seconds(*drain_timeout)
        ),
        Happened::Stopped { limits } if !limits.is_empty() => {
            let met = limits.iter().map(|(limit, times)| format!("{} {times}", limit.code()));
            format!("Limits met: {}.", met.collect::<Vec<_>>().join(", "))
        }
        Happened::Lost { events } => {
            format!(
                "error[output]: standard output is too slow: {} not shown",
                count(*events, "line")
            )
        }
        _ => return None,
    })
}

fn json_of(happened: &Happened) -> Option<Value> {
    serde_json::to_value(report_of(happened)?).ok()
}

fn report_of(happened: &Happened) -> Option<Report<'_>> {
    Some(match happened {
        Happened::Ready { addresses, dir, ready, .. } => Report::Listening {
            addresses: addresses.iter().map(|address| address.to_string().into()).collect(),
            inbox: Some(dir.to_string_lossy()),
            file_system: Some(ready.limitations.iter().map(feature_of).collect()),
            tls: ready.encryption.as_ref().map(|it| it.told(addresses)),
        },
        Happened::Server(event) => report_of_event(event)?,
        Happened::Stopped { limits } => {
            let limits = limits.iter().map(|(limit, times)| (limit.code().into(), *times));
            Report::Stopped { limits: Counts(limits.collect()) }
        }
        Happened::Lost { events } => Report::Lost { events: *events },
        Happened::Stopping { .. } => return None,
    })
}

fn report_of_event(event: &ServerEvent) -> Option<Report<'_>> {
    Some(match event {
        ServerEvent::Stored { peer, receipt } => Report::Stored {
            name: (&receipt.name).into(),
            size: receipt.size,
            digest: Some(format!("{:?}", receipt.digest).into()),
            peer: Some((&*peer.address).into()),
            identity: Some(identity_of(peer)),
            claimed: false,
        },
        ServerEvent::Directory { peer, name } => Report::Directory {
            name: name.into(),
            peer: (&*peer.address).into(),
            identity: identity_of(peer),
        },
        ServerEvent::UploadRefused { peer, name, refusal } => {
            refused(peer, Some(name.as_deref().map(Cow::from)), refusal)
        }
        ServerEvent::ConnectionRefused { peer, refusal } => refused(peer, None, refusal),
        ServerEvent::Trapped { peer, reason, last_words } => Report::Trapped {
            peer: (&*peer.address).into(),
            identity: identity_of(peer),
            reason: reason.into(),
            last_words: last_words.into(),
        },
        ServerEvent::ReceiverEnded { reason, trapped, last_words, restart_after } => {
            Report::ReceiverEnded {
                reason: reason.into(),
                trapped: *trapped,
                last_words: last_words.into(),
                restart_after_ms: restart_after.as_millis() as u64,
            }
        }
        ServerEvent::Claimed(claim) => claims::report(claim)?,
        ServerEvent::AcceptFailed { reason } => Report::AcceptFailed { reason: reason.into() },
        ServerEvent::InboxLost { code, reason } => {
            Report::InboxLost { code: (*code).into(), reason: reason.into() }
        }
        ServerEvent::CertificateChanged { fingerprint } => {
            Report::CertificateChanged { fingerprint: fingerprint.to_string().into() }
        }
        ServerEvent::CertificateKept { code, reason } => {
            Report::CertificateKept { code: (*code).into(), reason: reason.into() }
        }
        ServerEvent::Untold { count } => Report::Untold { count: *count },
        ServerEvent::Draining { connections } => Report::Draining { connections: *connections },
        _ => return None,
    })
}

fn identity_of(peer: &Peer) -> Option<Cow<'_, str>> {
    peer.identity.name().map(Cow::from)
}

/// `name`: that of the offer, if there was one.
fn refused<'a>(
    peer: &'a Peer,
    name: Option<Option<Cow<'a, str>>>,
    refusal: &'a Refusal,
) -> Report<'a> {
    Report::refused(name, &peer.address, Some(identity_of(peer)), refusal)
}

/// Most lines of a receiver's last words that are shown. A traceback fits, and no screen is filled twice.
const LAST_LINES_MAX: usize = 48;

/// What a receiver wrote last, on lines of its own that cannot be taken for the program's. Empty: nothing.
fn quoted(last_words: &str) -> String {
    let lines: Vec<&str> = last_words.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(LAST_LINES_MAX)..];
    shown.iter().map(|line| format!("\n  | {}", clean(line))).collect()
}

/// What the file system of the inbox does not do, a line for each.
fn limits_of(limitations: &[Limitation]) -> Vec<String> {
    limitations
        .iter()
        .map(|limitation| format!("File system:  {}", explained(limitation)))
        .collect()
}

fn feature_of(limitation: &Limitation) -> MissingFeature<'_> {
    MissingFeature { limitation: limitation.code().into(), detail: explained(limitation).into() }
}

/// What a limitation is, and which option it changes.
fn explained(limitation: &Limitation) -> String {
    match hints::of_limitation(limitation) {
        Some(hint) => format!("{limitation}: {hint}"),
        None => limitation.to_string(),
    }
}

/// The directory as one would type it, so that nobody takes it for a word of the sentence.
fn shown_dir(dir: &Path) -> String {
    let shown = clean(&dir.to_string_lossy());
    if dir.is_absolute() || shown.starts_with('.') { shown } else { format!("./{shown}") }
}

/// A name in a sentence: in quotes where it would not be seen as one.
fn named(name: &str) -> String {
    let clean = clean(name);
    if clean.is_empty() || clean.trim() != clean { format!("\"{clean}\"") } else { clean }
}

/// Who it was, and from where.
fn who(peer: &Peer) -> String {
    clean(&peer.to_string())
}

fn shown(refusal: &Refusal) -> String {
    clean(&refusal.to_string())
}

#[cfg(test)]
mod tests;
