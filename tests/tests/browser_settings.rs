//! What a receiver is told of HTTP and of browsers, by the settings of `serve`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::{Connection, Setup, artifacts};

/// Whether HTTP is served, the origins, and the names of the server, as its receiver is told.
fn told(flags: &[&str]) -> (bool, Vec<String>, Vec<String>) {
    let server = Setup::new(flags).receiver(artifacts::hostile()).start();
    let mut connection = Connection::open(&server);
    connection.say("L");
    let answer = String::from_utf8(connection.hear_all()).unwrap();
    let lines: Vec<&str> = answer.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    (lines[0] == "true", words(lines[1]), words(lines[2]))
}

#[test]
fn http_is_on_and_browsers_know_the_machine_by_its_names() {
    let (http, origins, hosts) = told(&[]);
    assert!(http && origins.is_empty(), "{origins:?}");
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let machine = machine.trim().to_ascii_lowercase();
    // One that no browser can type is left out.
    if machine.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        assert_eq!(hosts, [machine.clone(), format!("{machine}.local")]);
    }
}

#[test]
fn the_operator_switches_http_off_and_names_origins() {
    let flags = [
        "--listen",
        "localhost:0",
        "--http",
        "off",
        "--http-origin",
        "HTTPS://Files.Example:443",
        "--http-origin",
        "http://192.0.2.7:8080",
    ];
    let (http, origins, hosts) = told(&flags);
    assert!(!http);
    assert_eq!(origins, ["https://files.example", "http://192.0.2.7:8080"]);
    assert!(hosts.ends_with(&["localhost".to_owned(), "files.example".to_owned()]), "{hosts:?}");
}
