//! Uploads over HTTP that are cut and go on: tus 1.0, and the resumable uploads of the IETF.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rustix::process::geteuid;
use sandport_tests::deadline::until;
use sandport_tests::files::{Tree, kept};
use sandport_tests::http::chunked;
use sandport_tests::tus::{OFFSET_STREAM, TUS, append, begin};
use sandport_tests::{Http, Random, Server, Setup};

const MIB: usize = 1024 * 1024;

const PARTIAL_UPLOAD: (&str, &str) = ("Content-Type", "application/partial-upload");

/// `filename a.bin`
const METADATA: (&str, &str) = ("Upload-Metadata", "filename YS5iaW4=");

/// How far an upload of tus is.
#[track_caller]
fn offset(server: &Server, url: &str) -> u64 {
    let answer = Http::open(server).ask("HEAD", url, &[TUS]);
    assert_eq!((answer.status, answer.need("cache-control")), (200, "no-store"), "{answer:?}");
    answer.number("upload-offset")
}

#[test]
fn an_upload_of_tus_goes_on_where_it_was_cut() {
    let mut server = Server::start([]);
    let content = Random::seeded().bytes(3 * MIB + 5);
    for is_reset in [false, true] {
        let url = begin(&server, content.len(), METADATA);
        assert_eq!(append(&server, &url, 0, &content[..MIB]).number("upload-offset"), MIB as u64);

        let mut cut = Http::open(&server);
        let length = (content.len() - MIB).to_string();
        let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", "1048576")];
        let fields = [&fields[..], &[("Content-Length", length.as_str())]].concat();
        cut.say_head("PATCH", &url, &fields);
        cut.say(&content[MIB..2 * MIB]);
        match is_reset {
            true => cut.reset(),
            false => {
                cut.finish();
                // It may try again.
                cut.answer().expect_refused(503, "cancelled");
                cut.expect_end();
            }
        }
        // A request that is on its way still may come after the next one.
        server.wait_refused("cancelled");
        let here = offset(&server, &url) as usize;
        assert!((MIB..=2 * MIB).contains(&here), "{here}");
        assert!(is_reset || here == 2 * MIB, "what came before an orderly end is kept: {here}");
        let answer = append(&server, &url, MIB - 1, b"x");
        assert_eq!((answer.status, answer.number("upload-offset")), (409, here as u64));

        let answer = append(&server, &url, here, &content[here..]);
        assert_eq!((answer.status, answer.text()), (204, String::new()));
        assert_eq!(answer.number("upload-offset"), content.len() as u64);
        assert_eq!(server.wait_stored(), "a.bin");
        assert!(server.content("a.bin") == content);
        assert_eq!(offset(&server, &url), content.len() as u64);
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published().len(), 1, "no second copy");
}

#[test]
fn an_upload_of_tus_goes_on_at_a_server_that_was_killed() {
    let flags = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];
    let mut server = Server::start(flags);
    let content = Random::seeded().bytes(4 * MIB);
    let url = begin(&server, content.len(), METADATA);
    let mut killed = Http::open(&server);
    let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", "0"), ("Content-Length", "4194304")];
    killed.say_head("PATCH", &url, &fields);
    killed.say(&content[..3 * MIB]);
    until("something of the upload that is kept", || kept(server.inbox()) > 0);
    server.kill();
    let server = Setup::new(flags).inbox(server.inbox()).start();
    let here = offset(&server, &url) as usize;
    assert!((1..=3 * MIB).contains(&here), "{here}");
    assert_eq!(append(&server, &url, here, &content[here..]).status, 204);
    assert!(server.content("a.bin") == content);
}

