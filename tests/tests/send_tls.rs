//! `sandport send` with TLS: whom it believes, and what it says where it does not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sandport_tests::tls::{Authority, Issued};
use sandport_tests::{Random, Sent, Server, peer, send};

/// A directory with something to send: files of sizes around those of a record, a large one, and a directory.
struct Files {
    directory: tempfile::TempDir,
    large: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut random = Random::seeded();
        for size in [0, 1, 16_383, 16_384, 16_385, 100_000] {
            fs::write(tree.join(size.to_string()), random.bytes(size)).unwrap();
        }
        let large = random.bytes(9_000_001);
        fs::write(tree.join("large"), &large).unwrap();
        Self { directory, large }
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    /// Sends the tree with these arguments.
    #[track_caller]
    fn send(&self, arguments: &[&dyn AsRef<OsStr>]) -> Sent {
        let tree = self.tree();
        let all = [tree.as_os_str()].into_iter().chain(arguments.iter().map(|it| (*it).as_ref()));
        send(all)
    }

    #[track_caller]
    fn expect_stored(&self, sent: Sent, server: &Server, at: &str) {
        assert_eq!(sent.expect_success().names("stored").len(), 7);
        assert!(server.content(&format!("{at}large")) == self.large);
        assert_eq!(server.content(&format!("{at}16385")).len(), 16_385);
    }
}

/// A service that shows this certificate in each handshake; its address.
fn shows(issued: &Issued) -> String {
    let chain = vec![CertificateDer::from_pem_file(&issued.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    service(move |mut stream| {
        let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        // The client ends it.
        while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
    })
}

fn service(serve: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    peer::serve(listener, serve);
    address
}

#[track_caller]
fn expect_error(sent: &Sent, exit: i32, code: &str) {
    let errors = sent.of_type("error");
    assert_eq!(errors.len(), 1, "{sent:?}");
    assert_eq!((sent.code, &errors[0]["code"]), (Some(exit), &code.into()), "{sent:?}");
    assert!(sent.stderr.contains("hint: "), "{sent:?}");
}

#[test]
fn a_link_with_the_fingerprint_is_all_that_a_sender_needs() {
    let files = Files::new();
    let server = Server::start(["--listen", "0.0.0.0:0"]);
    let fingerprint = server.ready()["tls"]["fingerprint"].as_str().unwrap();
    let port = server.address().rsplit(':').next().unwrap();
    let link = format!("sandport://127.0.0.1:{port}#{fingerprint}");
    files.expect_stored(files.send(&[&link, &"-j", &"3"]), &server, "tree/");
    let other = link
        .replace(&fingerprint[..4], if fingerprint.starts_with("00") { "1111" } else { "0000" });
    let refused = files.send(&[&other]);
    expect_error(&refused, 4, "tls-wrong-fingerprint");
    assert!(refused.stderr.contains(fingerprint), "it names the one that it found: {refused:?}");
}

#[test]
fn a_certificate_of_an_authority_is_believed_for_its_name() {
    let (files, authority) = (Files::new(), Authority::new());
    let server = Server::start(authority.issue("server", |_| {}).flags());
    let ca = authority.file();
    files.expect_stored(files.send(&[&server.address(), &"--tls", &"--ca", &ca]), &server, "tree/");
    let url = format!("https://{}/web/", server.address());
    files.expect_stored(files.send(&[&url, &"--ca", &ca]), &server, "web/tree/");
}

#[test]
fn the_classic_dialect_is_sent_encrypted_too() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut server = Server::start(authority.issue("server", |_| {}).flags());
    let content = Random::seeded().bytes(300_000);
    let path = directory.path().join("file");
    fs::write(&path, &content).unwrap();
    let ca = authority.file();
    let arguments =
        [path.as_os_str(), server.address().as_ref(), "--tls".as_ref(), "--ca".as_ref()];
    send(arguments.into_iter().chain([ca.as_os_str(), "--classic".as_ref()])).expect_success();
    let name = server.wait_stored();
    assert!(server.content(&name) == content);
}

#[test]
fn a_server_that_is_not_believed_gets_nothing_and_is_named() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = authority.file();
    let nobody = Authority::new();
    let stranger = nobody.issue("stranger", |_| {});
    let expired = authority.issue("expired", |params| {
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let early = authority.issue("early", |params| {
        params.not_before = rcgen::date_time_ymd(3000, 1, 1);
    });
    let elsewhere = authority.issue("elsewhere", |params| {
        params.subject_alt_names.truncate(1);
    });
    for (issued, code) in [
        (&stranger, "tls-unknown-issuer"),
        (&expired, "tls-expired"),
        (&early, "tls-not-yet-valid"),
        (&elsewhere, "tls-wrong-name"),
    ] {
        let address = shows(issued);
        expect_error(&files.send(&[&address, &"--tls", &"--ca", &ca]), 4, code);
        let url = format!("https://{address}/");
        expect_error(&files.send(&[&url, &"--ca", &ca]), 4, code);
    }
}

#[test]
fn what_speaks_no_tls_is_not_spoken_to_in_plaintext() {
    let (files, authority) = (Files::new(), Authority::new());
    let address = service(|mut stream| {
        let mut begun = [0; 5];
        if stream.read_exact(&mut begun).is_ok() && begun[0] == 0x16 {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let ca = authority.file();
    expect_error(&files.send(&[&address, &"--tls", &"--ca", &ca]), 4, "not-tls");
    let empty = authority.issue("empty", |_| {});
    expect_error(&files.send(&[&address, &"--tls", &"--ca", &empty.key]), 2, "tls-bad-authorities");
    let socket = ["--tls", "unix:/no/such"].map(|it| it.to_owned());
    let refused = files.send(&[&socket[1], &socket[0]]);
    expect_error(&refused, 2, "usage");
}
