#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::os::unix::net::UnixStream as Peer;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream, DuplexStream};
use tokio::net::{TcpListener, UnixStream};

use super::{Peer as Other, Stream};
use sandport_inbox::Identity;
use sandport_testkit::patience::within;

/// A connection, and its other end.
fn pair() -> (Stream, Peer) {
    let (here, there) = UnixStream::pair().unwrap();
    (here.into(), there.into_std().unwrap())
}

#[tokio::test]
async fn bytes_that_came_unwatched_are_waited_for_and_read() {
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
async fn the_peer_of_a_local_socket_is_the_user_who_connected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
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

/// A connection in memory that holds `bytes` in each direction, and its other end.
fn memory(bytes: usize) -> (Stream, DuplexStream) {
    let (here, there) = tokio::io::duplex(bytes);
    (Stream::accepted(here, somebody()), there)
}

fn somebody() -> Other {
    Other { address: "192.0.2.7:1".into(), identity: Identity::ANONYMOUS }
}

fn blocks<T>(outcome: std::io::Result<T>) -> bool {
    outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn what_comes_by_memory_is_looked_at_read_and_ends() {
    let (stream, mut peer) = memory(64);
    let mut buffer = [0; 9];
    assert!(blocks(stream.try_read(&mut buffer)));
    let (waited, sent) = within("bytes", async {
        tokio::join!(stream.wait_first_byte(), peer.write_all(b"hello world"))
    })
    .await;
    sent.unwrap();
    assert!(waited.unwrap());
    assert_eq!(stream.try_peek(&mut buffer[..4]).unwrap(), 4);
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 9);
    assert_eq!(&buffer, b"hello wor");
    drop(peer);
    within("the rest", stream.readable()).await.unwrap();
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 2);
    within("the end", stream.readable()).await.unwrap();
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 0);
    assert_eq!(stream.try_peek(&mut buffer).unwrap(), 0);
}

#[tokio::test]
async fn memory_that_is_full_is_written_to_when_its_peer_has_read() {
    let (stream, mut peer) = memory(4);
    assert_eq!(stream.try_write(b"answer").unwrap(), 4);
    assert!(blocks(stream.try_write(b"er")));
    let mut waiting = pin!(stream.writable());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut heard = [0; 4];
    within("the answer", peer.read_exact(&mut heard)).await.unwrap();
    within("room", waiting).await.unwrap();
    assert_eq!(stream.try_write(b"er").unwrap(), 2);
    within("the end", stream.shutdown_write()).await.unwrap();
    let mut rest = Vec::new();
    within("the rest", peer.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"er");
}

/// Encryption keeps a record until it is passed on.
#[tokio::test]
async fn what_a_wrapper_keeps_is_passed_on_as_there_comes_room() {
    let (here, mut peer) = tokio::io::duplex(4);
    let stream = Stream::accepted(BufStream::new(here), somebody());
    assert_eq!(stream.try_write(b"answer").unwrap(), 6);
    assert!(!stream.try_flush().unwrap(), "there is room for four bytes");
    let mut heard = [0; 6];
    within("the answer", async {
        let flushed = async {
            while !stream.try_flush().unwrap() {
                stream.writable().await.unwrap();
            }
        };
        let ((), read) = tokio::join!(flushed, peer.read_exact(&mut heard));
        read.unwrap();
    })
    .await;
    assert_eq!(&heard, b"answer");
}

#[tokio::test]
async fn a_socket_that_somebody_else_accepted_is_used_as_one() {
    let (here, there) = UnixStream::pair().unwrap();
    let stream = Stream::accepted(here, somebody());
    assert!(matches!(stream.transport, super::Transport::Socket(_)));
    assert_eq!(*stream.peer(), somebody());
    assert_eq!(stream.place(), super::Place::of("192.0.2.7".parse().unwrap()));
    drop(there);
    within("the end", stream.readable()).await.unwrap();
    assert_eq!(stream.try_read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_place_of_a_peer_is_what_its_address_says() {
    let place =
        |address: &str| Other { address: address.into(), identity: Identity::ANONYMOUS }.place();
    let at = |address: &str| super::Place::of(address.parse().unwrap());
    assert_eq!(place("192.0.2.7:52114"), at("192.0.2.7"));
    assert_eq!(place("[::ffff:192.0.2.7]:1"), at("192.0.2.7"));
    assert_eq!(place("2001:db8::7"), at("2001:db8::7"));
    assert_eq!(place("unix"), super::Place::Local);
    assert_eq!(place("a tunnel"), super::Place::Unknown);
}
