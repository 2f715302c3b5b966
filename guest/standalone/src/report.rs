//! What is said, to whom, and in which form: the lines of `sandport serve`.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;

use bytesize::ByteSize;
use sandport_protocol::report::Report;
use sandport_protocol::text::sanitize;
use sandport_protocol::{Digest, Refusal};

/// Longest piece of text that a peer chose, in a line for people. Characters. The longest name fits.
const SHOWN_CHARS_MAX: usize = 2_048;

/// Why the program ends.
#[derive(Debug)]
pub(crate) struct Failed {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Failed {
    pub(crate) fn new(code: &'static str, message: String, hint: impl Into<String>) -> Self {
        Self { code, message, hint: Some(hint.into()) }
    }

    /// A command line that makes no sense, in the parser's words.
    pub(crate) fn usage(words: &str) -> Self {
        let message = words.trim_start_matches("error: ").trim_end().to_owned();
        Self { code: "usage", message, hint: None }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// In which form it is told what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Words,
    /// For people who want to know of trouble only.
    FewWords,
    /// JSON Lines.
    Json,
}

/// Something to tell.
pub(crate) enum Event<'a> {
    Listening {
        addresses: &'a [SocketAddr],
        inbox: &'a str,
    },
    /// `digest`: where it was computed.
    Stored {
        peer: &'a str,
        name: &'a str,
        size: u64,
        digest: Option<Digest>,
    },
    UploadRefused {
        peer: &'a str,
        name: Option<&'a str>,
        refusal: &'a Refusal,
    },
    ConnectionRefused {
        peer: &'a str,
        refusal: &'a Refusal,
    },
    AcceptFailed {
        reason: &'a str,
    },
}

impl Form {
    /// Writes it to standard output.
    pub(crate) fn tell(self, event: &Event<'_>) {
        let line = match self {
            Self::Json => json_of(event),
            Self::Words | Self::FewWords => words_of(event, self == Self::FewWords),
        };
        if let Some(line) = line {
            let mut stdout = io::stdout().lock();
            // Nobody reads it any more: serving goes on.
            let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        }
    }
}

fn words_of(event: &Event<'_>, few: bool) -> Option<String> {
    Some(match event {
        Event::Listening { addresses, inbox } => {
            let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            format!("Sandport is ready on {}, inbox {inbox}", addresses.join(", "))
        }
        Event::Stored { .. } if few => return None,
        Event::Stored { peer, name, size, .. } => {
            format!("received {} ({}) from {peer}", clean(name), bytes(*size))
        }
        Event::UploadRefused { peer, name, refusal } => {
            let name = name.map_or_else(|| String::from("a file"), clean);
            format!("refused {name} from {peer}: {}", clean(&refusal.to_string()))
        }
        Event::ConnectionRefused { peer, refusal } => {
            format!("refused {peer}: {}", clean(&refusal.to_string()))
        }
        Event::AcceptFailed { reason } => {
            format!("no connection can be accepted for the moment: {}", clean(reason))
        }
    })
}

fn json_of(event: &Event<'_>) -> Option<String> {
    serde_json::to_string(&report_of(event)).ok()
}

fn report_of<'a>(event: &Event<'a>) -> Report<'a> {
    match event {
        Event::Listening { addresses, inbox } => Report::Listening {
            addresses: addresses.iter().map(|address| address.to_string().into()).collect(),
            inbox: Some((*inbox).into()),
            file_system: None,
            tls: None,
        },
        Event::Stored { peer, name, size, digest } => Report::Stored {
            name: (*name).into(),
            size: *size,
            digest: digest.map(|digest| format!("{digest:?}").into()),
            peer: Some((*peer).into()),
            identity: None,
            claimed: false,
        },
        Event::UploadRefused { peer, name, refusal } => {
            Report::refused(Some(name.map(Cow::from)), peer, None, refusal)
        }
        Event::ConnectionRefused { peer, refusal } => Report::refused(None, peer, None, refusal),
        Event::AcceptFailed { reason } => Report::AcceptFailed { reason: (*reason).into() },
    }
}

fn clean(text: &str) -> String {
    sanitize(text, SHOWN_CHARS_MAX)
}

fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use sandport_protocol::RefusalCode;

    use super::*;

    #[test]
    fn names_have_no_power_over_the_terminal() {
        let stored =
            Event::Stored { peer: "192.0.2.7:1", name: "a\u{1b}[2Jb", size: 2_048, digest: None };
        let shown = words_of(&stored, false);
        assert_eq!(shown.as_deref(), Some("received a\\u{1b}[2Jb (2.0 KiB) from 192.0.2.7:1"));
        assert_eq!(words_of(&stored, true), None);
        let json = json_of(&stored);
        let line = r#"{"type":"stored","name":"a\u001b[2Jb","size":2048,"digest":null,"peer":"192.0.2.7:1"}"#;
        assert_eq!(json.as_deref(), Some(line));
    }

    #[test]
    fn a_refusal_is_told_even_to_the_quiet() {
        let refusal = Refusal::new(RefusalCode::NameInvalid, "it climbs\nout");
        let refused =
            Event::UploadRefused { peer: "192.0.2.7:1", name: Some("../x"), refusal: &refusal };
        assert_eq!(
            words_of(&refused, true).as_deref(),
            Some("refused ../x from 192.0.2.7:1: name-invalid: it climbs\\nout")
        );
        assert!(json_of(&refused).is_some_and(|json| json.contains(r#""code":"name-invalid""#)));
    }
}
