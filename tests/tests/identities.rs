//! Who a sender is: on one server, anonymous senders over TCP, and the user who runs the tests over a local
//! socket.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use rustix::process::geteuid;
use sandport_protocol::wire::ReceiverMessage;
use sandport_protocol::{Offer, ResumeMode};
use sandport_tests::native::{self, digest};
use sandport_tests::send::command;
use sandport_tests::{Native, Server, Setup, process, send};
use serde_json::Value;

/// A server that listens on TCP and on a local socket; that socket's directory.
struct Both {
    server: Server,
    directory: tempfile::TempDir,
}

impl Both {
    fn start(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        Self { server: serve(flags, directory.path(), &inbox), directory }
    }

    /// Ends the server and starts another.
    fn restart(&mut self, flags: &[&str]) {
        assert_eq!(self.server.stop(), Some(0));
        let inbox = self.server.inbox().to_owned();
        self.server = serve(flags, self.directory.path(), &inbox);
    }

    fn tcp(&self) -> &str {
        &self.server.addresses()[0]
    }

    fn local(&self) -> &str {
        &self.server.addresses()[1]
    }

    /// A file to send; its path.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What `ls` says of the files and uploads that have this name.
    fn listed(&self, name: &str) -> Value {
        let mut ls = command();
        ls.args(["--json", "ls"]).arg(self.server.inbox());
        let ended = process::run(&mut ls, b"");
        let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.into_iter().find(|line| line["name"] == name).expect("it is listed")
    }
}

fn serve(flags: &[&str], directory: &Path, inbox: &Path) -> Server {
    let socket = format!("unix:{}", directory.join("socket").display());
    let listen = ["-l", "127.0.0.1:0", "-l", &socket];
    Setup::new(listen.into_iter().chain(flags.iter().copied())).inbox(inbox).start()
}

/// The user who runs the tests, as an inbox writes it down. Linux uses the number of `nobody` for users that it
/// has no number for, so whoever has that one is anonymous.
fn me() -> Value {
    match geteuid().as_raw() {
        65_534 => Value::Null,
        uid => Value::from(format!("uid:{uid}")),
    }
}

/// Whether this user has an identity; the tests below need two that differ.
fn expect_identity() {
    assert!(!me().is_null(), "run the tests as a user other than nobody (uid 65534)");
}

/// Offers a file with its digest; the answer.
fn ask(address: &str, name: &str, content: &[u8]) -> ReceiverMessage {
    let mut sender = Native::to(address);
    let offer = Offer { digest: Some(digest(content)), ..native::file(name, content.len() as u64) };
    sender.say(&native::offer(0, offer));
    sender.hear().expect("an answer")
}

#[test]
fn what_one_identity_stored_is_told_to_nobody_else() {
    expect_identity();
    let mut both = Both::start(&[]);
    let path = both.file("report", "hello");
    send([path.as_str(), both.local()]).expect_success();
    let event = both.server.events.wait("a stored file", |event| event["type"] == "stored");
    assert_eq!((&event["peer"], &event["identity"]), (&"unix".into(), &me()));
    for restart in [false, true] {
        if restart {
            both.restart(&[]);
        }
        let answer = ask(both.tcp(), "report", b"hello");
        assert!(matches!(answer, ReceiverMessage::Accepted(_)), "{answer:?}");
        let answer = ask(both.local(), "report", b"hello");
        assert!(matches!(answer, ReceiverMessage::AlreadyStored(_)), "{answer:?}");
    }
    send([path.as_str(), both.tcp()]).expect_success();
    let event = both.server.events.wait("a stored file", |event| event["type"] == "stored");
    assert!(event["identity"].is_null(), "{event}");
    // And once more: each meets its own.
    send([path.as_str(), both.tcp()]).expect_success();
    send([path.as_str(), both.local()]).expect_success();
    assert_eq!(both.server.published().len(), 2);
    assert_eq!(both.listed("report")["identity"], me());
    assert_eq!(both.listed("report-1")["identity"], Value::Null);

    let ended = process::run(command().arg("ls").arg(both.server.inbox()), b"");
    let uid = me().as_str().unwrap().to_owned();
    assert!(ended.stdout.contains(&format!("stored      {uid:<10}  report\n")), "{ended:?}");
    assert!(ended.stdout.contains("stored      anonymous   report-1\n"), "{ended:?}");
}

#[test]
fn an_upload_is_resumed_by_the_identity_that_began_it_alone() {
    expect_identity();
    let mut both = Both::start(&[]);
    let content: Vec<u8> = (0..(3_u32 << 20) + 7).map(|at| (at >> 9) as u8).collect();
    let open = |address: &str| {
        let mut sender = Native::to(address);
        let offer = native::resumable("big", content.len() as u64, ResumeMode::TakeOver);
        sender.say(&native::offer(0, offer));
        match sender.hear() {
            Some(ReceiverMessage::Accepted(accepted)) => (sender, accepted.missing[0].offset),
            other => panic!("it is neither here nor refused: {other:?}"),
        }
    };
    let (mut sender, begins) = open(both.local());
    assert_eq!(begins, 0);
    sender.data(0, 0, &content[..1 << 20]);
    // When this one is through, the bytes before it have been staged.
    sender.send(1, "after", b"x");
    sender.outcome(1).unwrap();
    drop(sender);
    both.restart(&[]);
    assert_eq!(both.listed("big")["identity"], me());
    let (stranger, begins) = open(both.tcp());
    assert_eq!(begins, 0, "a stranger who shows the same key begins anew");
    drop(stranger);
    let (mut sender, begins) = open(both.local());
    assert_eq!(begins, 1 << 20);
    sender.data(0, begins, &content[1 << 20..]);
    sender.end(0, &content);
    assert_eq!(sender.outcome(0).unwrap().name, "big");
    assert_eq!(both.server.content("big"), content);
}

#[test]
fn each_identity_has_a_share_that_a_restart_does_not_change() {
    expect_identity();
    let flags = ["--identity-quota-bytes", "8B", "--identity-quota-files", "3"];
    let mut both = Both::start(&flags);
    let path = both.file("first", "12345");
    let more = both.file("more", "1234");
    for restart in [false, true] {
        if restart {
            both.restart(&flags);
        }
        for (address, who) in [(both.local(), "each sender"), (both.tcp(), "anonymous senders")] {
            send([path.as_str(), address]).expect_success();
            let sent = send([more.as_str(), address]);
            assert_eq!((sent.code, sent.failure()), (Some(4), "quota-exceeded"), "{sent:?}");
            let words = sent.of_type("refused")[0]["detail"].as_str().unwrap().to_owned();
            assert!(words.starts_with(who), "{words}");
            assert!(sent.stderr.contains("--identity-quota-bytes"), "{sent:?}");
        }
    }
    // Who makes room makes it for the sender of what is gone. The server that runs counts again after a
    // pause, the next one at once.
    fs::remove_file(both.server.inbox().join("first")).unwrap();
    both.restart(&flags);
    send([more.as_str(), both.local()]).expect_success();
    assert_eq!(send([more.as_str(), both.tcp()]).code, Some(4));
}
