//! What a server reports in JSON Lines: `sandport serve --json`, the standalone component with `--json`, and every
//! resident component by `wit/RESIDENT.md`. `docs/events.schema.json` is the schema of [`Report`].

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Refusal;

/// One line. Names, details and reasons may come from a peer.
///
/// A component reports `listening`, `stored`, `refused` and `accept-failed`; nobody has checked what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Report<'a> {
    /// The server listens, for the first time or again.
    Listening {
        /// Where, with the ports that the system chose.
        addresses: Vec<Cow<'a, str>>,
        /// The directory for received files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inbox: Option<Cow<'a, str>>,
        /// What its file system does not do. Not from a component.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_system: Option<Vec<MissingFeature<'a>>>,
        /// The certificate of the server. Absent: it has none, and everything is in plaintext.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<Encryption<'a>>,
    },
    /// A file is whole, verified, visible, and as durable as the setting says.
    Stored {
        /// Its name in the inbox.
        name: Cow<'a, str>,
        /// Its size in bytes.
        size: u64,
        /// The digest of its content: `blake3:` and hexadecimal digits; null: it was not computed.
        digest: Option<Cow<'a, str>>,
        /// Where it came from: an address, or `unix`.
        peer: Option<Cow<'a, str>>,
        /// The identity of the sender; null: it is anonymous. Not from a component.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        identity: Option<Option<Cow<'a, str>>>,
        /// Whether a component says so, and nobody has checked it.
        #[serde(default, skip_serializing_if = "is_false")]
        claimed: bool,
    },
    /// A directory that was offered is there.
    #[serde(rename = "folder")]
    Directory {
        /// Its path in the inbox.
        name: Cow<'a, str>,
        /// Where it came from.
        peer: Cow<'a, str>,
        /// The identity of the sender; null: it is anonymous.
        identity: Option<Cow<'a, str>>,
    },
    /// An upload was refused, or a connection.
    Refused {
        /// The name in the offer; null: it had none. Absent: a connection was refused.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        name: Option<Option<Cow<'a, str>>>,
        /// Where it came from.
        peer: Option<Cow<'a, str>>,
        /// The identity of the sender; null: it is anonymous. Not from a component.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        identity: Option<Option<Cow<'a, str>>>,
        /// The refusal code.
        code: Cow<'a, str>,
        /// Words for a person.
        detail: Option<Cow<'a, str>>,
        /// Whether a component says so, and nobody has checked it.
        #[serde(default, skip_serializing_if = "is_false")]
        claimed: bool,
    },
    /// A receiver trapped or went over its budget, and its connection was cut.
    Trapped {
        /// Where the connection came from.
        peer: Cow<'a, str>,
        /// The identity of the sender; null: it is anonymous.
        identity: Option<Cow<'a, str>>,
        /// The reason.
        reason: Cow<'a, str>,
        /// The end of what the receiver had written.
        last_words: Cow<'a, str>,
    },
    /// A resident receiver ended, and all of its connections with it.
    ReceiverEnded {
        /// How.
        reason: Cow<'a, str>,
        /// Whether it trapped or went over its budget; otherwise it ended by itself.
        trapped: bool,
        /// The end of what it had written that was no report.
        last_words: Cow<'a, str>,
        /// When it is started again. Milliseconds.
        restart_after_ms: u64,
    },
    /// No connection can be accepted for the moment.
    AcceptFailed {
        /// The system's reason.
        reason: Cow<'a, str>,
    },
    /// The inbox cannot go on, and the server stops.
    InboxLost {
        /// A stable word for the condition.
        code: Cow<'a, str>,
        /// The condition, with the path of the inbox.
        reason: Cow<'a, str>,
    },
    /// The files of the certificate have changed, and what is in them is shown from now on.
    CertificateChanged {
        /// The SHA-256 digest of the certificate, in hexadecimal digits.
        fingerprint: Cow<'a, str>,
    },
    /// The files of the certificate have changed and cannot be used. What was shown before is shown on.
    CertificateKept {
        /// A stable word for the condition.
        code: Cow<'a, str>,
        /// The condition.
        reason: Cow<'a, str>,
    },
    /// Refusals that were not told one by one, since too many came.
    Untold {
        /// How many.
        count: u64,
    },
    /// The server accepts no more, and waits for what is under way.
    Draining {
        /// How many connections there are.
        connections: usize,
    },
    /// The server has stopped.
    Stopped {
        /// How often connections met each limit.
        limits: Counts<'a>,
    },
    /// Lines that standard output was too slow for.
    Lost {
        /// How many.
        events: u64,
    },
}

/// The certificate of a server, and who has to encrypt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Encryption<'a> {
    /// The SHA-256 digest of the certificate, in hexadecimal digits.
    pub fingerprint: Cow<'a, str>,
    /// Whether the server has made it for itself, so that no authority has signed it.
    pub self_signed: bool,
    /// The addresses that take encrypted connections only.
    pub required: Vec<Cow<'a, str>>,
    /// What a sender may type who goes by the fingerprint.
    pub links: Vec<Cow<'a, str>>,
}

/// Something that the file system of an inbox does not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct MissingFeature<'a> {
    /// A stable word for it.
    pub limitation: Cow<'a, str>,
    /// What follows from it.
    pub detail: Cow<'a, str>,
}

/// Numbers by name, written in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts<'a>(pub Vec<(Cow<'a, str>, u64)>);

impl<'a> Report<'a> {
    /// An upload or a connection was refused, as a server says of its own. `name`: that of the offer, if there was one.
    /// `identity`: of the sender, if the server finds out identities.
    pub fn refused(
        name: Option<Option<Cow<'a, str>>>,
        peer: &'a str,
        identity: Option<Option<Cow<'a, str>>>,
        refusal: &'a Refusal,
    ) -> Self {
        Self::Refused {
            name,
            peer: Some(peer.into()),
            identity,
            code: refusal.code.as_str().into(),
            detail: refusal.detail.as_deref().map(Cow::from),
            claimed: false,
        }
    }
}

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, count)| (name, count)))
    }
}

impl<'de> Deserialize<'de> for Counts<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(Self(counts.into_iter().map(|(name, count)| (Cow::Owned(name), count)).collect()))
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for Counts<'_> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Counts")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, u64>::json_schema(generator)
    }
}

/// The value, also where it is null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
