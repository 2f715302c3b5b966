//! What can go wrong on the sending side, for one file and for the whole connection.

use std::io;
use std::path::PathBuf;

use sandport_protocol::{Millis, Refusal, RefusalCode};

use super::fault::TlsFault;

/// What kind of failure a [`SendError`] or a [`FileError`] is, for exit codes and for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The call makes no sense as it is.
    Usage,
    /// The same call may succeed later.
    Temporary,
    /// The server does not want it, and trying again will not help.
    Refused,
    /// This machine failed, not the other one.
    Local,
    /// The caller stopped it.
    Interrupted,
}

/// What ended a connection, or kept it from being made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The host name has no address.
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody accepts connections there.
    #[error("cannot connect to {to}: {source}")]
    Connect {
        /// The address.
        to: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error("cannot connect to {to}: no answer within {seconds:.0} s")]
    ConnectTimeout {
        /// The address.
        to: String,
        /// How long it was tried.
        seconds: f64,
    },
    /// Somebody is there, and is not believed to be who was meant, or speaks no TLS. Nothing was sent.
    #[error("cannot connect to {to} with TLS: {fault}")]
    Tls {
        /// The address.
        to: String,
        /// What is wrong.
        fault: TlsFault,
    },
    /// A Unix socket is not encrypted.
    #[error("a Unix socket has no TLS")]
    TlsOnUnix,
    /// The server ended the connection and said why.
    #[error("the server ended the connection: {0}")]
    Goodbye(Refusal),
    /// The other side speaks something else.
    #[error("the server does not speak the Sandport protocol: {0}")]
    NotSandport(String),
    /// The other side speaks something other than the classic dialect.
    #[error("the server did not answer the size with `ack`")]
    NotClassic,
    /// The connection was cut.
    #[error("the connection was lost before the server had answered everything")]
    Cut,
    /// Nothing moved for too long.
    #[error("the server has stalled: nothing moved for {} s", seconds(*.0))]
    Stalled(Millis),
    /// The server gave signs of life, and nothing else that it owed.
    #[error("the server made no progress for {} minutes", .0 / 60_000)]
    NoProgress(Millis),
    /// The server has not answered a further connection: it serves as many as it wants to.
    #[error("the server is at its connection limit (no answer within {} s)", seconds(*.0))]
    Busy(Millis),
    /// The other side does not speak HTTP, or breaks it.
    #[error("the other side does not speak HTTP: {0}")]
    NotHttp(String),
    /// The server has answered that it cannot take anything at the moment.
    #[error("the server cannot take it at the moment: {}", .0.detail.as_deref().unwrap_or("it does not say why"))]
    NotNow(Refusal),
    /// An address without a slash at its end is the name of one file.
    #[error(
        "{0} ends in no slash, so it is the name of a single file: of no directory, of no second file, and of \
         none that has another name"
    )]
    OneName(String),
    /// The classic dialect sends files, not directories.
    #[error("{} is a directory: the classic protocol has no names, so it sends no directories", .0.display())]
    ClassicDirectory(PathBuf),
    /// This machine could not do its part.
    #[error("{doing}: {source}")]
    Local {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The caller stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// A time for a person: seconds, and parts of them only where there are some.
fn seconds(time: Millis) -> f64 {
    time as f64 / 1e3
}

impl SendError {
    /// What kind of failure it is.
    pub fn kind(&self) -> SendErrorKind {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Cut
            | Self::Busy(_)
            | Self::NoProgress(_)
            | Self::Stalled(_) => SendErrorKind::Temporary,
            Self::Goodbye(refusal) | Self::NotNow(refusal) => refusal_kind(refusal.code),
            Self::NotSandport(_) | Self::NotClassic | Self::NotHttp(_) => SendErrorKind::Refused,
            Self::Tls { fault, .. } => match fault {
                TlsFault::BadAuthorities | TlsFault::Absent => SendErrorKind::Usage,
                TlsFault::NoAuthorities => SendErrorKind::Local,
                _ => SendErrorKind::Refused,
            },
            Self::ClassicDirectory(_) | Self::OneName(_) | Self::TlsOnUnix => SendErrorKind::Usage,
            Self::Local { .. } => SendErrorKind::Local,
            Self::Interrupted => SendErrorKind::Interrupted,
        }
    }

    /// A stable word for the condition: a refusal code where the server gave one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "unresolved",
            Self::Connect { .. } => "unreachable",
            Self::ConnectTimeout { .. } => "connect-timeout",
            Self::Tls { fault, .. } => fault.code(),
            Self::TlsOnUnix => "usage",
            Self::Goodbye(refusal) | Self::NotNow(refusal) => refusal.code.as_str(),
            Self::NotHttp(_) => "not-http",
            Self::OneName(_) => "one-name",
            Self::NotSandport(_) => "not-sandport",
            Self::NotClassic => "not-classic",
            Self::Cut => "cut",
            Self::Stalled(_) => "stalled",
            Self::NoProgress(_) => "no-progress",
            Self::Busy(_) => "busy",
            Self::ClassicDirectory(_) => "classic-directory",
            Self::Local { .. } => "local-io",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Whether the same attempt may succeed later.
pub(super) fn refusal_kind(code: RefusalCode) -> SendErrorKind {
    if code.is_temporary() { SendErrorKind::Temporary } else { SendErrorKind::Refused }
}

/// Why one file was not sent. The others are not touched by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not there, or may not be read.
    #[error("cannot open it: {0}")]
    Open(io::Error),
    /// Reading failed half-way.
    #[error("cannot read it: {0}")]
    Read(io::Error),
    /// A directory could not be listed, or vanished meanwhile.
    #[error("cannot list the directory: {0}")]
    List(io::Error),
    /// A link that is followed leads to a directory that it lies in itself.
    #[error("the link leads to a directory that contains it")]
    LinkLoop,
    /// Its size or modification time changed while it was sent.
    #[error("it changed while it was sent")]
    Changed,
    /// Its content ends before the size that the system tells, and nobody has changed it. Some files that
    /// are no files on a disk are so.
    #[error("its content is shorter than its size")]
    WrongSize,
    /// Names cross the wire in UTF-8.
    #[error("its name is not UTF-8")]
    NameNotUtf8,
    /// Longer than any message.
    #[error("its name is too long to be sent")]
    NameTooLong,
    /// A path like `/`.
    #[error("the path has no last part to use as a name")]
    NoName,
    /// A pipe, a socket or a device.
    #[error("it is not a regular file")]
    Special,
    /// The server wants the digest of a stream before the stream.
    #[error("the server asked for the digest of a stream, which cannot be read twice")]
    DigestOfStream,
    /// The connection was cut, and the server has less of the stream than is kept here.
    #[error("the server has lost a part of the stream that cannot be read again")]
    StreamGone,
    /// The classic dialect announces the size, so a stream is kept in a temporary file first.
    #[error("cannot keep the stream in a temporary file: {0}")]
    Spool(io::Error),
}

