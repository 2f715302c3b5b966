//! nginx, haproxy and caddy before the real server: what passes, and with which settings.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use sandport_tests::deadline::until;
use sandport_tests::http_clients::{Kind, Proxy, run, tus_js};
use sandport_tests::tus::{NAMED_A, OFFSET_STREAM, TUS};
use sandport_tests::{Fate, Http, Random, Server};
use serde_json::json;

const MIB: usize = 1024 * 1024;

/// More than the buffers on the way hold. Bytes.
const LARGE_BYTES: usize = 12 * MIB + 9;

/// Whether a proxy sends on what came of a request before it is whole. Where not, a cut costs all of the request, and
/// nobody learns the URL of an upload in time.
fn streams(kind: Kind) -> bool {
    !matches!(kind, Kind::Nginx | Kind::CaddyBuffered)
}

/// Whether `104` passes. nginx speaks HTTP/1.0 to the server, which knows none.
fn passes_104(kind: Kind) -> bool {
    !matches!(kind, Kind::Nginx | Kind::NginxUnbuffered)
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn files_pass_each_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(LARGE_BYTES);
    fs::write(directory.path().join("large"), &content).unwrap();
    for kind in Kind::ALL {
        let server = Server::start([]);
        let proxy = Proxy::before(&server, kind, []);
        let url = format!("http://{}/", proxy.front.address());
        let curl = |arguments: &[&str], stdin: &[u8]| {
            let arguments = ["-q", "-sS", "--fail"].iter().chain(arguments);
            let ended = run("curl", directory.path(), arguments, stdin);
            assert_eq!(ended.code, Some(0), "{kind:?} {ended:?}");
            ended.stdout
        };
        assert!(curl(&["-T", "large", &url], b"").starts_with("stored: large, "));
        curl(&["-T", "-", &format!("{url}chunked")], &content);
        curl(&["-F", "file=@large;filename=form", &url], b"");
        for name in ["large", "chunked", "form"] {
            assert!(server.content(name) == content, "{kind:?}: {name}");
        }
        let refused = ["-q", "-sS", "--fail", "-T", "large", &format!("{url}.sandport/a")];
        let ended = run("curl", directory.path(), refused, b"");
        assert_eq!(ended.code, Some(22), "{kind:?} {ended:?}");
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_and_ietf_uploads_pass_each_proxy_and_resume_there() {
    let directory = tempfile::tempdir().unwrap();
    let content = Random::seeded().bytes(LARGE_BYTES);
    let path = directory.path().join("large");
    fs::write(&path, &content).unwrap();
    for kind in Kind::ALL {
        for (version, protocol) in [(4, "tus-v1"), (5, "ietf-draft-05")] {
            let server = Server::start([]);
            let cut = Fate::Cut(8 * MIB as u64);
            let proxy = Proxy::before(&server, kind, [cut, cut]);
            let told = tus_js(
                version,
                &json!({
                    "endpoint": format!("http://{}/files/", proxy.front.address()),
                    "file": path,
                    "protocol": protocol,
                    "metadata": { "filename": "large" },
                }),
            );
            assert_eq!(told.code, Some(0), "{kind:?} {protocol}: {told:?}");
            assert!(proxy.front.struck() > 0, "{kind:?} {protocol}: nothing was cut");
            assert!(server.content("large") == content, "{kind:?} {protocol}");
            let asks = told.requests().iter().any(|request| request.starts_with("HEAD 20"));
            assert!(asks, "{kind:?} {protocol}: {told:?}");
        }
    }
}

/// What a proxy has in its hands when a client is cut may be lost. What it has passed on is not.
#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn an_upload_goes_on_behind_what_a_proxy_has_passed_on() {
    let content = Random::seeded().bytes(4 * MIB);
    for kind in Kind::ALL.into_iter().filter(|kind| streams(*kind)) {
        let server = Server::start(["--watermark-size", "1MiB", "--watermark-time", "1ms"]);
        let proxy = Proxy::before(&server, kind, []);
        let to = proxy.front.address();
        let fields = [TUS, ("Upload-Length", "4194304"), NAMED_A];
        let url = Http::to(to).send("POST", "/files/", &fields, b"").location("/files/");
        let mut cut = Http::to(to);
        let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", "0"), ("Content-Length", "4194304")];
        cut.say_head("PATCH", &url, &fields);
        cut.say(&content[..3 * MIB]);
        // A GET takes the upload from nobody.
        until(format_args!("{kind:?} to pass on a part of a request"), || {
            Http::open(&server).ask("GET", &url, &[TUS]).number("upload-offset") > 0
        });
        cut.reset();
        let answer = Http::to(to).ask("HEAD", &url, &[TUS]);
        let here = answer.number("upload-offset") as usize;
        assert!((1..=3 * MIB).contains(&here), "{kind:?}: {here}");
        let at_here = here.to_string();
        let fields = [TUS, OFFSET_STREAM, ("Upload-Offset", at_here.as_str())];
        let answer = Http::to(to).send("PATCH", &url, &fields, &content[here..]);
        assert_eq!(answer.status, 204, "{kind:?} {}", answer.text());
        assert!(server.content("a") == content, "{kind:?}");
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn a_tus_upload_has_the_right_url_behind_a_proxy_with_a_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "hello").unwrap();
    for version in [4, 5] {
        let server = Server::start([]);
        let proxy = Proxy::before(&server, Kind::Nginx, []);
        let endpoint = format!("http://{}/below/files/", proxy.front.address());
        let metadata = json!({ "filename": "a" });
        let options = json!({ "endpoint": endpoint, "file": path, "metadata": metadata });
        let told = tus_js(version, &options);
        let url = told.event("success")["url"].as_str().unwrap();
        assert!(url.starts_with(&endpoint), "{url}");
        assert_eq!(server.content("a"), b"hello");
    }
}

/// As the phone does: it goes on only where it has learnt the URL by an interim answer before it was cut.
#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn the_url_of_an_upload_comes_early_through_streaming_proxies() {
    let content = Random::seeded().bytes(3 * MIB);
    let version = ("Upload-Draft-Interop-Version", "8");
    let completes = ("Upload-Complete", "?1");
    for kind in Kind::ALL {
        let server = Server::start([]);
        let proxy = Proxy::before(&server, kind, []);
        let to = proxy.front.address();
        let mut client = Http::to(to);
        client.say_head("POST", "/phone", &[version, completes, ("Content-Length", "3145728")]);
        client.say(&content[..MIB]);
        if !(streams(kind) && passes_104(kind)) {
            client.say(&content[MIB..]);
            let answer = client.answer();
            let expected = if passes_104(kind) { vec![104] } else { vec![] };
            assert_eq!((answer.status, answer.interim_statuses()), (201, expected), "{kind:?}");
            continue;
        }
        let early = client.any_answer();
        assert_eq!((early.status, early.need(version.0)), (104, "8"), "{kind:?}");
        let url = early.location("/phone");
        client.reset();
        let answer = Http::to(to).ask("HEAD", &url, &[version]);
        let here = answer.number("upload-offset") as usize;
        assert!(here <= MIB, "{kind:?}: {here}");
        let at_here = here.to_string();
        let fields = [
            version,
            completes,
            ("Upload-Offset", at_here.as_str()),
            ("Content-Type", "application/partial-upload"),
        ];
        let answer = Http::to(to).send("PATCH", &url, &fields, &content[here..]);
        assert_eq!(answer.status, 201, "{kind:?}: {}", answer.text());
        assert!(server.content("phone") == content, "{kind:?}");
    }
}
