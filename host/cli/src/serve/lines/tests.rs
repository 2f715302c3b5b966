//! The lines that are written, in each form.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_inbox::Identity;
use sandport_protocol::{Digest, Receipt, RefusalCode};
use serde_json::json;

use super::*;

fn written(form: Form, happened: &Happened) -> String {
    let mut line = Vec::new();
    happened.write(form, &mut line);
    String::from_utf8(line).unwrap()
}

fn remote() -> Peer {
    Peer::new("192.0.2.7:1", Identity::ANONYMOUS)
}

fn stored() -> Happened {
    let receipt = Receipt {
        name: String::from("a\u{1b}[2Jb"),
        size: 2_048,
        digest: Digest::Blake3([0xab; 32]),
        proof: None,
    };
    Happened::Server(ServerEvent::Stored { peer: remote(), receipt })
}

#[test]
fn the_ready_line_names_every_address_and_the_inbox() {
    let addresses = vec!["127.0.0.1:7".parse().unwrap(), "unix:/run/s".parse().unwrap()];
    let dir = PathBuf::from("inbox");
    let limitations = vec![Limitation::CaseInsensitiveNames];
    assert_eq!(limits_of(&limitations).len(), 1);
    let ready = Ready { limitations, encryption: None };
    let ready = Happened::Ready { addresses, dir, ready, first: false };
    assert_eq!(
        written(Form::Words, &ready),
        "Sandport is ready on 127.0.0.1:7, unix:/run/s, inbox ./inbox\n"
    );
    let json: Value = serde_json::from_str(&written(Form::Json, &ready)).unwrap();
    assert_eq!(
        json,
        json!({
            "type": "listening",
            "addresses": ["127.0.0.1:7", "unix:/run/s"],
            "inbox": "inbox",
            "file_system": [{
                "limitation": "case-insensitive-names",
                "detail": "names are case-insensitive: --conflict replace replaces only files of exactly the \
                           same name",
            }],
        })
    );
}

#[test]
fn a_received_file_has_a_line_and_no_power_over_the_terminal() {
    assert_eq!(
        written(Form::Words, &stored()),
        "received a\\u{1b}[2Jb (2.0 KiB) from 192.0.2.7:1\n"
    );
    assert_eq!(written(Form::FewWords, &stored()), "");
    let json: Value = serde_json::from_str(&written(Form::Json, &stored())).unwrap();
    assert_eq!(json["name"], "a\u{1b}[2Jb");
    assert_eq!(json["digest"], format!("blake3:{}", "ab".repeat(32)));
}

#[test]
fn what_a_form_does_not_tell_has_no_line() {
    let setup = Duration::from_micros(40);
    let ready = ServerEvent::SandboxReady { peer: remote(), setup };
    let Happened::Server(stored) = stored() else { unreachable!() };
    for form in [Form::Words, Form::FewWords, Form::Json] {
        for event in [&ready, &stored] {
            let line = written(form, &Happened::Server(event.clone()));
            assert_eq!(form.tells(event), !line.is_empty(), "{form:?} {event:?}");
        }
    }
}

#[test]
fn a_refusal_is_told_even_to_the_quiet() {
    let refusal = Refusal::new(RefusalCode::NameInvalid, "it climbs\nout");
    let peer = Peer::local(Identity::user(1000));
    let refused = Happened::Server(ServerEvent::UploadRefused {
        peer,
        name: Some(String::from("../x")),
        refusal,
    });
    assert_eq!(
        written(Form::FewWords, &refused),
        "refused ../x from unix (uid:1000): name-invalid: it climbs\\nout\n"
    );
    for (name, shown) in [("", "\"\""), (" ", "\" \""), ("a b", "a b")] {
        assert_eq!(named(name), shown);
    }
}

#[test]
fn compiling_is_told_to_people_who_want_words() {
    let event = ServerEvent::Compiling { name: String::from("a\u{1b}.wasm") };
    let told = [Form::Words, Form::Json, Form::FewWords].map(|form| form.tells(&event));
    assert_eq!(told, [true, false, false]);
    let words = talk_of(&Happened::Server(event)).unwrap();
    assert_eq!(words, "Compiling a\\u{1b}.wasm. A large component takes a minute.");
}

#[test]
fn last_words_follow_on_lines_that_are_marked() {
    let trapped = |last_words: &str| {
        let (peer, reason) = (remote(), String::from("wasm `unreachable`"));
        let last_words = last_words.to_owned();
        Happened::Server(ServerEvent::Trapped { peer, reason, last_words })
    };
    let plain = "error[trapped]: the receiver of 192.0.2.7:1 trapped: wasm `unreachable`";
    assert_eq!(talk_of(&trapped("")).unwrap(), plain);
    let words = "thread panicked\r\n\n\u{1b}[2Jerror[x]: forged\n";
    assert_eq!(
        talk_of(&trapped(words)).unwrap(),
        format!("{plain}\n  | thread panicked\n  | \\u{{1b}}[2Jerror[x]: forged")
    );
    let many = talk_of(&trapped(&"x\n".repeat(2_048))).unwrap();
    assert_eq!(many.lines().count(), 1 + LAST_LINES_MAX);
    assert_eq!(json_of(&trapped(words)).unwrap()["last_words"], words);
}

#[test]
fn the_limits_that_were_met_are_told_at_the_end() {
    let limits = vec![(Limit::Idle, 3), (Limit::FirstByte, 1)];
    let stopped = Happened::Stopped { limits };
    assert_eq!(talk_of(&stopped).unwrap(), "Limits met: idle 3, first-byte 1.");
    assert_eq!(json_of(&stopped).unwrap()["limits"], json!({"idle": 3, "first-byte": 1}));
    let quiet = Happened::Stopped { limits: Vec::new() };
    assert_eq!(talk_of(&quiet), None);
    assert_eq!(json_of(&quiet).unwrap(), json!({"type": "stopped", "limits": {}}));
}

#[test]
fn a_lost_inbox_is_told_in_every_form_with_what_to_do() {
    let lost = Happened::Server(ServerEvent::InboxLost {
        code: "inbox-gone",
        reason: String::from("the inbox a\u{1b}b is gone"),
    });
    let talk = "error[inbox-gone]: the inbox a\\u{1b}b is gone. The server stops.\nhint: mount it or create it \
                again, then start the server";
    assert_eq!(talk_of(&lost).as_deref(), Some(talk));
    let Happened::Server(event) = &lost else { unreachable!() };
    assert!([Form::Words, Form::FewWords, Form::Json].iter().all(|form| form.tells(event)));
    let json: Value = serde_json::from_str(&written(Form::Json, &lost)).unwrap();
    assert_eq!((&json["type"], &json["code"]), (&json!("inbox-lost"), &json!("inbox-gone")));
}
