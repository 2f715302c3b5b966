//! Why sending failed, and what a person can do about it. The library has no hints: it does not know what was typed.

use std::io::ErrorKind;
use std::path::Path;

use sandport_client::{
    Destination, FileError, SendError, SendErrorKind, SendEvent, SkipReason, TlsFault,
};
use sandport_protocol::RefusalCode;

use super::Failure;
use crate::args::SendArgs;
use crate::exit::Exit;

impl From<&SendError> for Failure {
    fn from(error: &SendError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hint: hint(error).map(str::to_owned),
            exit: exit_of(error),
        }
    }
}

/// What the end of a connection comes to.
fn exit_of(error: &SendError) -> Exit {
    match error.kind() {
        SendErrorKind::Usage => Exit::Usage,
        SendErrorKind::Temporary => Exit::Temporary,
        SendErrorKind::Local => Exit::LocalIo,
        SendErrorKind::Interrupted => Exit::Interrupted,
        _ => Exit::Refused,
    }
}

/// The error in words, with a better hint where the command line or the run gives one. `resumable`: a later run
/// can resume something that this one has begun.
pub(crate) fn explain(error: &SendError, args: &SendArgs, resumable: bool) -> Failure {
    let mut failure = Failure::from(error);
    match error {
        SendError::Interrupted if resumable => {
            failure.hint = Some(String::from("run the same command again to resume the upload"));
        }
        SendError::Cut | SendError::Stalled(_) | SendError::NoProgress(_) if !resumable => {
            failure.hint = Some(String::from(if args.operands.reads_stdin() {
                "a later run cannot resume standard input: send it again from the beginning"
            } else {
                "run the same command again: the server does not store a file twice"
            }));
        }
        _ => {}
    }
    if args.classic && matches!(error, SendError::Cut | SendError::Stalled(_)) {
        let hint = "the classic protocol does not say how much arrived: look at the server before you send again";
        failure.hint = Some(String::from(hint));
    }
    if let SendError::Goodbye(refusal) = error
        && refusal.code == RefusalCode::NotPermitted
        && matches!(args.operands.to, Destination::Sandport(_))
        && !args.tls
    {
        let hint = "if it takes encrypted connections only: use the sandport:// link that it has printed when it \
                    started, or add --tls if it has a certificate of an authority";
        failure.hint = Some(String::from(hint));
    }
    if let SendError::Resolve { host, .. } = error
        && Path::new(host).exists()
    {
        failure.hint = Some(format!("{host} is a file or a directory here: the server comes last"));
    } else if let SendError::Connect { source, .. } = error
        && matches!(args.operands.to, Destination::Sandport(_))
        && matches!(source.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
    {
        failure.hint = Some(format!(
            "is the server running? There, start one with: sandport serve ./inbox --listen {}",
            args.operands.to
        ));
    }
    failure
}

/// What to do about it, in one line for a person.
fn hint(error: &SendError) -> Option<&'static str> {
    Some(match error {
        SendError::Resolve { host, .. } if host.contains('%') => {
            "check the name of the interface behind the %"
        }
        SendError::Resolve { .. } => "check the spelling of the host name, and the network",
        SendError::Connect { source, .. } => match source.kind() {
            ErrorKind::PermissionDenied => {
                "this user may not connect: the mode of a local socket or a firewall of this machine forbids \
                 it"
            }
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
                "this machine has no route to it: check the address, the network and the VPN"
            }
            ErrorKind::Unsupported => "write HOST:PORT, where the server listens too",
            // What the system calls an invalid argument.
            ErrorKind::InvalidInput => {
                "a link-local address needs its zone, the name of the interface: \
                 [fe80::1%eth0]:6542"
            }
            _ => "is the server running? Start one with: sandport serve ./inbox --listen ADDRESS",
        },
        SendError::Tls { fault, .. } => return hint_of_tls(fault),
        SendError::TlsOnUnix => "leave --tls out: nobody else is between the two",
        SendError::ConnectTimeout { .. } => {
            "the host is down, or a firewall drops packets; --connect-timeout waits longer"
        }
        SendError::Goodbye(_) | SendError::NotNow(_) => match error.kind() {
            SendErrorKind::Temporary => "run the same command again later",
            _ => "ask the operator what the server accepts",
        },
        SendError::NotSandport(_) => {
            "if it is an old upload service, --classic speaks its protocol"
        }
        SendError::NotHttp(_) => "if it is a Sandport server, send to HOST:PORT without http://",
        SendError::OneName(_) => {
            "add a slash at the end to send them into a directory of that name"
        }
        SendError::NotClassic => "if it is a Sandport server, send without --classic",
        SendError::Busy(_) => "ask the operator to raise --max-connections",
        SendError::Cut | SendError::Stalled(_) => "run the same command again to resume",
        SendError::NoProgress(_) => "ask the operator; the same command resumes later",
        SendError::ClassicDirectory(_) => "send its files one by one, or without --classic",
        _ => return None,
    })
}

