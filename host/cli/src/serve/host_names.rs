//! The names that browsers may use for this server.

use sandport_server::net::{Address, HostName};

/// What names of a machine end in that a local network knows it by (RFC 6762, section 3).
const LOCAL: &str = ".local";

/// The names of a machine, with and without what tells it from others in a network, and those that it is to
/// listen on. What is no name of a host is left out: nobody can type it.
pub(super) fn of(machine: Option<String>, listen: &[Address]) -> Vec<HostName> {
    let machine = machine.unwrap_or_default();
    let machine = Some(machine.trim()).filter(|name| name.parse::<HostName>().is_ok());
    let machine = machine.unwrap_or_default();
    let first = machine.split('.').next().unwrap_or_default();
    let listened = listen.iter().filter_map(|address| match address {
        Address::Tcp { host, .. } => Some(host.as_str()),
        Address::Unix(_) => None,
    });
    let local = format!("{first}{LOCAL}");
    let names = [machine, first, &local].into_iter().chain(listened);
    let mut known: Vec<HostName> = Vec::new();
    for name in names.filter_map(|name| name.parse().ok()) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(machine: Option<&str>, listen: &[&str]) -> Vec<String> {
        let listen: Vec<Address> = listen.iter().map(|text| text.parse().unwrap()).collect();
        let names = of(machine.map(str::to_owned), &listen);
        names.iter().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn browsers_may_use_the_names_of_the_machine_and_of_listen() {
        assert_eq!(names(Some("Box\n"), &["127.0.0.1", "[::1]:7"]), ["box", "box.local"]);
        assert_eq!(
            names(Some("box.example.org"), &["Files.example:80", "unix:/run/s", "box:1"]),
            ["box.example.org", "box", "box.local", "files.example"]
        );
    }

    #[test]
    fn a_machine_without_a_usable_name_has_none() {
        for machine in [None, Some(""), Some("(none)"), Some("127.0.0.1")] {
            let found = names(machine, &["0.0.0.0"]);
            assert_eq!(found, [] as [&str; 0], "{machine:?}");
        }
    }
}
