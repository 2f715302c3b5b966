//! Files that do not arrive, and connections that break.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use sandport_protocol::wire::{Accepted, PREFACE, ReceiverMessage};
use sandport_protocol::{Extent, Limits, Refusal, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::peer::Peer;
use super::*;

/// The address of a peer that does `serve` with its first connection.
async fn peer_that<F, S>(serve: S) -> Address
where
    S: FnOnce(tokio::net::TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    Address::Tcp { host: "127.0.0.1".to_owned(), port }
}

/// Over one connection.
fn once() -> Options {
    Options { retries: 0, ..Options::default() }
}

#[tokio::test]
async fn what_cannot_be_sent_is_reported_and_the_rest_goes_on() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    write(&tree, "good", b"good");
    std::fs::write(tree.join(OsStr::from_bytes(b"bad-\xff")), b"x").unwrap();
    let fifo = tree.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let sources = vec![
        Source::path(directory.path().join("missing")),
        Source::path(&tree),
        Source::path("/"),
        Source::path(&fifo),
    ];
    let (result, told) = send_and_listen(&peer.address, sources, Options::default()).await;
    let summary = result.unwrap();
    assert_eq!((summary.stored, summary.failed), (1, 5));
    assert_eq!(
        told.sorted(),
        [
            "failed  no-name",
            "failed bad-\u{fffd} name-not-utf8",
            "failed missing not-found",
            "failed pipe special-file",
            "failed pipe special-file",
            "stored t/good as t/good",
        ]
    );
}

#[tokio::test]
async fn where_nothing_can_be_sent_nobody_is_called() {
    let nobody = Address::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    let (result, told) =
        send_and_listen(&nobody, vec![Source::path("/no/such/file")], Options::default()).await;
    assert_eq!(result.unwrap().failed, 1);
    assert_eq!(told.0, ["failed file not-found"]);
}

#[tokio::test]
async fn a_refused_file_costs_no_other() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for number in 0..100 {
        write(&tree, &format!("{number}"), b"small");
        write(&tree, &format!("{number}-large"), &content(100_000, number));
    }
    peer.inbox().on_open = Some(Box::new(|offer| {
        let odd = offer.name.as_deref().unwrap_or_default().contains('7');
        odd.then(|| Refusal::from(RefusalCode::NameInvalid))
    }));
    let (result, _) =
        send_and_listen(&peer.address, vec![Source::path(&tree)], Options::default()).await;
    let summary = result.unwrap();
    assert_eq!((summary.stored, summary.refused), (162, 38));
}

#[tokio::test]
async fn a_file_that_is_refused_half_way_stops_at_the_next_frame() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let large = write(directory.path(), "large", &content(64 << 20, 1));
    let next = write(directory.path(), "next", &content(2 << 20, 2));
    peer.inbox().on_bytes = Some(Box::new(|name, bytes| {
        (name == "large" && bytes > 1 << 20).then(|| RefusalCode::QuotaExceeded.into())
    }));
    let sources = vec![Source::path(&large), Source::path(&next)];
    let (result, told) = send_and_listen(&peer.address, sources, Options::default()).await;
    assert!(!result.unwrap().is_complete());
    assert_eq!(told.0, ["refused large quota-exceeded", "stored next as next"]);
    assert!(peer.inbox().bytes < 64 << 20, "all of the refused file was sent");
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_is_cancelled() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "shrinking", &content(64 << 20, 1));
    let next = write(directory.path(), "next", b"next");
    let shrinking = path.clone();
    let mut once = Some(());
    peer.inbox().on_bytes = Some(Box::new(move |name, _| {
        if name == "shrinking" && once.take().is_some() {
            std::fs::File::options().write(true).open(&shrinking).unwrap().set_len(100).unwrap();
        }
        None
    }));
    let sources = vec![Source::path(&path), Source::path(&next)];
    let (result, told) = send_and_listen(&peer.address, sources, Options::default()).await;
    assert_eq!(result.unwrap().failed, 1);
    assert_eq!(told.sorted(), ["failed shrinking changed", "stored next as next"]);
    assert_eq!(peer.inbox().kept.keys().collect::<Vec<_>>(), ["next"]);
}

#[tokio::test]
async fn a_file_that_changes_before_its_turn_is_cancelled() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "growing", &content(1 << 20, 1));
    let growing = path.clone();
    peer.inbox().on_open = Some(Box::new(move |_| {
        std::fs::write(&growing, content((1 << 20) + 1, 1)).unwrap();
        None
    }));
    let (result, told) =
        send_and_listen(&peer.address, vec![Source::path(&path)], Options::default()).await;
    assert_eq!(result.unwrap().failed, 1);
    assert_eq!(told.0, ["failed growing changed"]);
    assert!(peer.inbox().kept.is_empty());
}

