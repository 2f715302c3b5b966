//! Several connections at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use sandport_protocol::{Digest, EntryKind, Limits, RefusalCode};
use tokio::sync::mpsc;

use super::peer::Peer;
use super::prepare::{Item, Links};
use super::*;
use crate::connect::Target;
use crate::report::Report;

/// Over so many connections, none of which is made again.
fn over(connections: usize) -> Options {
    let connections = Connections::Exactly(NonZeroUsize::new(connections).unwrap());
    Options { connections, retries: 0, ..Options::default() }
}

#[tokio::test]
async fn files_are_spread_over_the_connections_and_each_arrives_once() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for number in 0..500 {
        write(&tree, &format!("small/{number}"), &content(number % 3_000, number as u32));
    }
    for number in 0..40 {
        write(&tree, &format!("large/{number}"), &content(100_000 * number, number as u32));
    }
    std::fs::create_dir(tree.join("empty")).unwrap();

    let (result, told) = send_and_listen(&peer.address, vec![Source::path(&tree)], over(3)).await;

    let summary = result.unwrap();
    assert_eq!((summary.stored, summary.directories), (540, 1));
    let mut told = told.sorted();
    told.dedup();
    assert_eq!(told.len(), 541, "one outcome each");
    peer.ended(3).await;
    let inbox = peer.inbox();
    assert_eq!(inbox.closed, [Ok(()), Ok(()), Ok(())]);
    for (name, kept) in inbox.kept.iter().filter(|(name, _)| *name != "t/empty") {
        assert!(kept.content == std::fs::read(directory.path().join(name)).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_serves_fewer_connections_gets_all_over_those() {
    let peer = Peer::start(Limits::default()).await;
    peer.inbox().max_connections = Some(1);
    let directory = tempfile::tempdir().unwrap();
    for number in 0..50 {
        write(&directory.path().join("t"), &number.to_string(), &content(90_000, number));
    }
    // It comes to its end when all others were turned away.
    let (all_tried, stream) = endless();
    let mut all_tried = Some(all_tried);
    let mut left = Vec::new();
    let sources = vec![stream, Source::path(directory.path().join("t"))];
    let sending = send(&peer.address, sources, over(4), |event| {
        if let SendEvent::ConnectionGivenUp { error, left: others } = event {
            assert_eq!(error.kind(), SendErrorKind::Temporary);
            left.push(others);
            if left.len() == 3 {
                drop(all_tried.take());
            }
        }
    });
    let what = "three connections are given up, and the run ends over the fourth";
    let summary = within(what, sending).await.unwrap();
    assert_eq!(summary.stored, 51);
    assert_eq!(left, [3, 2, 1]);
}

#[tokio::test]
async fn a_receiver_of_bytes_in_order_gets_a_large_file_in_one_piece() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let sizes: [usize; 3] = [64 << 20, (20 << 20) + 5, 9 << 20];
    let sources = sizes.map(|size| {
        Source::path(write(directory.path(), &size.to_string(), &content(size, size as u32)))
    });
    let (result, told) = send_and_listen(&peer.address, sources.into(), over(4)).await;
    assert_eq!(result.unwrap().stored, 3);
    assert_eq!(told.0.len(), 3, "{:?}", told.0);
    for size in sizes {
        let name = size.to_string();
        assert!(peer.inbox().kept[&name].content == content(size, size as u32), "{name}");
    }
}

#[tokio::test]
async fn a_large_file_is_refused_once_and_the_others_arrive() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let mut sources = vec![Source::path(write(directory.path(), "large", &content(64 << 20, 1)))];
    for number in 0..20 {
        let name = number.to_string();
        sources.push(Source::path(write(directory.path(), &name, &content(70_000, number))));
    }
    peer.inbox().on_bytes = Some(Box::new(|name, bytes| {
        (name == "large" && bytes > 1 << 20).then(|| RefusalCode::QuotaExceeded.into())
    }));
    let (result, told) = send_and_listen(&peer.address, sources, over(3)).await;
    let summary = result.unwrap();
    assert_eq!((summary.stored, summary.refused), (20, 1));
    assert!(told.0.contains(&"refused large quota-exceeded".to_owned()), "{:?}", told.0);
    assert!(!peer.inbox().kept.contains_key("large"));
}

#[tokio::test]
async fn an_interrupted_sender_says_so_once_on_each_connection() {
    let peer = Peer::start(Limits::default()).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (_goes_on, stream) = endless();
    let directory = tempfile::tempdir().unwrap();
    let large = write(directory.path(), "large", &content(32 << 20, 1));
    let mut stop = Some(stop);
    let mut connected = 0;
    let mut told = Told::default();
    let sending = send_until(
        &peer.address,
        vec![stream, Source::path(large)],
        over(3),
        async { drop(stopped.await) },
        |event| {
            told.note(&event);
            connected += usize::from(matches!(event, SendEvent::Connected { .. }));
            if connected == 3 {
                drop(stop.take());
            }
        },
    );
    let result = within("three connections are made and stopped", sending).await;
    assert!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
    let unanswered = |name: &str| told.0.iter().filter(|told| told.ends_with(name)).count();
    assert_eq!(unanswered("unanswered stream"), 1, "{:?}", told.0);
    assert!(unanswered("large") <= 1, "{:?}", told.0);
    peer.ended(3).await;
    assert_eq!(peer.inbox().closed, [Err(RefusalCode::Cancelled); 3]);
}

/// A batch of small files that were read already.
fn small_files(batch: usize) -> Vec<Item> {
    let small = |number| {
        let file = SendFile {
            number: 0,
            path: PathBuf::from("small"),
            name: Some(format!("{batch}/{number}")),
            kind: EntryKind::File,
            size: Some(1),
            modified_ns: None,
            modified_omitted: false,
            executable: false,
        };
        let digest = Digest::Blake3(*blake3::hash(b"s").as_bytes());
        Item::Small { file, content: Bytes::from_static(b"s"), digest, links: Links::Refuse }
    };
    (0..128).map(small).collect()
}

/// Sends items to a server that is near, however busy the machine is; how many files were stored.
async fn send_near(peer: &Peer, items: mpsc::Receiver<Vec<Item>>) -> usize {
    let report = Report::default();
    let options = Options { retries: 0, ..Options::default() };
    let (to, far) = (&Target::new(&peer.address, None), Duration::MAX);
    let sending = crate::native::send(to, items, None, &options, far, pending(), &report);
    within("the sender comes to its end", sending).await.unwrap();
    usize::try_from(report.summary().stored).unwrap()
}

#[tokio::test]
async fn small_files_that_wait_in_a_row_get_a_second_connection() {
    let peer = Peer::start(Limits::default()).await;
    // They lie ready before the connection comes for them.
    let (batches, items) = mpsc::channel(4);
    for batch in 0..4 {
        batches.send(small_files(batch)).await.unwrap();
    }
    let last = async {
        peer.connected(2).await;
        batches.send(small_files(4)).await.unwrap();
        drop(batches);
    };
    let (stored, ()) = tokio::join!(send_near(&peer, items), last);
    assert_eq!(stored, 5 * 128);
    assert_eq!(peer.inbox().connections, 2);
}

#[tokio::test]
async fn a_few_large_files_get_one_connection() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    for number in 0..20 {
        write(&directory.path().join("t"), &number.to_string(), &content(1 << 20, number));
    }
    let sources = vec![Source::path(directory.path().join("t"))];
    let reading = prepare::Contents::ReadSmall;
    let items = prepare::start(sources, Selection::default(), reading, None);
    assert_eq!(send_near(&peer, items).await, 20);
    assert_eq!(peer.inbox().connections, 1);
}
