//! What is sent of files that shrink, cannot be read, are refused or interrupted: bytes of theirs, and nothing in
//! the place of bytes that are missing.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroUsize;

use sandport_protocol::wire::{Accepted, PREFACE, ReceiverMessage};
use sandport_protocol::{Extent, Limits, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::peer::Peer;
use super::wiretap::expect_bytes_of;
use super::*;

/// Over so many connections, none of which is made again.
fn over(connections: usize) -> Options {
    let connections = Connections::Exactly(NonZeroUsize::new(connections).unwrap());
    Options { connections, retries: 0, ..Options::default() }
}

/// All payload that came is of these files.
#[track_caller]
fn expect_only(peer: &Peer, contents: &[(&str, &[u8])]) {
    let contents: BTreeMap<&str, &[u8]> = contents.iter().copied().collect();
    let heard = peer.inbox().heard.clone();
    let total: usize = heard.iter().map(|heard| expect_bytes_of(&contents, heard)).sum();
    assert!(total > 0, "nothing was sent");
}

#[tokio::test]
async fn of_a_file_that_shrinks_only_its_own_bytes_are_sent() {
    for connections in [1, 3] {
        let peer = Peer::start(Limits::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let bytes = content(64 << 20, 1);
        let path = write(directory.path(), "file", &bytes);
        let shrinking = std::fs::File::options().write(true).open(&path).unwrap();
        peer.inbox().on_bytes = Some(Box::new(move |_, _| {
            shrinking.set_len(100).unwrap();
            None
        }));
        let sources = vec![Source::path(&path)];
        let (result, told) = send_and_listen(&peer.address, sources, over(connections)).await;
        assert_eq!(result.unwrap().failed, 1);
        assert_eq!(told.0, ["failed file changed"]);
        peer.ended(1).await;
        expect_only(&peer, &[("file", &bytes)]);
    }
}

#[tokio::test]
async fn of_a_stream_that_breaks_only_its_own_bytes_are_sent() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("a bad block"))
        }
    }
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let bytes = content((3 << 20) + 7, 1);
    let next = write(directory.path(), "next", b"next");
    let stream = Source::reader("-", Read::chain(std::io::Cursor::new(bytes.clone()), Broken));
    let sources = vec![stream.named("stream"), Source::path(next)];
    let (result, told) = send_and_listen(&peer.address, sources, over(1)).await;
    assert_eq!((result.unwrap().failed, told.0.len()), (1, 2));
    assert_eq!(told.sorted(), ["failed - cannot-read", "stored next as next"]);
    peer.ended(1).await;
    assert_eq!(peer.inbox().closed, [Ok(())], "the connection goes on");
    expect_only(&peer, &[("stream", &bytes), ("next", b"next")]);
}

#[tokio::test]
async fn of_a_file_that_is_refused_only_its_own_bytes_are_sent() {
    for connections in [1, 3] {
        let peer = Peer::start(Limits::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let bytes = content(64 << 20, 1);
        let path = write(directory.path(), "file", &bytes);
        peer.inbox().on_bytes = Some(Box::new(|_, _| Some(RefusalCode::QuotaExceeded.into())));
        let sources = vec![Source::path(&path)];
        let (result, told) = send_and_listen(&peer.address, sources, over(connections)).await;
        assert_eq!(result.unwrap().refused, 1);
        assert_eq!(told.0, ["refused file quota-exceeded"]);
        peer.ended(1).await;
        expect_only(&peer, &[("file", &bytes)]);
    }
}

#[tokio::test]
async fn of_a_file_that_is_interrupted_only_its_own_bytes_are_sent() {
    for connections in [1, 3] {
        let peer = Peer::start(Limits::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let bytes = content(64 << 20, 1);
        let path = write(directory.path(), "file", &bytes);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut stop = Some(stop);
        peer.inbox().on_bytes = Some(Box::new(move |_, _| {
            drop(stop.take());
            None
        }));
        let stop = async { drop(stopped.await) };
        let sources = vec![Source::path(&path)];
        let sending = send_until(&peer.address, sources, over(connections), stop, |_| ());
        let result = within("the sender ends where it is stopped", sending).await;
        assert!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
        peer.ended(1).await;
        expect_only(&peer, &[("file", &bytes)]);
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_keeps_no_interrupted_sender() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let directory = tempfile::tempdir().unwrap();
    let bytes = content(64 << 20, 1);
    let path = write(directory.path(), "file", &bytes);
    let (stop, stopped) = oneshot::channel::<()>();
    let (is_over, over_by_now) = oneshot::channel::<()>();
    let serving = async {
        let mut stream = listener.accept().await.unwrap().0;
        let welcome = ReceiverMessage::Welcome(welcome());
        let missing = vec![Extent { offset: 0, length: None }];
        let accepted = ReceiverMessage::Accepted(Accepted { id: 0, missing });
        stream.write_all(&PREFACE).await.unwrap();
        stream.write_all(&welcome.encode_frame().unwrap()).await.unwrap();
        // Hello and offer are at least as long as this.
        let mut heard = vec![0; 32];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&accepted.encode_frame().unwrap()).await.unwrap();
        let begun = heard.len();
        heard.resize(begun + (1 << 20), 0);
        stream.read_exact(&mut heard[begun..]).await.unwrap();
        // It reads no more, until the sender is gone.
        drop(stop);
        over_by_now.await.unwrap();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    };
    let sending = async {
        let stop = async { drop(stopped.await) };
        let result = send_until(&to, vec![Source::path(&path)], over(1), stop, |_| ()).await;
        is_over.send(()).unwrap();
        result
    };
    let both = async { tokio::join!(serving, sending) };
    let (heard, result) = within("the sender ends, and then what it has sent", both).await;
    assert!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
    let total = expect_bytes_of(&BTreeMap::from([("file", &bytes[..])]), &heard);
    assert!(total < bytes.len(), "{total}");
}