/// What to do about a server that is not believed.
fn hint_of_tls(fault: &TlsFault) -> Option<&'static str> {
    Some(match fault {
        TlsFault::UnknownIssuer => {
            "--ca FILE trusts another authority; a server with a certificate of its own prints a sandport:// link with \
             its fingerprint"
        }
        TlsFault::Expired => "ask the operator to renew it; check the clock of this machine too",
        TlsFault::NotYetValid => "check the clock of this machine",
        TlsFault::WrongName => "use the name that the certificate is for",
        TlsFault::WrongPin { .. } => {
            "ask the operator for the fingerprint: if it has not changed, somebody is between you and the server"
        }
        TlsFault::NotTls => "if the server takes plaintext, leave --tls out, or write http://",
        TlsFault::NoAuthorities => "install the package ca-certificates, or use --ca FILE",
        TlsFault::BadAuthorities => "--ca needs a file with BEGIN CERTIFICATE in it",
        TlsFault::Absent => "use a build with the feature `tls`",
        _ => return None,
    })
}

/// What to do about it, under a word by which it is given once.
pub(crate) fn hint_of_event(
    event: &SendEvent,
    quiet: bool,
) -> Option<(&'static str, &'static str)> {
    let refusal = match event {
        SendEvent::Skipped { reason: reason @ SkipReason::SymbolicLink, .. } if !quiet => {
            return Some((reason.code(), "--follow-links sends what symbolic links lead to"));
        }
        SendEvent::Skipped { reason: reason @ SkipReason::OwnArrival, .. } if !quiet => {
            return Some((reason.code(), "to send it too, name it on the command line"));
        }
        SendEvent::ModifiedOmitted { .. } if !quiet => {
            let hint = "`send` cannot send modification times before 1677-09-21 and after 2262-04-11; \
                        the server sets the time of arrival. -v names the files";
            return Some(("modified-omitted", hint));
        }
        SendEvent::Failed { error: error @ FileError::WrongSize, .. } => {
            return Some((
                error.code(),
                "send it as standard input, which needs no size: sandport send - TO < FILE",
            ));
        }
        SendEvent::Failed { error: error @ FileError::Changed, .. } => {
            return Some((error.code(), "run the same command again when nobody changes the file"));
        }
        SendEvent::Refused { refusal, .. } => refusal,
        _ => return None,
    };
    let hint = match refusal.code {
        RefusalCode::NameInvalid => "--name gives one file another name",
        RefusalCode::Exists => {
            "--name gives one file another name; or remove what has its name, or a part of its path, at the server"
        }
        RefusalCode::TooLarge => "ask the operator to raise --max-file",
        RefusalCode::QuotaExceeded => {
            "ask the operator to make room, or to raise --quota-bytes or --quota-files, or the same for each \
             identity: --identity-quota-bytes or --identity-quota-files"
        }
        RefusalCode::DigestMismatch => {
            "the bytes were damaged in transit, or the file changed: send it again"
        }
        RefusalCode::Locked => {
            "a later run has taken over this upload; if that run fails, run the same command again"
        }
        RefusalCode::InsufficientSpace | RefusalCode::Io => {
            "run the same command again later: it sends nothing twice"
        }
        _ => return None,
    };
    Some((refusal.code.as_str(), hint))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> SendArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Some(Command::Send(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cut_may_pass_and_an_interruption_is_one() {
        assert_eq!(exit_of(&SendError::Cut), Exit::Temporary);
        assert_eq!(exit_of(&SendError::Interrupted), Exit::Interrupted);
    }

    #[test]
    fn only_what_can_be_resumed_is_said_to_be_resumed() {
        let hint = |error: SendError, line: &str, resumable: bool| {
            explain(&error, &parsed(line), resumable).hint.unwrap_or_default()
        };
        let resumes = |hint: String| hint.contains("to resume") || hint.contains("goes on where");
        for error in [|| SendError::Interrupted, || SendError::Cut, || SendError::Stalled(1)] {
            assert!(resumes(hint(error(), "sandport send a host", true)), "{}", error());
            for line in ["sandport send a host", "sandport send --no-resume a host"] {
                assert!(!resumes(hint(error(), line, false)), "{}: {line}", error());
            }
        }
        let of_stdin = hint(SendError::Cut, "sandport send - host", false);
        assert!(of_stdin.contains("standard input"), "{of_stdin}");
    }

    #[test]
    fn who_forgets_the_server_is_told_so() {
        let args = parsed("sandport send Cargo.toml src");
        let source = ErrorKind::NotFound.into();
        let error = SendError::Resolve { host: String::from("src"), source };
        assert!(
            explain(&error, &args, false).hint.unwrap().contains("is a file or a directory here")
        );
    }

    #[test]
    fn only_a_server_that_refuses_is_asked_to_be_started() {
        let args = parsed("sandport send Cargo.toml 127.0.0.1:1");
        let hint = |kind: ErrorKind| {
            let error = SendError::Connect { to: String::from("127.0.0.1:1"), source: kind.into() };
            explain(&error, &args, false).hint.unwrap()
        };
        assert!(hint(ErrorKind::ConnectionRefused).contains("is the server running?"));
        assert!(hint(ErrorKind::NotFound).contains("is the server running?"), "no socket there");
        assert!(hint(ErrorKind::PermissionDenied).contains("may not connect"));
        assert!(hint(ErrorKind::NetworkUnreachable).contains("no route to it"));
        assert!(hint(ErrorKind::InvalidInput).contains("needs its zone"));
    }
}
