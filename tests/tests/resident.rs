//! Components that run resident: what they are told, what they can reach, and what becomes of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use sandport_tests::files::{Tree, file};
use sandport_tests::{Connection, Server, Setup, artifacts, peer};
use serde_json::Value;

/// Exit codes, as documented.
const USAGE: Option<i32> = Some(2);
const TEMPORARY: Option<i32> = Some(3);
const RECEIVER: Option<i32> = Some(6);
const LOCAL_IO: Option<i32> = Some(7);

/// After a run that lasted so long, the pause is a short one again.
const GOOD_RUN: Duration = Duration::from_secs(10);

fn setup<const N: usize>(flags: [&str; N]) -> Setup {
    Setup::new(flags).receiver(artifacts::resident())
}

/// A server whose component behaves as the first byte of a connection says.
fn server<const N: usize>(flags: [&str; N]) -> Server {
    setup(flags).start()
}

/// Uploads a file through it, in the component's own protocol.
#[track_caller]
fn put(server: &mut Server, name: &str, content: &str) {
    let mut client = Connection::open(server);
    client.say(format!("PUT {name}\n{content}"));
    client.finish();
    assert_eq!(client.hear_all(), b"stored\n");
    let event = server
        .events
        .wait("a stored file", |event| event["type"] == "stored" && event["name"] == name);
    assert_eq!(event["claimed"], true, "{event}");
    assert_eq!(server.content(name), content.as_bytes());
}

fn wait_ended(server: &mut Server) -> Value {
    server.events.wait("the end of a run", |event| event["type"] == "receiver-ended")
}

/// Waits until it listens again; where.
fn wait_listening(server: &mut Server) -> Value {
    let event = server.events.wait("the ready line", |event| event["type"] == "listening");
    event["addresses"].clone()
}

/// What misbehaves in the way of `first` ends the run with one of these reasons. The next run serves.
#[track_caller]
fn expect_restart<const N: usize>(first: &str, flags: [&str; N], trapped: bool, reasons: &[&str]) {
    let mut server = server(flags);
    put(&mut server, "before", "1");
    let mut client = Connection::open(&server);
    client.say(first);
    let ended = wait_ended(&mut server);
    let reason = ended["reason"].as_str().unwrap();
    assert!(reasons.iter().any(|expected| reason.contains(expected)), "{reason}");
    assert_eq!(ended["trapped"], trapped, "{ended}");
    assert_eq!(client.hear_all(), b"");
    let addresses = wait_listening(&mut server);
    assert_eq!(addresses, Value::from(server.addresses()), "the port stays");
    put(&mut server, "after", "2");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(
        server.published(),
        Tree::from([("before".into(), file("1")), ("after".into(), file("2"))])
    );
}

/// Ends before it listens; what the server says.
#[track_caller]
fn expect_failure(behaviour: &str) -> String {
    let ended = setup(["--classic-name", behaviour]).start_and_fail();
    assert_eq!(ended.code, RECEIVER, "{ended:?}");
    assert!(!ended.stdout.contains("listening"), "{ended:?}");
    assert!(ended.stderr.contains("error[receiver-failed]: "), "{ended:?}");
    assert!(ended.stderr.contains("hint: "), "{ended:?}");
    ended.stderr
}

