//! Uploads of tus that the server puts together out of others.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::deadline::until;
use sandport_tests::files::{Tree, kept};
use sandport_tests::http::Answer;
use sandport_tests::tus::{OFFSET_STREAM, TUS, append, begin};
use sandport_tests::{Http, Random, Server, Setup};

const MIB: usize = 1024 * 1024;

/// What a part is.
const PART: (&str, &str) = ("Upload-Concat", "partial");

/// `filename whole`
const METADATA: (&str, &str) = ("Upload-Metadata", "filename d2hvbGU=");

/// Parts of which this is the content; their URLs.
#[track_caller]
fn parts(server: &Server, pieces: &[&[u8]]) -> Vec<String> {
    let bring = |piece: &&[u8]| {
        let url = begin(server, piece.len(), PART);
        if !piece.is_empty() {
            assert_eq!(append(server, &url, 0, piece).status, 204);
        }
        url
    };
    pieces.iter().map(bring).collect()
}

/// Asks for an upload out of these, by URLs of another host as one behind a proxy has them.
fn join(server: &Server, urls: &[String]) -> Answer {
    let urls: Vec<_> = urls.iter().map(|url| format!("https://files.example/up{url}")).collect();
    let concat = format!("final;{}", urls.join(" "));
    let fields = [TUS, ("Upload-Concat", concat.as_str()), METADATA];
    Http::open(server).send("POST", "/files/", &fields, b"")
}

fn ask(server: &Server, url: &str) -> Answer {
    Http::open(server).ask("HEAD", url, &[TUS])
}

#[test]
fn a_final_upload_is_stored_with_its_receipt_and_its_parts_go() {
    let mut server = Server::start([]);
    let content = Random::seeded().bytes(5 * MIB + 77);
    let pieces =
        [&content[..2 * MIB + 5], b"", &content[2 * MIB + 5..4 * MIB], &content[4 * MIB..]];
    let urls = parts(&server, &pieces);
    assert_eq!(server.published(), Tree::default(), "parts are no files");
    for (url, piece) in urls.iter().zip(pieces) {
        let answer = ask(&server, url);
        assert_eq!(answer.need("upload-concat"), "partial");
        assert_eq!(answer.number("upload-offset"), piece.len() as u64);
    }
    let answer = join(&server, &urls);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.number("upload-offset"), content.len() as u64);
    assert_eq!(server.wait_stored(), "whole");
    assert!(server.content("whole") == content);
    let url = answer.location("/files/");
    let found = ask(&server, &url);
    assert!(found.need("upload-concat").starts_with("final;https://files.example/up/files/"));
    let size = content.len() as u64;
    assert_eq!((found.number("upload-length"), found.number("upload-offset")), (size, size));
    assert_eq!(append(&server, &url, content.len(), b"x").status, 403);
    for url in &urls {
        assert!(matches!(ask(&server, url).status, 404 | 410));
    }
    assert_eq!(kept(server.inbox()), 0);
    assert_eq!(join(&server, &urls).status, 404);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published().len(), 1);
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn a_final_upload_begun_before_its_parts_is_stored_when_asked() {
    let server = Server::start([]);
    let urls = [begin(&server, 6, PART), begin(&server, 5, PART)];
    let answer = join(&server, &urls);
    assert_eq!((answer.status, answer.field("upload-offset")), (201, None), "{}", answer.text());
    let url = answer.location("/files/");
    assert_eq!(append(&server, &urls[1], 0, b"world").status, 204);
    let waits = ask(&server, &url);
    assert_eq!((waits.status, waits.field("upload-offset")), (200, None));
    assert_eq!(waits.number("upload-length"), 11);
    assert_eq!(append(&server, &url, 0, b"x").status, 403);
    assert_eq!(append(&server, &urls[0], 0, b"hello ").status, 204);
    assert_eq!(ask(&server, &url).number("upload-offset"), 11);
    assert_eq!(server.content("whole"), b"hello world");
}

/// The first bytes of a chunk group are held in memory, and are written when the length is told if not before.
#[test]
fn parts_whose_length_is_told_last_are_put_together() {
    let server = Server::start([]);
    let mut random = Random::seeded();
    let pieces: Vec<_> =
        [1, 14, 700, 1_024, 1_025, MIB, MIB + 700].map(|size| random.bytes(size)).into();
    let bring = |piece: &Vec<u8>| {
        let fields = [TUS, ("Upload-Defer-Length", "1"), PART];
        let answer = Http::open(&server).send("POST", "/files/", &fields, b"");
        assert_eq!(answer.status, 201, "{}", answer.text());
        let url = answer.location("/files/");
        assert_eq!(append(&server, &url, 0, piece).status, 204);
        let size = piece.len().to_string();
        let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", &size), ("Upload-Length", &size)];
        let told = Http::open(&server).send("PATCH", &url, &fields, b"");
        assert_eq!(told.status, 204, "{}", told.text());
        url
    };
    let urls: Vec<_> = pieces.iter().map(bring).collect();
    let answer = join(&server, &urls);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(server.content("whole") == pieces.concat());
}

#[test]
fn what_cannot_be_put_together_is_refused_and_its_parts_stay() {
    let server = Server::start(["--max-file", "1MiB"]);
    let urls = parts(&server, &[&[7; 600_000], &[8; 600_000]]);
    join(&server, &urls).expect_refused(413, "too-large");
    join(&server, &[urls[0].clone(), "/files/AAAA".into()]).expect_refused(404, "invalid-state");
    join(&server, &vec![urls[0].clone(); 65]).expect_refused(400, "too-many");
    assert_eq!(join(&server, &urls[..1]).status, 201);
    assert_eq!(ask(&server, &urls[1]).number("upload-offset"), 600_000);
    assert_eq!(server.published().len(), 1);
}

/// Whether it was in the middle or not: what was acknowledged is there, and the same request can come again.
#[test]
fn a_server_killed_while_it_concatenates_has_the_parts() {
    let flags = ["--watermark-size", "1MiB", "--watermark-time", "1ms"];
    let mut server = Server::start(flags);
    let content = Random::seeded().bytes(48 * MIB + 5);
    let urls = parts(&server, &[&content[..20 * MIB + 1], &content[20 * MIB + 1..]]);
    let mut killed = Http::open(&server);
    let concat = format!("final;{}", urls.join(" "));
    killed.say_head("POST", "/files/", &[TUS, ("Upload-Concat", concat.as_str()), METADATA]);
    until("something of the final upload that is kept, or its end", || {
        kept(server.inbox()) > content.len() as u64 || !server.published().is_empty()
    });
    server.kill();
    let is_stored = !server.published().is_empty();
    let server = Setup::new(flags).inbox(server.inbox()).start();
    if !is_stored {
        for url in &urls {
            let answer = ask(&server, url);
            assert_eq!(answer.number("upload-offset"), answer.number("upload-length"));
        }
        assert_eq!(join(&server, &urls).status, 201);
    }
    assert!(server.content("whole") == content);
}
