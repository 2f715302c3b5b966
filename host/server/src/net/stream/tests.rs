#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::os::unix::net::UnixStream as Peer;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::net::{TcpListener, UnixStream};

use super::Stream;
use sandport_inbox::Identity;
use sandport_testkit::patience::within;

/// A connection, and its other end.
fn pair() -> (Stream, Peer) {
    let (here, there) = UnixStream::pair().unwrap();
    (here.into(), there.into_std().unwrap())
}

#[tokio::test]
async fn bytes_that_came_while_it_was_not_watched_are_waited_for_and_read() {
    let (stream, mut peer) = pair();
    stream.unwatch();
    peer.write_all(b"hello").unwrap();
    within("bytes or the end", stream.readable()).await.unwrap();
    let mut buffer = [0; 9];
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");
}

#[tokio::test]
async fn an_end_that_came_while_it_was_not_watched_is_seen() {
    let (stream, peer) = pair();
    stream.unwatch();
    drop(peer);
    within("bytes or the end", stream.readable()).await.unwrap();
    assert_eq!(stream.try_read(&mut [0; 9]).unwrap(), 0);
}

#[tokio::test]
async fn it_is_read_and_written_without_being_watched() {
    let (stream, mut peer) = pair();
    stream.unwatch();
    let nothing = stream.try_read(&mut [0; 9]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    peer.write_all(b"in").unwrap();
    assert_eq!(stream.try_read(&mut [0; 9]).unwrap(), 2);
    assert_eq!(stream.try_write(b"out").unwrap(), 3);
}

#[tokio::test]
async fn it_is_written_to_as_soon_as_it_is_watched_again() {
    let (stream, _peer) = pair();
    stream.unwatch();
    // The runtime has not heard anything of it yet.
    let mut waiting = pin!(stream.readable());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(stream.try_write(b"receipt").unwrap(), 7);
}

#[tokio::test]
async fn who_waits_is_woken_though_another_unwatches_it() {
    let (stream, mut peer) = pair();
    let mut waiting = pin!(stream.readable());
    let first = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(first, Poll::Pending));
    stream.unwatch();
    peer.write_all(b"x").unwrap();
    within("a byte", waiting).await.unwrap();
}

#[tokio::test]
async fn the_peer_of_a_tcp_connection_has_an_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the listener is there")]
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = Stream::from(within("a connection", listener.accept()).await.unwrap().0);
    assert_eq!(*stream.peer().address, peer.local_addr().unwrap().to_string());
}

#[tokio::test]
async fn the_peer_of_a_local_socket_is_the_user_who_connected_and_that_of_a_network_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the listener is there")]
    let _peer = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let stream = Stream::from(within("a connection", listener.accept()).await.unwrap().0);
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(stream.peer().identity, Identity::user(user));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the listener is there")]
    let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = Stream::from(within("a connection", listener.accept()).await.unwrap().0);
    assert_eq!(stream.peer().identity, Identity::ANONYMOUS);
}
