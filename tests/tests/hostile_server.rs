//! `sandport send` to servers that mean no good: what they say reaches nobody's terminal as it is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;

use sandport_protocol::wire::{PREFACE, ReceiverMessage, Refused, Stored, Welcome};
use sandport_protocol::{Receipt, Refusal, RefusalCode};
use sandport_tests::native::digest;
use sandport_tests::process::Ended;
use sandport_tests::send::command;
use sandport_tests::{peer, process};

/// Clears the screen, colours what follows, and turns its direction round.
const TRICKS: &str = "\u{1b}[2J\u{9b}31m\u{202e}later\r\n\u{7}";

/// What a terminal would obey.
const OBEYED: [char; 4] = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}'];

/// Sends a file to a server that answers each connection with these bytes, in words and with `--json`.
fn send_to(answer: Vec<u8>) -> [Ended; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    peer::serve(listener, move |mut stream| {
        // The hello, and whatever follows: the sender may hang up at any of these.
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "hello").unwrap();
    [&["send"][..], &["--json", "send"]].map(|words| {
        let mut command = command();
        command.current_dir(directory.path()).args(words).args(["file", &address]);
        process::run(&mut command, b"")
    })
}

fn session(messages: &[ReceiverMessage]) -> Vec<u8> {
    let frames = messages.iter().map(|message| message.encode_frame().unwrap());
    [PREFACE.to_vec()].into_iter().chain(frames).collect::<Vec<_>>().concat()
}

fn welcome() -> ReceiverMessage {
    ReceiverMessage::Welcome(Welcome {
        version: 1,
        agent: TRICKS.to_owned(),
        max_file_size: None,
        max_uploads_ahead: 10,
        max_bytes_ahead: 1 << 20,
        idle_timeout_ms: 600_000,
        challenge: Vec::new(),
    })
}

#[track_caller]
fn expect_harmless(answer: Vec<u8>, code: i32) {
    for ended in send_to(answer) {
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(!ended.stdout.contains(OBEYED) && !ended.stderr.contains(OBEYED), "{ended:?}");
    }
}

#[test]
fn the_words_of_a_refusal_have_no_power_over_the_terminal() {
    let refusal = Refusal::new(RefusalCode::NotPermitted, TRICKS);
    let refused = ReceiverMessage::Refused(Refused { id: 0, refusal: refusal.clone() });
    expect_harmless(session(&[welcome(), refused]), 4);
    expect_harmless(session(&[ReceiverMessage::Goodbye(refusal)]), 4);
}

#[test]
fn the_name_in_a_receipt_has_no_power_over_the_terminal() {
    let name = TRICKS.to_owned();
    let receipt = Receipt { name, size: 5, digest: digest(b"hello"), proof: None };
    let stored = ReceiverMessage::AlreadyStored(Stored { id: 0, receipt });
    for ended in send_to(session(&[welcome(), stored])) {
        assert!(!ended.stdout.contains(OBEYED) && !ended.stderr.contains(OBEYED), "{ended:?}");
    }
}

#[test]
fn bytes_of_another_protocol_have_no_power_over_the_terminal() {
    expect_harmless(format!("SSH-2.0-{TRICKS}").into_bytes(), 4);
}