#[test]
fn an_upload_of_tus_whose_length_is_not_known_learns_it_once() {
    let server = Server::start([]);
    let defers = ("Upload-Defer-Length", "1");
    let answer = Http::open(&server).send("POST", "/files/", &[TUS, defers, METADATA], b"");
    let url = answer.location("/files/");
    assert_eq!(append(&server, &url, 0, b"hello ").status, 204);
    let answer = Http::open(&server).ask("HEAD", &url, &[TUS]);
    assert_eq!((answer.need("upload-defer-length"), answer.field("upload-length")), ("1", None));
    let mut client = Http::open(&server);
    let length = ("Upload-Length", "11");
    let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", "6"), length];
    client.say_head("PATCH", &url, &[&fields[..], &[("Transfer-Encoding", "chunked")]].concat());
    client.say(chunked(b"world", &[2]));
    assert_eq!(client.answer().number("upload-offset"), 11);
    assert_eq!(server.content("a.bin"), b"hello world");
}

#[test]
fn an_upload_of_tus_that_was_ended_leaves_nothing() {
    let mut server = Server::start([]);
    let url = begin(&server, 100_000, METADATA);
    assert_eq!(append(&server, &url, 0, &[7; 50_000]).status, 204);
    assert_eq!(Http::open(&server).ask("DELETE", &url, &[TUS]).status, 204);
    let answer = Http::open(&server).ask("HEAD", &url, &[TUS]);
    assert!(matches!(answer.status, 404 | 410), "{answer:?}");
    assert_eq!(answer.field("upload-offset"), None);
    assert!(matches!(append(&server, &url, 50_000, &[7; 50_000]).status, 404 | 410));
    assert_eq!(kept(server.inbox()), 0);
    server.stop_and_expect_nothing();
}

#[test]
fn what_tus_forbids_is_refused_and_changes_nothing() {
    let server = Server::start(["--max-file", "1MiB"]);
    let url = begin(&server, 10, METADATA);
    let (unknown, collection) = ("/files/AAAA", "/files/");
    let length = ("Upload-Length", "10");
    let at_0 = ("Upload-Offset", "0");
    for (method, target, fields, status) in [
        ("POST", collection, vec![("Tus-Resumable", "0.9.0"), length], 412),
        ("POST", collection, vec![TUS], 400),
        ("POST", collection, vec![TUS, length, ("Upload-Defer-Length", "1")], 400),
        ("POST", collection, vec![TUS, ("Upload-Length", "-1")], 400),
        ("POST", collection, vec![TUS, ("Upload-Length", "1048577")], 413),
        ("POST", collection, vec![TUS, length, ("Upload-Metadata", "filename !")], 400),
        ("POST", collection, vec![TUS, length, ("Upload-Metadata", "filename Li4=")], 400),
        ("PATCH", url.as_str(), vec![TUS, at_0], 415),
        ("PATCH", url.as_str(), vec![TUS, OFFSET_STREAM], 400),
        ("PATCH", url.as_str(), vec![TUS, OFFSET_STREAM, ("Upload-Offset", "1")], 409),
        ("PATCH", unknown, vec![TUS, OFFSET_STREAM, at_0], 404),
        ("PATCH", "/files/no-key!", vec![TUS, OFFSET_STREAM, at_0], 404),
        ("DELETE", unknown, vec![TUS], 404),
    ] {
        let answer = Http::open(&server).send(method, target, &fields, b"");
        assert_eq!(answer.status, status, "{method} {target} {fields:?}: {}", answer.text());
        assert_eq!(answer.need("tus-resumable"), "1.0.0");
    }
    assert_eq!(append(&server, &url, 0, b"longer than it is").status, 413);
    assert_eq!(offset(&server, &url), 0);
    assert_eq!(server.published(), Tree::default());
}