#[test]
fn it_listens_where_it_is_told_and_port_0_is_reported() {
    let mut server = server(["--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
    let addresses = server.addresses().to_vec();
    assert!(addresses[0].starts_with("127.0.0.1:") && !addresses[0].ends_with(":0"));
    assert!(addresses[1].starts_with("[::1]:") && !addresses[1].ends_with(":0"), "{addresses:?}");
    put(&mut server, "hello.txt", "hello");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published(), Tree::from([("hello.txt".into(), file("hello"))]));
    let log = server.events.stderr();
    assert!(!log.contains("a line of no meaning"), "not at this level: {log}");
}

#[test]
fn it_is_told_what_was_set_and_nothing_else() {
    let ask = |server: &Server| {
        let mut client = Connection::open(server);
        client.say("a");
        client.finish();
        String::from_utf8(client.hear_all()).unwrap()
    };
    assert_eq!(ask(&server([])), "--listen 127.0.0.1:0 --inbox /inbox --json\n");
    let server = server([
        "--max-file",
        "1KiB",
        "--conflict",
        "replace",
        "--durability",
        "none",
        "--idle-timeout",
        "5s",
        "--no-classic",
        "--settle-ms",
        "70",
        "--max-connections",
        "7",
    ]);
    assert_eq!(
        ask(&server),
        "--listen 127.0.0.1:0 --inbox /inbox --max-file 1024 --conflict replace --durability none \
         --max-connections 7 --idle-timeout 5000ms --settle-ms 70 --no-classic --json\n"
    );
}

#[test]
fn its_output_is_in_the_log() {
    let server = server(["-v"]);
    let mut client = Connection::open(&server);
    client.say("p");
    client.hear_all();
    let mut server = server;
    wait_ended(&mut server);
    assert_eq!(server.stop(), Some(0));
    let log = server.events.stderr();
    assert!(log.contains("a line of no meaning"), "{log}");
    assert!(log.contains("a panic on purpose"), "{log}");
}

#[test]
fn it_can_listen_nowhere_else_and_connect_nowhere() {
    // Somebody to connect to, if that were possible.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = listener.local_addr().unwrap();
    let server = server([]);
    let mut client = Connection::open(&server);
    client.say(format!("n{} {other}", server.address()));
    client.finish();
    let report = String::from_utf8(client.hear_all()).unwrap();
    assert_eq!(
        report.lines().collect::<Vec<_>>(),
        [
            "listen on a port of the system's choice: nothing",
            "listen on another port: nothing",
            "listen on the port of every network: nothing",
            "listen on the port of another address: nothing",
            "listen on IPv6: nothing",
            "connect to a server: nothing",
            "connect to itself: nothing",
            "datagrams: nothing",
            "datagrams to a server: nothing",
            "look a name up: nothing",
            "connect by name: nothing",
        ]
    );
    assert!(!peer::has_connected(&listener), "nobody may have connected");
}

#[test]
fn it_leaves_the_inbox_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    let outside = directory.path().join("outside");
    fs::create_dir(&inbox).unwrap();
    fs::create_dir(&outside).unwrap();
    for secret in [directory.path().join("secret"), outside.join("secret")] {
        fs::write(secret, "secret").unwrap();
    }
    std::os::unix::fs::symlink(directory.path().join("secret"), inbox.join("link-to-file"))
        .unwrap();
    std::os::unix::fs::symlink("../outside", inbox.join("link-to-directory")).unwrap();

    let server = setup([]).inbox(&inbox).start();
    let mut client = Connection::open(&server);
    client.say("f");
    client.finish();
    let report = String::from_utf8(client.hear_all()).unwrap();
    let mut lines = report.lines();
    assert_eq!(lines.next(), Some("read its inbox: possible"));
    assert_eq!(lines.next(), Some("read back its file: possible"));
    assert_eq!(lines.next(), Some("environment: 0"));
    let rest: Vec<&str> = lines.collect();
    assert_eq!(rest.len(), 21, "{report}");
    for line in rest {
        assert!(line.ends_with(": nothing"), "{line}");
    }
    for secret in [directory.path().join("secret"), outside.join("secret")] {
        assert_eq!(fs::read_to_string(secret).unwrap(), "secret");
    }
    assert_eq!(sandport_tests::files::names_in(directory.path()), ["inbox", "outside", "secret"]);
    assert_eq!(sandport_tests::files::names_in(&outside), ["secret"]);
    assert!(!std::path::Path::new("/tmp/escaped").exists());
}

#[test]
fn a_trap_a_panic_and_an_exit_are_followed_by_a_restart() {
    expect_restart("u", [], true, &["unreachable"]);
    expect_restart("p", [], true, &["unreachable"]);
    expect_restart("x", [], false, &["exited with code 0"]);
}

#[test]
fn memory_and_resources_over_the_limit_lead_to_a_restart() {
    expect_restart("m", ["--max-memory", "16MiB"], true, &["memory"]);
    expect_restart("h", ["--max-connections", "1"], true, &["table", "resource", "unreachable"]);
}

#[test]
fn an_endless_loop_is_over_its_budget_and_followed_by_a_restart() {
    expect_restart("l", [], true, &["compute budget"]);
    expect_restart("c", [], true, &["compute budget"]);
}

#[test]
fn an_endless_loop_does_not_keep_the_server_from_stopping() {
    let mut server = server([]);
    let mut client = Connection::open(&server);
    client.say("l");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(client.hear_all(), b"");
    let rest = server.events.rest();
    assert_eq!(rest.last().unwrap()["type"], "stopped", "{rest:?}");
}

#[test]
fn traffic_pays_for_computing() {
    let mut server = server([]);
    let mut client = Connection::open(&server);
    client.say("w");
    // 30 ms for each 64 KiB: eight seconds in all, where five are the burst.
    let block = [0; 64 * 1024];
    for _ in 0..270 {
        client.say(block);
    }
    client.finish();
    assert_eq!(client.hear_all(), b"done\n");
    assert_eq!(server.stop(), Some(0));
    let rest = server.events.rest();
    assert!(rest.iter().all(|event| event["type"] != "receiver-ended"), "{rest:?}");
}

#[test]
fn the_pause_before_a_restart_grows() {
    let mut server = server([]);
    let mut expected = 100;
    // Before the run began that ends next.
    let mut since = None;
    for _ in 0..3 {
        let began = Instant::now();
        Connection::open(&server).say("x");
        let pause = wait_ended(&mut server)["restart_after_ms"].as_u64().unwrap();
        // On a machine so busy that a run of a moment lasts long, it counts as a good one.
        if since.is_some_and(|since: Instant| since.elapsed() > GOOD_RUN) && pause == 100 {
            expected = 100;
        }
        assert_eq!(pause, expected);
        expected *= 2;
        since = Some(began);
        wait_listening(&mut server);
    }
}

