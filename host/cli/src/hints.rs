//! What an operator can do about an error: one sentence for each condition. The libraries name conditions, and know
//! neither this program's options nor the system around it.

use std::io;

use sandport_inbox::{InboxError, Limitation};
use sandport_protocol::Address;
use sandport_server::net::BindError;
use sandport_server::{BuildError, ComponentError, ResidentError, TlsError};

/// Where the process may have too few descriptors.
pub(crate) const DESCRIPTORS: &str =
    "raise the limit on open files (ulimit -n; with systemd LimitNOFILE=)";

/// Where limits make no sense.
pub(crate) const BUDGETS: &str = "change the limits, or leave them out";

/// Where no thread can be started for a component.
const THREADS: &str = "raise the limit on processes (ulimit -u)";

/// Where an inbox cannot be used.
pub(crate) fn of_inbox(error: &InboxError) -> Option<&'static str> {
    let InboxError::Io { source, .. } = error else { return of_inbox_code(error.code()) };
    Some(match source.kind() {
        io::ErrorKind::NotFound => "check the spelling of the directory",
        io::ErrorKind::PermissionDenied => {
            "give this user permission on the directory and on those above it"
        }
        _ => "check the disk and the system's log",
    })
}

/// The same by the [code](InboxError::code), which is all that an event has of the error. `inbox-io` has causes that
/// need different things, and none here.
pub(crate) fn of_inbox_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "inbox-parent-missing" => "create the directory above it first, or choose another inbox",
        "inbox-not-a-directory" => "move it away, or choose another directory",
        "inbox-not-writable" => {
            "give this user write permission, mount it writable, or choose another directory"
        }
        "inbox-gone" => "mount it or create it again, then start the server",
        "inbox-locked" => "stop the other server, or choose another directory",
        "inbox-layout" => "use the version that wrote it, or a later one",
        "inbox-stopped" => {
            "start the server again and report the fault; nothing that was stored is lost"
        }
        "inbox-split" => "unmount what is mounted at .sandport, or choose another directory",
        "not-an-inbox" => "name the directory that `sandport serve` was given",
        "name-invalid" => "use a relative name without '..', control characters or a leading '/'",
        _ => return None,
    })
}

/// What an option of this program has to do with a limitation of the inbox's file system.
pub(crate) fn of_limitation(limitation: &Limitation) -> Option<&'static str> {
    match limitation {
        Limitation::CaseInsensitiveNames => {
            Some("--conflict replace replaces only files of exactly the same name")
        }
        _ => None,
    }
}

/// Where a server cannot be built.
pub(crate) fn of_build(error: &BuildError) -> Option<&'static str> {
    match error {
        BuildError::Component(error) => of_component(error),
        BuildError::NoTls => Some(
            "put a proxy before it that ends TLS, or add --tls off: then everything is sent in plaintext",
        ),
        _ => None,
    }
}

/// Where a certificate cannot be shown.
pub(crate) fn of_tls(error: &TlsError) -> Option<&'static str> {
    Some(match error {
        TlsError::Read { .. } => "check the path, and that this user may read the file",
        TlsError::NoCertificate => {
            "--tls-cert needs a file with BEGIN CERTIFICATE in it, such as fullchain.pem"
        }
        TlsError::NoKey => {
            "--tls-key needs a file with BEGIN PRIVATE KEY in it; openssl pkey takes the password off one that has it"
        }
        TlsError::Mismatch => {
            "give the key that the certificate was made for; the certificate of the server comes first in its file"
        }
        TlsError::Expired => "renew it, or leave --tls-cert and --tls-key out",
        TlsError::Unusable(_) => {
            "use a certificate of X.509 version 3 with a key of RSA, ECDSA (P-256, P-384) or Ed25519"
        }
        _ => return None,
    })
}

