//! curl, wget, httpie and a browser's form, as they are, against the real server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;

use sandport_tests::files::Tree;
use sandport_tests::http_clients::{Page, httpie, run};
use sandport_tests::process::Ended;
use sandport_tests::tls::Authority;
use sandport_tests::{Fate, Middlebox, Random, Server, Setup};
use serde_json::{Value, json};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

/// A directory with files to send.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn curl(&self, arguments: &str) -> Ended {
        let words = arguments.split(' ').filter(|word| !word.is_empty());
        run("curl", self.0.path(), ["-q", "-sS"].into_iter().chain(words), b"")
    }
}

#[track_caller]
fn expect_stored(ended: &Ended, names: &[&str]) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), names.len(), "{ended:?}");
    for (line, name) in lines.iter().zip(names) {
        assert!(line.starts_with(&format!("stored: {name}, ")), "{name}: {line}");
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn curl_uploads_with_tls() {
    let large = Random::seeded().bytes(3 * MIB + 5);
    let files = Files::new(&[("large", &large)]);
    let authority = Authority::new();
    let server = Server::start(authority.issue("server", |_| {}).flags());
    let (to, ca) = (server.address(), authority.file());
    let ca = ca.display();
    expect_stored(
        &files.curl(&format!("--cacert {ca} -T large https://{to}/believed")),
        &["believed"],
    );
    expect_stored(&files.curl(&format!("-k --tls-max 1.2 -T large https://{to}/old")), &["old"]);
    // Chunks, and a connection that is kept.
    let kept = format!(
        "--cacert {ca} -H Transfer-Encoding:chunked -T large https://{to}/a -T large https://{to}/b"
    );
    assert_eq!(files.curl(&kept).code, Some(0));
    for name in ["believed", "old", "a", "b"] {
        assert!(server.content(name) == large, "{name}");
    }
    let unknown = files.curl(&format!("-T large https://{to}/unknown"));
    assert_eq!(unknown.code, Some(60), "no authority: {unknown:?}");
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn curl_uploads_in_all_of_its_ways() {
    let large = Random::seeded().bytes(3 * MIB + 5);
    let files = Files::new(&[("a", b"hello"), ("b", b""), ("large", &large)]);
    let server = Server::start([]);
    let to = server.address();
    // Above 1 MiB it waits for 100.
    expect_stored(&files.curl(&format!("-T large http://{to}/")), &["large"]);
    expect_stored(&files.curl(&format!("-T large http://{to}/dir/name")), &["dir/name"]);
    expect_stored(&files.curl(&format!("--data-binary @large http://{to}/data")), &["data"]);
    expect_stored(
        &files.curl(&format!("-F x=1 -F f=@a -F g=@large http://{to}/form")),
        &["form/a", "form/large"],
    );
    expect_stored(&files.curl(&format!("--limit-rate 20M -T large http://{to}/slow")), &["slow"]);
    expect_stored(&files.curl(&format!("-0 -T large http://{to}/old")), &["old"]);
    let streamed = ["-q", "-sS", "-T", "-", &format!("http://{to}/stream")];
    expect_stored(&run("curl", files.0.path(), streamed, &large), &["stream"]);
    for name in ["large", "dir/name", "data", "form/large", "slow", "old", "stream"] {
        assert!(server.content(name) == large, "{name}");
    }
    assert_eq!(server.content("form/a"), b"hello");
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn curl_sends_many_files_on_one_connection() {
    let files = Files::new(&[("a", b"hello"), ("b", b""), ("c", &[7; 100_000])]);
    let server = Server::start([]);
    let middlebox = Middlebox::before(server.address(), []);
    let to = middlebox.address();
    expect_stored(&files.curl(&format!("-T {{a,b,c}} http://{to}/d/")), &["d/a", "d/b", "d/c"]);
    assert_eq!(middlebox.bytes().len(), 1, "one connection for all");
    assert_eq!(server.content("d/c"), [7; 100_000]);
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn curl_fails_where_a_file_is_refused_and_sends_nothing_in_vain() {
    let files = Files::new(&[("a", b"hello"), ("large", &vec![7; 20 * MIB])]);
    let mut server = Server::start(["--max-file", "10MiB"]);
    let middlebox = Middlebox::before(server.address(), []);
    let to = middlebox.address();
    for (arguments, words) in [
        (format!("--fail -T large http://{to}/"), "error: 413"),
        (format!("--fail --path-as-is -T large http://{to}/../a"), "error: 400"),
        (format!("--fail -T a http://{to}/.sandport/a"), "error: 400"),
        (format!("--fail http://{to}/a"), "error: 404"),
    ] {
        let ended = files.curl(&arguments);
        assert_eq!(ended.code, Some(22), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(words), "{arguments}: {ended:?}");
    }
    let sent: u64 = middlebox.bytes().iter().sum();
    assert!(sent < MIB as u64, "{sent} bytes were sent although the head was refused");
    let ended = files.curl(&format!("--fail-with-body -T large http://{to}/"));
    assert_eq!(ended.code, Some(22), "{ended:?}");
    assert!(ended.stdout.starts_with("refused: too-large: "), "{ended:?}");
    server.stop_and_expect_nothing();
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn curl_that_is_cut_tries_again_and_leaves_one_file() {
    let large = Random::seeded().bytes(8 * MIB);
    let files = Files::new(&[("large", &large)]);
    let mut server = Server::start([]);
    let fates = [Fate::Cut(MIB as u64), Fate::Cut(5 * MIB as u64)];
    let middlebox = Middlebox::before(server.address(), fates);
    let to = middlebox.address();
    let ended = files.curl(&format!("--retry 3 --retry-all-errors -T large http://{to}/"));
    expect_stored(&ended, &["large"]);
    assert_eq!(middlebox.struck(), 2);
    assert_eq!(server.stop(), Some(0));
    assert!(server.content("large") == large);
    assert_eq!((server.published().len(), server.staged().len()), (1, 0));
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn wget_and_httpie_upload() {
    let large = Random::seeded().bytes(2 * MIB + 1);
    let files = Files::new(&[("a", b"hello"), ("large", &large)]);
    let server = Server::start([]);
    let to = server.address();
    let url = format!("http://{to}/by/wget");
    let body = format!("--body-file={}", files.path("large").display());
    let arguments = ["--no-config", "-nv", "-O", "-", "--method", "PUT", &body, &url];
    expect_stored(&run("wget", files.0.path(), arguments, b""), &["by/wget"]);
    let arguments =
        ["--no-config", "-nv", "-O", "-", "--method", "PUT", &body, &format!("http://{to}/..%2F")];
    // Of a server that answers with an error.
    assert_eq!(run("wget", files.0.path(), arguments, b"").code, Some(8));

    let httpie = |arguments: &[&str]| httpie(files.0.path(), arguments);
    let ended = httpie(&["--check-status", "PUT", &format!("http://{to}/by/httpie"), "@large"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&told["result"], &told["name"]), (&"stored".into(), &"by/httpie".into()));
    let ended = httpie(&["--check-status", "--form", &format!("http://{to}/"), "f@a", "g@large"]);
    expect_stored(&ended, &["a", "large"]);
    let ended = httpie(&["--check-status", "PUT", &format!("http://{to}/.sandport"), "@a"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for name in ["by/wget", "by/httpie", "large"] {
        assert!(server.content(name) == large, "{name}");
    }
}

#[test]
#[ignore = "needs programs of others: lane `http-clients` of .ci/run"]
fn a_form_without_a_script_uploads_from_an_allowed_origin_alone() {
    let large = Random::seeded().bytes(2 * MIB + 1);
    let files = Files::new(&[("größer \"1\".txt", b"hello"), ("large", &large)]);
    let chosen = [files.path("größer \"1\".txt"), files.path("large")];
    let page = Page::open("form");
    let server = Setup::new(["--http-origin", &page.origin]).start();
    let told = page.send(&format!("http://{}/in", server.address()), &chosen, &json!({}));
    let answer = told.event("answer");
    assert_eq!(answer["status"], 201, "{told:?}");
    assert!(answer["text"].as_str().unwrap().contains("stored: in/large, "), "{told:?}");
    assert!(server.content("in/large") == large);
    assert_eq!(server.content("in/größer \"1\".txt"), b"hello");

    let server = Server::start([]);
    let page = Page::open("form");
    let told = page.send(&format!("http://{}/in", server.address()), &chosen, &json!({}));
    assert_eq!(told.event("answer")["status"], 403, "{told:?}");
    assert_eq!(server.published(), Tree::default());
}
