//! Host names with several addresses: a server listens on all of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use sandport_tests::namespace::mounted;
use sandport_tests::{Server, Setup, artifacts, send};

/// A name that is known to the server of a test alone.
const NAME: &str = "both.test";

/// What its name service knows.
const HOSTS: &str = "127.0.0.1 both.test\n127.0.0.2 both.test\n";

/// Starts a server on that name; `None`: tests with namespaces are left out.
fn start(directory: &Path, receiver: Option<&Path>) -> Option<Server> {
    let hosts = directory.join("hosts");
    fs::write(&hosts, HOSTS).unwrap();
    let wrapper = mounted(&format!("mount --bind '{}' /etc/hosts", hosts.display()))?;
    let listen = format!("{NAME}:0");
    let setup = match receiver {
        // Other machines may reach a name, and nobody ends TLS for a receiver that listens itself.
        Some(receiver) => Setup::new(["--listen", &listen, "--tls", "off"]).receiver(receiver),
        None => Setup::new(["--listen", &listen]),
    };
    Some(setup.wrapped(wrapper).start())
}

/// Sends a file to each address; gives the addresses.
fn send_to_each(directory: &Path, server: &mut Server) -> Vec<SocketAddr> {
    let path = directory.join("file");
    fs::write(&path, "hello").unwrap();
    let mut addresses: Vec<SocketAddr> =
        server.addresses().iter().map(|address| address.parse().unwrap()).collect();
    addresses.sort_unstable();
    for address in &addresses {
        let name = address.ip().to_string();
        send([path.to_str().unwrap(), &address.to_string(), "--name", &name]).expect_success();
        assert_eq!(server.wait_stored(), name);
    }
    addresses
}

#[test]
fn a_server_listens_on_all_addresses_of_a_name_on_one_port() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut server) = start(directory.path(), None) else { return };
    let addresses = send_to_each(directory.path(), &mut server);
    let ips: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2"]);
    assert_eq!(addresses[0].port(), addresses[1].port());
}

#[test]
fn a_resident_receiver_listens_on_all_addresses_of_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut server) = start(directory.path(), Some(&artifacts::standalone())) else { return };
    let addresses = send_to_each(directory.path(), &mut server);
    let ips: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2"]);
}
