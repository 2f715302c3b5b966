//! A transfer as its caller has it: a future, a stream, and what becomes of one that is stopped or dropped.

use std::num::NonZeroUsize;

use futures_util::StreamExt;
use sandport_protocol::Limits;

use super::peer::Peer;
use super::*;

/// A small file and one that several connections may carry.
fn sources(directory: &Path) -> Vec<Source> {
    let large = write(directory, "large", &content(20 << 20, 1));
    vec![Source::path(write(directory, "small", b"x")), Source::path(large)]
}

fn over(to: &Address, connections: usize) -> Client {
    let number = NonZeroUsize::new(connections).unwrap();
    Client::builder(to).connections(Connections::Exactly(number)).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_can_be_spawned_over_any_number_of_connections() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let client = over(&peer.address, 3);
    let spawned = tokio::spawn(client.send(sources(directory.path())));
    let summary = within("the spawned transfer ends", spawned).await.unwrap().unwrap();
    assert_eq!(summary.stored, 2);
    let ahead = client.plan(sources(directory.path()));
    let planned = within("the plan is made", tokio::spawn(ahead)).await.unwrap().unwrap();
    assert_eq!(planned.planned, 2);
}

#[test]
fn a_client_and_its_transfers_go_to_other_threads() {
    fn is_send<T: Send>(_: &T) {}
    let classic = Address::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    let web: Destination = "http://127.0.0.1/".parse().unwrap();
    for client in [
        Client::builder(&classic).classic(true).build(),
        Client::builder(&classic).build(),
        Client::builder(web).build(),
    ] {
        is_send(&client);
        is_send(&client.send([]));
        is_send(&client.plan([]));
    }
}

#[tokio::test]
async fn events_come_as_a_stream_and_the_outcome_after_them() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let mut transfer = over(&peer.address, 1).send(sources(directory.path()));
    let mut stored = Vec::new();
    let taking = async {
        while let Some(event) = StreamExt::next(&mut transfer).await {
            if let SendEvent::Stored { file, receipt } = event {
                stored.push((file.number, receipt.name));
            }
        }
    };
    within("the events come to their end", taking).await;
    assert_eq!(stored, [(0, "small".to_owned()), (1, "large".to_owned())]);
    assert!(within("no event is left", transfer.next()).await.is_none());
    assert_eq!(transfer.summary().stored, 2);
    let summary = within("it is over", &mut transfer).await.unwrap();
    assert_eq!(summary, transfer.summary());
}

#[tokio::test]
async fn who_awaits_it_gets_the_outcome_without_events() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let mut transfer = over(&peer.address, 1).send(sources(directory.path()));
    let first = within("something happens", transfer.next()).await;
    assert!(first.is_some());
    let summary = within("it is over", &mut transfer).await.unwrap();
    assert_eq!(summary.stored, 2);
    assert!(within("its events are dropped", transfer.next()).await.is_none());
}

#[tokio::test]
async fn one_that_is_interrupted_before_it_begins_connects_to_nobody() {
    let nobody = Address::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    let directory = tempfile::tempdir().unwrap();
    let transfer = over(&nobody, 1).send(sources(directory.path()));
    transfer.interrupt();
    let result = within("it ends", transfer).await;
    assert!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
}

#[tokio::test]
async fn one_that_is_dropped_leaves_the_server_what_came() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let mut transfer = over(&peer.address, 1).send(sources(directory.path()));
    let sending = async {
        while let Some(event) = transfer.next().await {
            if matches!(event, SendEvent::Progress { .. }) {
                break;
            }
        }
    };
    within("some of it is sent", sending).await;
    drop(transfer);
    peer.ended(1).await;
    assert!(!peer.inbox().kept.contains_key("large"));
}