#[tokio::test]
async fn a_cut_leaves_files_unanswered_and_is_temporary() {
    let to = peer_that(|mut stream| async move {
        let mut some = [0; 64];
        stream.read_exact(&mut some[..8]).await.unwrap();
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "file", b"x");
    let (result, _) = send_and_listen(&to, vec![Source::path(&path)], once()).await;
    let error = result.unwrap_err();
    assert!(matches!(error, SendError::Cut), "{error}");
    assert_eq!(error.kind(), SendErrorKind::Temporary);
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_named_as_such() {
    let to = peer_that(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "file", b"x");
    let (result, _) = send_and_listen(&to, vec![Source::path(&path)], Options::default()).await;
    assert!(matches!(result, Err(SendError::NotSandport(_))), "{result:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_has_stalled() {
    let to = peer_that(|mut stream| async move {
        // It reads all and says nothing, until the sender gives up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "file", b"x");
    let options = Options { stall_timeout: Duration::from_millis(30), ..once() };
    let (result, _) = send_and_listen(&to, vec![Source::path(&path)], options).await;
    assert!(matches!(result, Err(SendError::Stalled(30))), "{result:?}");
}

#[tokio::test]
async fn a_file_that_one_connection_has_damaged_is_not_begun_anew() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let size = 3 << 20;
    let path = write(directory.path(), "large", &content(size, 1));
    peer.inbox().on_bytes = Some(Box::new(move |_, bytes| {
        (bytes == size as u64).then(|| RefusalCode::DigestMismatch.into())
    }));
    let mut told = Told::default();
    let sending = send(&peer.address, vec![Source::path(&path)], once(), |event| {
        assert!(!matches!(event, SendEvent::Restarted { .. }), "{event:?}");
        told.note(&event);
    });
    let summary = within("the sender comes to its end", sending).await.unwrap();
    assert_eq!(summary.refused, 1);
    assert_eq!(told.0, ["refused large digest-mismatch"]);
}

#[tokio::test]
async fn an_interrupted_sender_tells_the_server() {
    let peer = Peer::start(Limits::default()).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    peer.inbox().on_bytes = Some(Box::new(move |_, _| {
        drop(stop.take());
        None
    }));
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "large", &content(32 << 20, 1));
    let mut told = Told::default();
    let sending = send_until(
        &peer.address,
        vec![Source::path(&path)],
        Options { connections: Connections::Exactly(NonZeroUsize::MIN), ..once() },
        async { drop(stopped.await) },
        |event| told.note(&event),
    );
    let result = within("the sender ends where it is stopped", sending).await;
    assert!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
    assert_eq!(told.0, ["unanswered large"]);
    peer.ended(1).await;
    assert_eq!(peer.inbox().closed, [Err(RefusalCode::Cancelled)]);
    assert!(peer.inbox().kept.is_empty());
}

#[tokio::test]
async fn nobody_listening_is_temporary_and_says_where() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let to = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "file", b"x");
    let (result, _) = send_and_listen(&to, vec![Source::path(&path)], Options::default()).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Temporary);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn a_server_that_closes_half_way_is_believed_its_reason() {
    let to = peer_that(|mut stream| async move {
        let welcome = ReceiverMessage::Welcome(welcome());
        let missing = vec![Extent { offset: 0, length: None }];
        let accepted = ReceiverMessage::Accepted(Accepted { id: 0, missing });
        let goodbye = ReceiverMessage::Goodbye(RefusalCode::Timeout.into());
        let mut read = vec![0; 1 << 20];
        stream.read_exact(&mut read[..8]).await.unwrap();
        stream.write_all(&PREFACE).await.unwrap();
        stream.write_all(&welcome.encode_frame().unwrap()).await.unwrap();
        // The hello is at most as long as this, and the offer follows.
        stream.read_exact(&mut read[..64]).await.unwrap();
        stream.write_all(&accepted.encode_frame().unwrap()).await.unwrap();
        stream.read_exact(&mut read).await.unwrap();
        stream.write_all(&goodbye.encode_frame().unwrap()).await.unwrap();
        // Closed with unread bytes: the connection is reset.
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path =
        write(directory.path(), "a-name-that-is-long-enough-for-the-peer", &content(64 << 20, 1));
    let (result, told) = send_and_listen(&to, vec![Source::path(&path)], once()).await;
    match result {
        Err(SendError::Goodbye(refusal)) => assert_eq!(refusal.code, RefusalCode::Timeout),
        other => panic!("{other:?}"),
    }
    assert_eq!(told.0, ["unanswered a-name-that-is-long-enough-for-the-peer"]);
}