/// Where a receiver cannot be run.
pub(crate) fn of_component(error: &ComponentError) -> Option<&'static str> {
    Some(match error {
        ComponentError::Read { .. } => "check the path",
        ComponentError::NotWasm(_) | ComponentError::UnknownVersion(_) => {
            "give a component, such as cargo build --target wasm32-wasip2 makes"
        }
        ComponentError::Module(_) => {
            "build it for wasm32-wasip2, or make a component of it with: wasm-tools component new"
        }
        ComponentError::Invalid { .. } => {
            "build it again for WASI 0.2 (wasm32-wasip2): the file may be truncated. If it needs more memory, raise \
             --max-memory"
        }
        ComponentError::NoReceiver { .. } => {
            "build it for the world sandport:upload/sandbox of this version (directory wit/), or as a command that \
             listens by itself (wit/RESIDENT.md)"
        }
        ComponentError::OtherVersion { .. } => {
            "build it for the packages of this version (directory wit/), or use the version of Sandport that it was \
             built for"
        }
        ComponentError::Start(_) => "ask its author: it fails before anybody connects, each time",
        ComponentError::Import(_) => {
            "use only what the world sandport:upload/sandbox imports, and WASI 0.2; a resident component gets WASI 0.2 \
             alone"
        }
        ComponentError::Memory { .. } => "raise --max-memory",
        ComponentError::NotExecutable(_) => {
            "allow executable memory: MemoryDenyWriteExecute=no with systemd, execmem with SELinux"
        }
        ComponentError::Table { .. } => {
            "build it with smaller tables: an interpreter with a large library has 20,000 elements"
        }
        ComponentError::Engine(_) => "lower --max-connections or --max-memory",
        ComponentError::Thread(_) => THREADS,
        _ => return None,
    })
}

/// Where an address cannot be listened on.
pub(crate) fn of_bind(error: &BindError) -> Option<&'static str> {
    Some(match error {
        BindError::InUse(_) => "stop the other server, or choose another address with --listen",
        BindError::Resolve { address: Address::Tcp { host, .. }, .. } if host.contains('%') => {
            "check the name of the interface behind the %"
        }
        BindError::Resolve { .. } => "give an IP address, such as 127.0.0.1 or [::1]",
        BindError::NotASocket(_) => "choose another path; the server replaces only stale sockets",
        BindError::Io { address, source } => of_listening(address, source.kind()),
        _ => return None,
    })
}

fn of_listening(address: &Address, kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;
    match (address, kind) {
        (Address::Unix(_), Kind::NotFound) => "create the directory of the socket first",
        (Address::Unix(_), Kind::PermissionDenied) => {
            "give this user write permission on the directory of the socket, or choose another path"
        }
        (Address::Unix(_), _) => "choose another path for the socket",
        (_, Kind::PermissionDenied) => {
            "choose a port above 1023, or give the program the capability CAP_NET_BIND_SERVICE"
        }
        (_, Kind::AddrNotAvailable) => {
            "choose an address that this machine has; 0.0.0.0 and [::] stand for all of them"
        }
        // What the system calls an invalid argument.
        (_, Kind::InvalidInput) => {
            "a link-local address needs its zone, the name of the interface: [fe80::1%eth0]:6542"
        }
        _ => "choose an address of this machine",
    }
}

/// Where a resident component does not serve.
pub(crate) fn of_resident(error: &ResidentError) -> Option<&'static str> {
    Some(match error {
        ResidentError::Bind(error) => return of_bind(error),
        ResidentError::Lost(error) => return of_inbox(error),
        ResidentError::NotEnforced(_) => {
            "a resident receiver writes to the disk by itself: leave the option out, and put the inbox on a file \
             system or project quota of its own"
        }
        ResidentError::UnixSocket(_) => "WASI 0.2 has only TCP: give an IP address and a port",
        ResidentError::Inbox { .. } => {
            "check that the directory exists and that this user may open it"
        }
        ResidentError::NeverListened { .. } => {
            "look at its output above, or with -v; wit/RESIDENT.md says how it is started"
        }
        ResidentError::Thread(_) => THREADS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_refused_permission_is_not_blamed_on_the_disk() {
        let hint = |kind: io::ErrorKind| {
            let error = InboxError::Io { doing: "open", path: "in".into(), source: kind.into() };
            of_inbox(&error).unwrap()
        };
        assert!(hint(io::ErrorKind::PermissionDenied).contains("give this user permission"));
        assert!(hint(io::ErrorKind::NotFound).contains("spelling"));
        assert!(hint(io::ErrorKind::Other).contains("disk"));
    }

    #[test]
    fn each_way_in_which_a_server_loses_its_inbox_has_a_hint() {
        let (dir, source) = (|| "in".into(), io::ErrorKind::ReadOnlyFilesystem.into());
        for error in [
            InboxError::Gone { dir: dir() },
            InboxError::NotWritable { path: dir(), source },
            InboxError::Stopped { dir: dir(), thread: "committer" },
        ] {
            assert_eq!(of_inbox_code(error.code()), of_inbox(&error), "{error}");
            assert!(of_inbox(&error).is_some(), "{error}");
        }
    }

    #[test]
    fn memory_that_may_not_be_executed_is_allowed_by_the_system() {
        let error = ComponentError::NotExecutable(String::from("mprotect"));
        assert!(of_component(&error).unwrap().contains("MemoryDenyWriteExecute=no"));
    }
}
