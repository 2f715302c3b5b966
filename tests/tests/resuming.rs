//! Uploads that are cut and gone on with, by the real programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use rustix::process::Signal;
use sandport_protocol::wire::{ReceiverMessage, SenderMessage};
use sandport_protocol::{Offer, ResumeMode};
use sandport_tests::deadline::until;
use sandport_tests::files::kept;
use sandport_tests::process::{self, Running};
use sandport_tests::{Native, Random, Sent, Server, Setup, native, send};

const MIB: usize = 1024 * 1024;

/// Watermarks come soon, so that a cut costs little.
const FLAGS: [&str; 4] = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];

/// An offer that can be resumed.
fn offer(name: &str, size: usize, mode: ResumeMode) -> SenderMessage {
    native::offer(0, native::resumable(name, size as u64, mode))
}

/// What is missing, by the verdict on an offer.
fn missing(sender: &mut Native) -> Vec<(u64, Option<u64>)> {
    match sender.hear() {
        Some(ReceiverMessage::Accepted(accepted)) => {
            accepted.missing.iter().map(|extent| (extent.offset, extent.length)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_server_tells_what_is_durable_and_a_cut_costs_none_of_it() {
    let mut server = Server::start(FLAGS);
    let content = Random::seeded().bytes(5 * MIB);
    let mut sender = Native::open(&server);
    sender.say(&offer("big", content.len(), ResumeMode::TakeOver));
    assert_eq!(missing(&mut sender), [(0, Some(content.len() as u64))]);
    sender.data(0, 0, &content[..3 * MIB + 7]);
    sender.wait_durable(0, 3 * MIB as u64 + 7);
    server.kill();

    let server = Setup::new(FLAGS).inbox(server.inbox()).start();
    let mut sender = Native::open(&server);
    sender.say(&offer("big", content.len(), ResumeMode::TakeOver));
    let from = 3 * MIB + 7;
    assert_eq!(missing(&mut sender), [(from as u64, Some((content.len() - from) as u64))]);
    sender.data(0, from as u64, &content[from..]);
    sender.say(&native::finish(0, &content));
    assert_eq!(sender.outcome(0).unwrap().name, "big");
    assert_eq!(server.content("big"), content);
}

#[test]
fn a_connection_that_is_taken_over_hears_so_while_it_waits() {
    let server = Server::start(FLAGS);
    let content = Random::seeded().bytes(3 * MIB);
    let mut older = Native::open(&server);
    older.say(&offer("big", content.len(), ResumeMode::TakeOver));
    missing(&mut older);
    older.data(0, 0, &content[..MIB]);
    older.wait_durable(0, MIB as u64);
    let mut newer = Native::open(&server);
    newer.say(&offer("big", content.len(), ResumeMode::TakeOver));
    assert_eq!(missing(&mut newer), [(MIB as u64, Some(2 * MIB as u64))]);
    assert_eq!(older.outcome(0).unwrap_err().code.as_str(), "locked");
    newer.data(0, MIB as u64, &content[MIB..]);
    newer.say(&native::finish(0, &content));
    newer.outcome(0).unwrap();
    assert_eq!(server.content("big"), content);
}

#[test]
fn two_connections_carry_one_file() {
    let server = Server::start(FLAGS);
    let content = Random::seeded().bytes(4 * MIB + 9);
    let mut first = Native::open(&server);
    let mut second = Native::open(&server);
    first.say(&offer("big", content.len(), ResumeMode::TakeOver));
    missing(&mut first);
    second.say(&offer("big", content.len(), ResumeMode::Join));
    missing(&mut second);
    second.data(0, 2 * MIB as u64, &content[2 * MIB..]);
    second.say(&native::finish(0, &content));
    first.data(0, 0, &content[..2 * MIB]);
    first.say(&native::finish(0, &content));
    assert_eq!(first.outcome(0), second.outcome(0));
    assert_eq!(server.content("big"), content);
}

#[test]
fn ranges_that_do_not_belong_there_are_refused_without_change() {
    let server = Server::start(FLAGS);
    let content = Random::seeded().bytes(4 * MIB + 9);
    let size = content.len();
    let mut sender = Native::open(&server);
    sender.say(&offer("big", size, ResumeMode::TakeOver));
    missing(&mut sender);
    sender.data(0, 0, &content[..2 * MIB + 5]);
    sender.wait_durable(0, 2 * MIB as u64 + 5);
    let rest = [(2 * MIB as u64 + 5, Some((size - 2 * MIB - 5) as u64))];

    let other = vec![0xee; 2 * MIB];
    for (offset, length, what) in [
        (0, MIB, "a range that came before, with other bytes"),
        (MIB, MIB + MIB / 2, "an overlap"),
        (2 * MIB, 100, "an overlap of the last bytes"),
        (3 * MIB + 1, 100, "a gap that is no group"),
        (size, 1, "an offset at the end"),
        (size + MIB, 1, "an offset beyond the end"),
        (4 * MIB, 10, "a range beyond the end"),
        (usize::MAX, 1, "an offset beyond any end"),
    ] {
        let mut sender = Native::open(&server);
        sender.say(&offer("big", size, ResumeMode::TakeOver));
        assert_eq!(missing(&mut sender), rest, "{what}");
        sender.data(0, offset as u64, &other[..length]);
        assert_eq!(sender.outcome(0).unwrap_err().code.as_str(), "offset-mismatch", "{what}");
    }

    // The key stands for one file.
    for (name, size) in [("big", size - 1), ("big", size + 1), ("other", size)] {
        let mut sender = Native::open(&server);
        sender.say(&offer(name, size, ResumeMode::TakeOver));
        assert_eq!(sender.outcome(0).unwrap_err().code.as_str(), "invalid-state", "{name} {size}");
    }

    // And what is finished with the digest of something else is nothing.
    let mut sender = Native::open(&server);
    sender.say(&offer("big", size, ResumeMode::TakeOver));
    assert_eq!(missing(&mut sender), rest);
    sender.data(0, rest[0].0, &content[2 * MIB + 5..]);
    sender.say(&native::finish(0, &[&content[1..], b"x"].concat()));
    assert_eq!(sender.outcome(0).unwrap_err().code.as_str(), "digest-mismatch");
    assert_eq!(server.published().len(), 0);

    let mut sender = Native::open(&server);
    sender.say(&offer("big", size, ResumeMode::TakeOver));
    assert_eq!(missing(&mut sender), [(0, Some(size as u64))], "all of it has to come again");
    sender.data(0, 0, &content);
    sender.say(&native::finish(0, &content));
    sender.outcome(0).unwrap();
    assert!(server.content("big") == content);
}

#[test]
fn nothing_is_left_of_a_stream_that_is_longer_than_files_may_be() {
    let server = Setup::new(FLAGS.into_iter().chain(["--max-file", "3MiB"])).start();
    let content = Random::seeded().bytes(2 * MIB);
    let mut sender = Native::open(&server);
    let stream = native::resumable("stream", 0, ResumeMode::TakeOver);
    sender.say(&native::offer(0, Offer { size: None, ..stream }));
    assert_eq!(missing(&mut sender), [(0, None)]);
    sender.data(0, 0, &content);
    sender.wait_durable(0, content.len() as u64);
    sender.data(0, content.len() as u64, &content);
    assert_eq!(sender.outcome(0).unwrap_err().code.as_str(), "too-large");
    let partials = server.inbox().join(".sandport/partials");
    until("the end of the stream", || std::fs::read_dir(&partials).unwrap().count() == 0);
}

/// Sends a file, and kills the sender when the server has some of it. The pace is a pipe's: the sender is
/// given no more than it may send before the kill.
fn cut_off(directory: &Path, server: &Server, content: &[u8]) {
    std::fs::write(directory.join("big"), content).unwrap();
    let partials = server.inbox().join(".sandport/partials");
    let mut command = send::command();
    command.current_dir(directory).args(["send", "--state-dir", "state", "big", server.address()]);
    let sender = Running::start(&mut command, b"");
    // The journal says something as soon as something is kept.
    until("something that is kept, or all of it", || {
        let names = sandport_tests::files::names_in(&partials);
        let is_kept = |name: &String| {
            let journal = std::fs::metadata(partials.join(name));
            name.ends_with("journal") && journal.is_ok_and(|journal| journal.len() > 0)
        };
        names.iter().any(is_kept) || server.inbox().join("big").exists()
    });
    sender.signal(Signal::KILL);
    sender.finish();
}

fn again(directory: &Path, server: &Server) -> Sent {
    send::send_with(directory, b"", ["--state-dir", "state", "big", server.address()])
}

#[test]
fn a_later_run_resumes_after_a_kill_and_drops_the_key() {
    let server = Server::start(FLAGS);
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(64 * MIB);
    cut_off(directory.path(), &server, &content);
    let sent = again(directory.path(), &server).expect_success();
    if let Some(resumed) = sent.of_type("resumed").first() {
        assert!(resumed["kept"].as_u64().unwrap() >= MIB as u64, "{resumed}");
        assert_eq!(sent.names("stored"), ["big"]);
    } else {
        // The first one was faster than the kill.
        assert_eq!(sent.names("already-stored"), ["big"]);
    }
    assert!(server.content("big") == content);
    assert_eq!(sandport_tests::files::keys_in(&directory.path().join("state")), [""; 0]);
    assert_eq!(server.published().len(), 1);
}

#[test]
fn a_file_that_changed_after_a_cut_begins_anew_and_says_so() {
    let server = Server::start(FLAGS);
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::seeded();
    cut_off(directory.path(), &server, &random.bytes(64 * MIB));
    // Shorter than what may be there.
    let changed = random.bytes(2 * MIB);
    std::fs::write(directory.path().join("big"), &changed).unwrap();
    let was_through = server.inbox().join("big").exists();
    let sent = again(directory.path(), &server).expect_success();
    if !was_through {
        assert_eq!(sent.of_type("restarted")[0]["code"], "changed");
        assert!(server.content("big") == changed);
    }
    assert!(sent.of_type("resumed").is_empty());
}

#[test]
fn no_resume_goes_with_any_state_directory_and_leaves_no_key() {
    let server = Server::start([""; 0]);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("big"), Random::seeded().bytes(2 * MIB)).unwrap();
    for flags in [&[][..], &["--state-dir", "state"]] {
        let mut command = send::command();
        command.current_dir(directory.path()).env("SANDPORT_STATE_DIR", "state");
        command.args(["send", "--no-resume", "big", server.address()]).args(flags);
        let ended = process::run(&mut command, b"");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!directory.path().join("state").exists());
    }
}

#[test]
fn a_sender_lives_through_the_death_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let inbox = directory.path().join("inbox");
    let start = || {
        let flags = FLAGS.into_iter().chain(["-l", &socket]);
        Setup::new(flags).inbox(&inbox).start()
    };
    let mut server = start();
    let content = Random::seeded().bytes(8 * MIB);
    let mut command = send::command();
    command.args(["--json", "send", "--retries", "20", "--name", "s", "-", &socket]);
    let (sender, input) = Running::open(&mut command);
    input.write(&content[..5 * MIB]);
    until("something that is kept of the stream", || kept(&inbox) > 0);
    server.kill();
    let server = start();
    input.write(&content[5 * MIB..]);
    drop(input);
    let ended = sender.finish();
    let text = &ended.stdout;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(text.contains("\"reconnecting\"") && text.contains("\"resumed\""), "{text}");
    assert!(server.content("s") == content);
}
