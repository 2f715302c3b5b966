//! What a resident component is told: the arguments of `wit/RESIDENT.md`.

use std::net::SocketAddr;

use sandport_protocol::Limits;

use crate::sandbox::RESIDENT_INBOX;
use crate::serving::CONNECTIONS_MAX;
use sandport_inbox::{Conflict, Durability, InboxOptions};

/// The arguments after the name of the program. What was not set is left out, so that a component need
/// not know it.
pub(super) fn of(
    addresses: &[SocketAddr],
    limits: &Limits,
    options: &InboxOptions,
    max_connections: u32,
) -> Vec<String> {
    let usual = Limits::default();
    let mut arguments = Vec::new();
    let mut add = |name: &str, value: &dyn ToString| {
        arguments.extend([name.to_owned(), value.to_string()]);
    };
    for address in addresses {
        add("--listen", address);
    }
    add("--inbox", &RESIDENT_INBOX);
    if let Some(size) = limits.max_file_size {
        add("--max-file", &size);
    }
    match options.conflict {
        Conflict::Rename => {}
        Conflict::Refuse => add("--conflict", &"refuse"),
        Conflict::Replace => add("--conflict", &"replace"),
    }
    // With any other, stored files are synced; a cut upload is not resumed, so there is nothing else to sync.
    if options.durability == Durability::None {
        add("--durability", &"none");
    }
    if max_connections != CONNECTIONS_MAX {
        add("--max-connections", &max_connections);
    }
    if limits.idle_timeout_ms != usual.idle_timeout_ms {
        add("--idle-timeout", &format!("{}ms", limits.idle_timeout_ms));
    }
    if let Some(name) = &options.classic_name {
        add("--classic-name", name);
    }
    if limits.settle_ms != usual.settle_ms {
        add("--settle-ms", &limits.settle_ms);
    }
    if limits.classic != usual.classic {
        arguments.push(String::from("--no-classic"));
    }
    arguments.push(String::from("--json"));
    arguments
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn where_and_into_what_is_always_told_and_the_rest_if_set() {
        let addresses = ["127.0.0.1:0".parse().unwrap(), "[::1]:7".parse().unwrap()];
        let told = of(&addresses, &Limits::default(), &InboxOptions::default(), CONNECTIONS_MAX);
        assert_eq!(told.join(" "), "--listen 127.0.0.1:0 --listen [::1]:7 --inbox /inbox --json");

        let limits = Limits {
            classic: false,
            settle_ms: 70,
            idle_timeout_ms: 5_000,
            max_file_size: Some(1_000),
            ..Limits::default()
        };
        let mut options = InboxOptions::default();
        options.conflict = Conflict::Refuse;
        options.durability = Durability::None;
        options.classic_name = Some(String::from("a b"));
        let told = of(&addresses[..1], &limits, &options, 7);
        assert_eq!(
            told,
            [
                "--listen",
                "127.0.0.1:0",
                "--inbox",
                "/inbox",
                "--max-file",
                "1000",
                "--conflict",
                "refuse",
                "--durability",
                "none",
                "--max-connections",
                "7",
                "--idle-timeout",
                "5000ms",
                "--classic-name",
                "a b",
                "--settle-ms",
                "70",
                "--no-classic",
                "--json",
            ]
        );
    }
}
