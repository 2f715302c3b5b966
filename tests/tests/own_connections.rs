//! Connections that a program accepts itself: `Server::serve_connection`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sandport_inbox::{Identity, Inbox, InboxOptions};
use sandport_server::net::Peer;
use sandport_server::{Cache, Events, Server, ServerEvent};
use sandport_testkit::patience::within;
use sandport_tests::{artifacts, send};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

/// A server without a listener.
struct Own {
    server: Server,
    events: Events,
    inbox: PathBuf,
    _directory: TempDir,
}

impl Own {
    fn start(max_connections: u32, drain_timeout: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        let server = Server::builder(Inbox::open(&inbox, InboxOptions::default()).unwrap())
            .cache(Cache::Directory(artifacts::cache_dir()))
            .max_connections(max_connections)
            .drain_timeout(drain_timeout)
            .build()
            .unwrap();
        Self { events: server.events(), server, inbox, _directory: directory }
    }

    /// A connection that is being served, and what it is.
    fn connect(&self, bytes: usize) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (here, there) = tokio::io::duplex(bytes);
        (there, tokio::spawn(self.server.serve_connection(here, alice())))
    }

    async fn stored(&mut self) -> (String, Peer) {
        loop {
            match within("an event", self.events.next()).await.expect("the server is there") {
                ServerEvent::Stored { peer, receipt } => return (receipt.name, peer),
                ServerEvent::SandboxReady { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn alice() -> Peer {
    Peer::new("192.0.2.7:52114", Identity::named("alice").unwrap())
}

fn head(name: &str, size: usize) -> String {
    format!("PUT /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n")
}

async fn answer(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut line = [0; 12];
    within("an answer", io.read_exact(&mut line)).await.unwrap();
    String::from_utf8_lossy(&line).into_owned()
}

async fn put(io: &mut (impl AsyncRead + AsyncWrite + Unpin), name: &str, content: &[u8]) -> String {
    io.write_all(head(name, content.len()).as_bytes()).await.unwrap();
    within("the content to be taken", io.write_all(content)).await.unwrap();
    answer(io).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_by_memory_from_whom_the_program_says() {
    let mut own = Own::start(8, Duration::from_secs(5));
    // A record of TLS holds more: the file goes through in thousands of small parts.
    let (mut client, serving) = own.connect(1_000);
    let content: Vec<u8> = (0..3_000_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    assert_eq!(put(&mut client, "large", &content).await, "HTTP/1.1 201");
    assert_eq!(own.stored().await, (String::from("large"), alice()));
    assert_eq!(fs::read(own.inbox.join("large")).unwrap(), content);
    drop(client);
    within("the end of the connection", serving).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_accepts_tcp_connections_and_hands_them_over() {
    let mut own = Own::start(8, Duration::from_secs(5));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = own.server.clone();
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            tokio::spawn(server.serve_connection(stream, peer.into()));
        }
    });
    let path = own.inbox.with_file_name("report.pdf");
    fs::write(&path, vec![7; 2_000_000]).unwrap();
    let sent =
        tokio::task::spawn_blocking(move || send([path.as_os_str(), address.to_string().as_ref()]));
    within("the sender", sent).await.unwrap().expect_success();
    let (name, peer) = own.stored().await;
    assert_eq!(name, "report.pdf");
    assert!(peer.address.starts_with("127.0.0.1:") && peer.identity.is_anonymous(), "{peer:?}");
    accepting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_what_is_under_way_and_takes_no_more() {
    let own = Own::start(8, Duration::from_secs(60));
    let (mut client, serving) = own.connect(64 * 1024);
    let asks = head("late", 6).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    client.write_all(asks.as_bytes()).await.unwrap();
    // From here on it is under way.
    let mut interim = [0; 25];
    within("the word to go on", client.read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hel").await.unwrap();
    let (mut idle, ended) = own.connect(64);
    let mut events = own.server.events();
    let stopping = {
        let server = own.server.clone();
        tokio::spawn(async move { server.shutdown().await })
    };
    loop {
        match within("the shutdown", events.next()).await.unwrap() {
            ServerEvent::Draining { .. } => break,
            other => drop(other),
        }
    }
    within("the end of the one without a byte", ended).await.unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    let (_, refused) = own.connect(64);
    within("the end of the one that came late", refused).await.unwrap();
    client.write_all(b"lo!").await.unwrap();
    assert_eq!(answer(&mut client).await, "HTTP/1.1 201");
    drop(client);
    within("the end of the one that was under way", serving).await.unwrap();
    within("the end of the server", stopping).await.unwrap();
    assert_eq!(fs::read(own.inbox.join("late")).unwrap(), b"hello!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_cuts_what_does_not_end_in_time() {
    let own = Own::start(8, Duration::ZERO);
    let (mut client, serving) = own.connect(64 * 1024);
    client.write_all(head("cut", 6).as_bytes()).await.unwrap();
    within("the end of the server", own.server.shutdown()).await;
    within("the end of the connection", serving).await.unwrap();
    let mut heard = Vec::new();
    within("the end", client.read_to_end(&mut heard)).await.unwrap();
    assert!(!own.inbox.join("cut").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_more_than_there_may_be_waits_for_its_place() {
    let mut own = Own::start(1, Duration::from_secs(5));
    let (mut first, serving) = own.connect(64 * 1024);
    first.write_all(b"P").await.unwrap();
    let event = within("the sandbox", own.events.next()).await.unwrap();
    assert!(matches!(event, ServerEvent::SandboxReady { .. }), "{event:?}");
    let (mut second, _serving) = own.connect(64 * 1024);
    second.write_all(head("second", 1).as_bytes()).await.unwrap();
    second.write_all(b"2").await.unwrap();
    // Dropping what serves a connection cuts it.
    serving.abort();
    assert_eq!(answer(&mut second).await, "HTTP/1.1 201");
    assert_eq!(own.stored().await.0, "second");
    let mut rest = Vec::new();
    within("the end of the first", first.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}
