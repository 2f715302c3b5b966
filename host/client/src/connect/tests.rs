#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::*;

/// Longer than any machine needs for a connection to itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address that drops what connects to it, as a host does that is not there: a listener whose queue
/// is full. It stays so while what is returned is kept.
fn silent_address() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut kept = vec![listener];
    // The queue takes one more than it was given.
    for _ in 0..2 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address);
        kept.push(client);
    }
    (address.as_socket().unwrap(), kept)
}

fn deaf_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn race_to(addresses: &[SocketAddr], patience: Duration) -> Result<SocketAddr, Tried> {
    let attempts = |now| Attempts::new(addresses.to_vec(), None, now);
    let stream = race(attempts, Instant::now() + patience).await?;
    Ok(stream.peer_addr().unwrap())
}

#[tokio::test]
async fn a_dead_first_address_leaves_time_for_the_second() {
    let (silent, _queue) = silent_address();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let answering = listener.local_addr().unwrap();
    let reached = race_to(&[silent, answering], PATIENCE).await;
    assert_eq!(reached.ok(), Some(answering));
}

#[tokio::test]
async fn a_host_that_never_answers_is_silent_at_the_deadline() {
    let (silent, _queue) = silent_address();
    let tried = race_to(&[silent], Duration::from_millis(20)).await.unwrap_err();
    assert!(tried.is_silent());
}

#[tokio::test]
async fn each_address_that_failed_is_named_with_its_reason() {
    let (silent, _queue) = silent_address();
    let deaf = deaf_address();
    let tried = race_to(&[deaf, silent], Duration::from_millis(500)).await.unwrap_err();
    assert!(!tried.is_silent());
    let error = tried.into_error();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let words = error.to_string();
    assert!(words.contains("127.0.0.1: Connection refused"), "{words}");
    assert!(words.contains("127.0.0.1: no answer"), "{words}");
}

#[tokio::test]
async fn one_address_alone_fails_in_the_words_of_the_system() {
    let error = race_to(&[deaf_address()], PATIENCE).await.unwrap_err().into_error();
    assert!(error.raw_os_error().is_some(), "{error}");
    let error = race_to(&[], PATIENCE).await.unwrap_err().into_error();
    assert_eq!(error.to_string(), "the name has no address");
}