impl FileError {
    /// What kind of failure it is.
    pub fn kind(&self) -> SendErrorKind {
        match self {
            Self::Open(_) | Self::Read(_) | Self::List(_) | Self::WrongSize | Self::Spool(_) => {
                SendErrorKind::Local
            }
            Self::Changed | Self::StreamGone => SendErrorKind::Temporary,
            Self::LinkLoop
            | Self::NameNotUtf8
            | Self::NameTooLong
            | Self::NoName
            | Self::Special => SendErrorKind::Usage,
            Self::DigestOfStream => SendErrorKind::Refused,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(source) if source.kind() == io::ErrorKind::NotFound => "not-found",
            Self::Open(_) => "cannot-open",
            Self::Read(_) => "cannot-read",
            Self::List(_) => "cannot-list",
            Self::LinkLoop => "link-loop",
            Self::Changed => "changed",
            Self::WrongSize => "wrong-size",
            Self::NameNotUtf8 => "name-not-utf8",
            Self::NameTooLong => "name-too-long",
            Self::NoName => "no-name",
            Self::Special => "special-file",
            Self::DigestOfStream => "digest-of-stream",
            Self::StreamGone => "stream-gone",
            Self::Spool(_) => "cannot-spool",
        }
    }
}

/// Why something was left out on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// Links within a tree are not sent as links: an inbox makes none. See
    /// [`ClientBuilder::follow_links`](super::ClientBuilder::follow_links).
    SymbolicLink,
    /// A pattern says so, for the entry and all that is in it. See
    /// [`ClientBuilder::exclude`](super::ClientBuilder::exclude).
    Excluded,
    /// A directory within a tree that has the name under which an inbox keeps its own state. No inbox
    /// takes it.
    InboxState,
    /// An empty directory, for which HTTP has no request.
    EmptyDirectory,
    /// It lies in an inbox, under the name that this run sends something under. Where that inbox is the one
    /// that is sent to, this is what arrives: it would be sent again, one level deeper.
    OwnArrival,
}

impl SkipReason {
    /// A stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::SymbolicLink => "symbolic-link",
            Self::Excluded => "excluded",
            Self::InboxState => "inbox-state",
            Self::EmptyDirectory => "empty-directory",
            Self::OwnArrival => "own-arrival",
        }
    }
}
