//! Two connections that carry one file, step by step.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::pin::pin;

use bytes::BytesMut;
use futures_util::FutureExt;
use sandport_protocol::wire::{Accepted, PREFACE, ReceiverMessage, Welcome};
use sandport_protocol::{EntryKind, Extent};
use tokio::sync::mpsc;

use super::*;
use crate::Connections;
use crate::keys::Keys;
use crate::native::ROUND_TRIP_MIN;
use crate::native::shared_transfer::JOIN_BYTES_MIN;
use crate::prepare::{Item, Links};
use crate::report::Report;
use crate::tests::within;
use crate::walk;

/// Long enough for a second connection to join. Bytes.
const SIZE: u64 = 3 * JOIN_BYTES_MIN;

fn hear(session: &mut Session<'_>, preface: &[u8], message: &ReceiverMessage) {
    let mut bytes = BytesMut::from(preface);
    bytes.extend_from_slice(&message.encode_frame().unwrap());
    session.machine.handle_input(0, bytes.freeze());
    session.advance();
}

fn welcomed<'a>(work: &'a Work<'a>) -> Session<'a> {
    let mut session = Session::new(Sender::new("test".to_owned(), 60_000, 0), work);
    let welcome = Welcome {
        version: 1,
        agent: "test".to_owned(),
        max_file_size: None,
        max_uploads_ahead: 8,
        max_bytes_ahead: 0,
        idle_timeout_ms: 60_000,
        challenge: Vec::new(),
    };
    hear(&mut session, &PREFACE, &ReceiverMessage::Welcome(welcome));
    session
}

/// Takes what was read, says it, and writes it to nobody. Whether others were told of something by what was
/// said.
async fn step(session: &mut Session<'_>) -> bool {
    session.advance();
    if !session.wants_piece() {
        return false;
    }
    let reading = session.feed.as_mut().unwrap().next();
    let piece = within("the next piece is read", reading).await;
    let work = session.work;
    let mut news = pin!(work.news());
    news.as_mut().enable();
    session.take_piece(piece);
    session.advance();
    let were_told = news.now_or_never().is_some();
    while session.output.can_write(session.chunk.as_ref()) {
        let mut nobody = tokio::io::sink();
        let count = session.output.write(&mut nobody, session.chunk.as_ref()).await.unwrap();
        session.wrote(0, count);
    }
    were_told
}

#[tokio::test]
async fn a_connection_finishes_once_another_has_announced_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big");
    std::fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    let metadata = path.metadata().unwrap();
    let file = walk::describe(&path, Some("big".to_owned()), EntryKind::File, &metadata);
    let key = Keys::new(None, "nowhere".to_owned()).of_stream();
    let item = Item::Large { file, links: Links::Follow, key };
    let report = Report::default();
    let two = Connections::Exactly(std::num::NonZeroUsize::new(2).unwrap());
    let work = Work::new(&report, vec![item], mpsc::channel(1).1, two, ROUND_TRIP_MIN);
    let mut sessions = [welcomed(&work), welcomed(&work)];
    for session in &mut sessions {
        session.advance();
        let missing = vec![Extent { offset: 0, length: Some(SIZE) }];
        hear(session, b"", &ReceiverMessage::Accepted(Accepted { id: 0, missing }));
    }
    let transfer = Arc::clone(&sessions[1].participants[&0].transfer);

    let mut were_told = false;
    while transfer.end().is_none() {
        for session in &mut sessions {
            if transfer.end().is_none() {
                were_told = step(session).await;
            }
        }
    }
    assert!(were_told, "nothing else wakes a connection that waits for the others");
    for session in &mut sessions {
        // What its own reader says last.
        while session.feed.is_some() {
            step(session).await;
        }
        session.advance();
        assert!(session.participants[&0].finished);
    }
}