#[test]
fn a_flood_of_output_is_cut_and_its_tricks_are_taken_out() {
    let mut server = server(["-v"]);
    let since = Instant::now();
    let mut client = Connection::open(&server);
    client.say("g");
    assert_eq!(client.hear_all(), b"");
    put(&mut server, "after", "2");
    assert_eq!(server.stop(), Some(0));
    let claims = server
        .events
        .rest()
        .iter()
        .filter(|event| event["type"] == "stored")
        .inspect(|event| assert!(event["name"].as_str().unwrap().len() < 16 * 1024))
        .count();
    // 10,000 at once and 2,000 a second, however long this machine takes for a flood.
    let seconds = since.elapsed().as_secs() as usize + 1;
    let most = 10_000 + 2_000 * seconds;
    assert!((1_000..=most).contains(&claims), "{claims} of 30,000 were relayed");
    let log = server.events.stderr();
    let lines = log.lines().filter(|line| line.contains("flood")).count();
    assert!((1..300 + seconds).contains(&lines), "{lines} of 60,000 lines were written");
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log}");
    assert!(log.lines().all(|line| line.len() < 8_192));
}

#[test]
fn what_ends_before_it_listens_is_told_with_its_last_words() {
    let text = expect_failure("panic");
    assert!(text.contains("it trapped"), "{text}");
    assert!(text.contains("its last words: ") && !text.contains('\u{1b}'), "{text}");
    assert!(expect_failure("exit").contains("exited with code 1"));
    assert!(expect_failure("return").contains("it returned"));
    assert!(expect_failure("loop").contains("compute budget"));
}

#[test]
fn what_says_nothing_is_announced_by_what_was_seen() {
    let mut server = server(["--classic-name", "silent"]);
    put(&mut server, "hello.txt", "hello");
}

#[test]
fn what_lies_about_its_address_is_not_believed() {
    let mut server = server(["--classic-name", "lies"]);
    assert!(server.address().starts_with("127.0.0.1:"), "{:?}", server.addresses());
    put(&mut server, "hello.txt", "hello");
    server.events.wait_stderr("does not listen where it says");
}

#[test]
fn an_address_that_is_taken_is_told_before_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ended = setup(["--listen", &address]).start_and_fail();
    assert_eq!(ended.code, TEMPORARY, "{ended:?}");
    assert!(ended.stderr.contains("error[address-in-use]"), "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("--listen"), "{ended:?}");
}

#[test]
fn a_unix_socket_is_refused_with_the_reason() {
    let ended = setup(["--listen", "unix:socket"]).start_and_fail();
    assert_eq!(ended.code, USAGE, "{ended:?}");
    assert!(ended.stderr.contains("error[no-unix-socket]"), "{ended:?}");
    assert!(ended.stderr.contains("WASI 0.2 has only TCP"), "{ended:?}");
}

#[test]
fn a_policy_that_it_could_write_past_is_refused() {
    for flags in [
        ["--quota-bytes", "1GiB"],
        ["--quota-files", "9"],
        ["--min-free", "1GiB"],
        ["--identity-quota-files", "9"],
        ["--max-address-staged", "1GiB"],
    ] {
        let ended = setup(flags).start_and_fail();
        assert_eq!(ended.code, USAGE, "{ended:?}");
        assert!(ended.stderr.contains("error[not-enforced]"), "{ended:?}");
        assert!(ended.stderr.contains("file system or project quota"), "{ended:?}");
    }
    let mut server = server(["--allow-executable", "--records", "memory"]);
    assert_eq!(server.stop(), Some(0));
    assert!(server.events.stderr().contains("--allow-executable --records"));
}

#[test]
fn an_inbox_that_is_gone_ends_the_server_with_its_name() {
    let mut server = server([]);
    fs::rename(server.inbox(), server.inbox().with_extension("gone")).unwrap();
    Connection::open(&server).say("x");
    assert_eq!(server.wait_for_end(), LOCAL_IO);
    let text = server.events.stderr();
    assert!(text.contains("error[inbox-io]: "), "{text}");
    assert!(text.contains(server.inbox().to_str().unwrap()), "{text}");
    assert!(text.contains("hint: check that the directory exists"), "{text}");
}

#[test]
fn nobody_else_can_serve_its_inbox() {
    let server = server([]);
    for second in [setup([]), Setup::new([""; 0])] {
        let ended = second.inbox(server.inbox()).start_and_fail();
        assert_eq!(ended.code, TEMPORARY, "{ended:?}");
        assert!(ended.stderr.contains("error[inbox-locked]"), "{ended:?}");
    }
}
