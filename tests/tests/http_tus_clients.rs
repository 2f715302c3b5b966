//! Clients of tus, and of the resumable uploads of the IETF, that others have written: whole uploads, and some that are
//! cut on their way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;

use sandport_tests::files::kept;
use sandport_tests::http_clients::{Page, Told, python, tus_js};
use sandport_tests::{Fate, Http, Middlebox, Random, Server, Setup};
use serde_json::{Value, json};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

/// So large that a cut comes in the middle of it, and more than the buffers on its way hold. Bytes.
const LARGE_BYTES: usize = 12 * MIB + 9;

/// Where connections are cut. Bytes of the client's.
const CUT_BYTES: u64 = 8 * MIB as u64;

const CUT: Fate = Fate::Cut(CUT_BYTES);

/// What is sent at least by who is cut once and begins anew. Who resumes sends again what was on its way, which may be
/// several MiB. Bytes.
const ANEW_BYTES: u64 = CUT_BYTES + LARGE_BYTES as u64;

/// A large file in a directory.
struct Large {
    directory: TempDir,
    content: Vec<u8>,
}

impl Large {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let content = Random::seeded().bytes(LARGE_BYTES);
        fs::write(directory.path().join("large"), &content).unwrap();
        Self { directory, content }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("large")
    }

    /// Options of tus-js-client that upload it under this name.
    fn options(&self, address: &str, name: &str, more: &Value) -> Value {
        let mut options = json!({
            "endpoint": format!("http://{address}/files/"),
            "file": self.path(),
            "metadata": { "filename": name, "filetype": "application/octet-stream" },
        });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    }

    #[track_caller]
    fn expect_in(&self, server: &Server, name: &str) {
        assert!(server.content(name) == self.content, "the content of {name} is another");
    }
}