/// As the phone does: all of the file in one request, which is cut; then it asks how far it came, and brings the rest.
#[test]
fn a_resumable_upload_of_the_ietf_goes_on_where_it_was_cut() {
    let mut server = Server::start([]);
    let content = Random::seeded().bytes(3 * MIB + 5);
    for (number, completes) in [
        ("3", "Upload-Incomplete"),
        ("5", "Upload-Complete"),
        ("6", "Upload-Complete"),
        ("8", "Upload-Complete"),
    ] {
        let yes = if number == "3" { "?0" } else { "?1" };
        let version = ("Upload-Draft-Interop-Version", number);
        let name = format!("phone-{number}");
        let length = content.len().to_string();
        let mut cut = Http::open(&server);
        let fields = [version, (completes, yes), ("Content-Length", length.as_str())];
        cut.say_head("POST", &format!("/{name}"), &fields);
        let early = cut.any_answer();
        assert_eq!((early.status, early.need("upload-draft-interop-version")), (104, number));
        let url = early.location(&format!("/{name}"));
        cut.say(&content[..2 * MIB]);
        cut.reset();
        server.wait_refused("cancelled");

        let answer = Http::open(&server).ask("HEAD", &url, &[version]);
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
        let no = if number == "3" { "?1" } else { "?0" };
        assert_eq!(answer.need(completes), no);
        let here = answer.number("upload-offset") as usize;
        assert!(here <= 2 * MIB, "{here}");

        let mut client = Http::open(&server);
        let at_here = here.to_string();
        let fields =
            [version, PARTIAL_UPLOAD, ("Upload-Offset", at_here.as_str()), (completes, yes)];
        let answer = client.send("PATCH", &url, &fields, &content[here..]);
        assert_eq!((answer.status, answer.need(completes)), (201, yes), "{}", answer.text());
        assert!(answer.text().starts_with(&format!("stored: {name}, ")), "{}", answer.text());
        assert!(server.content(&name) == content, "{number}");
    }
}

#[test]
fn a_client_without_a_number_gets_no_interim_answer() {
    let server = Server::start([]);
    let mut client = Http::open(&server);
    let incomplete = ("Upload-Complete", "?0");
    let answer = client.send("PUT", "/parts", &[incomplete], b"one ");
    assert_eq!((answer.status, answer.interim_statuses()), (201, vec![]), "{}", answer.text());
    assert_eq!((answer.need("upload-complete"), answer.number("upload-offset")), ("?0", 4));
    let url = answer.location("/parts");
    let answer =
        client.send("PATCH", &url, &[PARTIAL_UPLOAD, ("Upload-Offset", "3"), incomplete], b"two ");
    assert_eq!((answer.status, answer.number("upload-offset")), (409, 4), "{}", answer.text());
    assert_eq!(answer.json()["expected-offset"], 4);
    let mut client = Http::open(&server);
    let fields = [PARTIAL_UPLOAD, ("Upload-Offset", "4"), incomplete];
    assert_eq!(client.send("PATCH", &url, &fields, b"two ").number("upload-offset"), 8);
    assert_eq!(server.published(), Tree::default(), "it is not complete");
    let fields = [PARTIAL_UPLOAD, ("Upload-Offset", "8"), ("Upload-Complete", "?1")];
    assert_eq!(client.send("PATCH", &url, &fields, b"").status, 201);
    assert_eq!(server.content("parts"), b"one two ");
}

#[test]
fn an_upload_has_its_url_for_its_own_sender_alone() {
    assert_ne!(geteuid().as_raw(), 65_534, "run the tests as a user other than nobody");
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let server = Setup::new(["-l", "127.0.0.1:0", "-l", &socket]).start();
    let url = begin(&server, 10, METADATA);
    for (method, fields) in [
        ("HEAD", vec![TUS]),
        ("HEAD", vec![]),
        ("DELETE", vec![TUS]),
        ("PATCH", vec![TUS, OFFSET_STREAM, ("Upload-Offset", "0"), ("Content-Length", "0")]),
        ("PATCH", vec![PARTIAL_UPLOAD, ("Upload-Offset", "0"), ("Upload-Complete", "?1")]),
    ] {
        let answer = Http::to(server.addresses()[1].as_str()).ask(method, &url, &fields);
        assert_eq!(answer.status, 404, "{method} {fields:?}");
    }
    // Its own sender has it still.
    assert_eq!(append(&server, &url, 0, b"0123456789").status, 204);
}