/// Lets tus-js-client stop when so much is sent, and go on in another process; what that has told.
#[track_caller]
fn stop_and_go_on(
    version: u8,
    large: &Large,
    server: &Server,
    way: &mut Value,
    stops_at: usize,
) -> Told {
    way["stopAt"] = stops_at.into();
    let told = tus_js(version, &large.options(server.address(), "later", way));
    assert_eq!(told.code, Some(7), "{told:?}");
    way.as_object_mut().unwrap().remove("stopAt");
    let told = tus_js(version, &large.options(server.address(), "later", way));
    assert_eq!(told.code, Some(0), "{told:?}");
    told.event("resumes");
    told
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_js_client_uploads_in_its_ways() {
    let large = Large::new();
    let mut server = Server::start([]);
    let ways = [
        json!({}),
        json!({ "chunkSize": 5_000_000 }),
        json!({ "uploadDataDuringCreation": true }),
        json!({ "uploadDataDuringCreation": true, "chunkSize": 5_000_000 }),
        json!({ "stream": true, "chunkSize": 5_000_000 }),
        json!({ "overridePatchMethod": true, "addRequestId": true }),
    ];
    let mut names = 0;
    for version in [4, 5] {
        for way in &ways {
            let name = format!("{version}-{names}");
            let told = tus_js(version, &large.options(server.address(), &name, way));
            assert_eq!(told.code, Some(0), "{version} {way}: {told:?}");
            told.event("success");
            large.expect_in(&server, &name);
            names += 1;
        }
    }
    for protocol in ["ietf-draft-03", "ietf-draft-05"] {
        for way in &ways[..5] {
            let name = format!("{protocol}-{names}");
            let mut way = way.clone();
            way["protocol"] = protocol.into();
            let told = tus_js(5, &large.options(server.address(), &name, &way));
            assert_eq!(told.code, Some(0), "{protocol} {way}: {told:?}");
            told.event("success");
            large.expect_in(&server, &name);
            names += 1;
        }
    }
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published().len(), names);
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_js_client_goes_on_where_it_was_cut() {
    let large = Large::new();
    for (version, way) in [
        (4, json!({})),
        (5, json!({})),
        (4, json!({ "uploadDataDuringCreation": true, "chunkSize": 9 * MIB })),
        (5, json!({ "protocol": "ietf-draft-03" })),
        (5, json!({ "protocol": "ietf-draft-05" })),
    ] {
        let server = Server::start([]);
        let middlebox = Middlebox::before(server.address(), [CUT, Fate::Pass, CUT]);
        let told = tus_js(version, &large.options(middlebox.address(), "cut", &way));
        assert_eq!(told.code, Some(0), "{version} {way}: {told:?}");
        assert!(middlebox.struck() > 0, "{version} {way}: nothing was cut");
        let is_created = way.get("uploadDataDuringCreation").is_none();
        let resumes = told.requests().iter().any(|request| request.starts_with("HEAD 20"));
        assert_eq!(resumes, is_created, "{version} {way}: {told:?}");
        large.expect_in(&server, "cut");
        let sent: u64 = middlebox.bytes().iter().sum();
        let most = if is_created { ANEW_BYTES } else { u64::MAX };
        assert!(sent < most, "{version} {way}: {sent} bytes were sent");
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_js_client_resumes_in_a_later_process_by_its_stored_url() {
    let large = Large::new();
    for (version, protocol) in
        [(4, "tus-v1"), (5, "tus-v1"), (5, "ietf-draft-03"), (5, "ietf-draft-05")]
    {
        let server = Server::start([]);
        let storage = large.directory.path().join(format!("urls-{version}-{protocol}"));
        let mut way = json!({ "storage": storage, "chunkSize": 4 * MIB, "protocol": protocol });
        let told = stop_and_go_on(version, &large, &server, &mut way, 8 * MIB);
        assert_eq!(told.event("chunk")["offset"], 12 * MIB, "{told:?}");
        large.expect_in(&server, "later");
    }
}

/// Its parts come over connections of their own, and the server puts them together.
#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_js_client_uploads_in_parallel_and_resumes() {
    let large = Large::new();
    for version in [4, 5] {
        for (parts, fates) in [
            (2, vec![]),
            (4, vec![]),
            (4, vec![Fate::Cut(2 * MIB as u64), Fate::Pass, Fate::Cut(2 * MIB as u64), CUT]),
        ] {
            let mut server = Server::start([]);
            let is_cut = !fates.is_empty();
            let middlebox = Middlebox::before(server.address(), fates);
            let way = json!({ "parallelUploads": parts });
            let told = tus_js(version, &large.options(middlebox.address(), "parallel", &way));
            assert_eq!(told.code, Some(0), "{version} {way}: {told:?}");
            told.event("success");
            assert_eq!(middlebox.struck() > 0, is_cut, "{version} {way}: {told:?}");
            large.expect_in(&server, "parallel");
            let sent: u64 = middlebox.bytes().iter().sum();
            assert!(sent < LARGE_BYTES as u64 * 3 / 2, "{version}: {sent} bytes were sent");
            assert_eq!(server.stop(), Some(0));
            assert_eq!(server.published().len(), 1);
            assert_eq!(kept(server.inbox()), 0, "its parts go");
        }
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_js_client_goes_on_with_parts_in_a_later_process() {
    let large = Large::new();
    for version in [4, 5] {
        let server = Server::start([]);
        let storage = large.directory.path().join(format!("parts-{version}"));
        let mut way = json!({ "storage": storage, "chunkSize": MIB, "parallelUploads": 3 });
        let told = stop_and_go_on(version, &large, &server, &mut way, 2 * MIB);
        assert!(told.requests().iter().any(|request| request.starts_with("HEAD 20")), "{told:?}");
        large.expect_in(&server, "later");
        assert_eq!(server.published().len(), 1);
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tus_js_client_ends_an_upload() {
    let large = Large::new();
    for (version, protocol) in [(4, "tus-v1"), (5, "tus-v1"), (5, "ietf-draft-05")] {
        let mut server = Server::start([]);
        let way = json!({ "action": "abandon", "chunkSize": 4 * MIB, "protocol": protocol });
        let told = tus_js(version, &large.options(server.address(), "ended", &way));
        let url = told.event("terminated")["url"].as_str().unwrap().to_owned();
        let path = &url[url.find("/files/").unwrap()..];
        let answer = Http::open(&server).ask("HEAD", path, &[("Tus-Resumable", "1.0.0")]);
        assert!(matches!(answer.status, 404 | 410), "{answer:?}");
        server.stop_and_expect_nothing();
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn uppy_uploads_from_another_origin_and_resumes() {
    let large = Large::new();
    let small = large.directory.path().join("small.txt");
    fs::write(&small, "hello").unwrap();
    let page = Page::open("uppy");
    let server = Setup::new(["--http-origin", &page.origin]).start();
    // Preflights and creations have connections of their own.
    let middlebox = Middlebox::before(server.address(), [CUT; 4]);
    let target = format!("http://{}/files/", middlebox.address());
    let told = page.send(&target, &[large.path(), small.clone()], &json!({}));
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(told.event("complete")["successful"], 2, "{told:?}");
    assert!(middlebox.struck() > 0, "nothing was cut");
    large.expect_in(&server, "large");
    assert_eq!(server.content("small.txt"), b"hello");
    let sent: u64 = middlebox.bytes().iter().sum();
    assert!(sent < ANEW_BYTES, "{sent} bytes were sent");

    // Without leave nothing is sent at all.
    let server = Server::start([]);
    let target = format!("http://{}/files/", server.address());
    let told = Page::open("uppy").send(&target, &[small], &json!({ "retryDelays": [] }));
    assert_eq!(told.event("complete")["failed"], 1, "{told:?}");
    assert_eq!(server.published().len(), 0);
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn tuspy_uploads_and_goes_on() {
    let large = Large::new();
    let server = Server::start([]);
    let path = large.path();
    let path = path.to_str().unwrap();
    for (name, chunk, checksum) in
        [("whole", LARGE_BYTES, false), ("chunks", 5_000_000, false), ("checked", 5_000_000, true)]
    {
        let middlebox =
            Middlebox::before(server.address(), [Fate::Pass, Fate::Cut(3 * MIB as u64)]);
        let endpoint = format!("http://{}/files/", middlebox.address());
        let (chunk, checksum) = (chunk.to_string(), checksum.to_string());
        let ended = python("tuspy_upload.py", [&endpoint, path, name, &chunk, &checksum]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert_eq!(middlebox.struck(), 1, "{name}: nothing was cut");
        large.expect_in(&server, name);
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn aiotus_uploads_and_reads_back_what_it_said_of_the_file() {
    let large = Large::new();
    let server = Server::start([]);
    let path = large.path();
    let path = path.to_str().unwrap();
    for (name, fates) in [("whole", vec![]), ("cut", vec![CUT])] {
        let middlebox = Middlebox::before(server.address(), fates);
        let endpoint = format!("http://{}/files/", middlebox.address());
        let ended = python("aiotus_upload.py", [&endpoint, path, name, "4000000"]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let line = ended.stdout.trim_end();
        assert!(line.starts_with(&endpoint) && line.ends_with(&format!(" {name} None")), "{line}");
        assert_eq!(middlebox.struck(), usize::from(name == "cut"));
        large.expect_in(&server, name);
    }
}
