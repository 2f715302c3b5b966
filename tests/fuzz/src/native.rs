//! Connections of the native dialect, from the side that receives.

use std::collections::BTreeMap;

use sandport_protocol::wire::{PREFACE, SenderMessage};
use sandport_protocol::{Authenticated, Limits, Refusal, RefusalCode};

use crate::cutting::{choice, pieces};
use crate::pair::play;
use crate::pair::receiver_end::ReceiverEnd;
use crate::pair::script::{START, Script, about, goodbye};

/// Of how many uploads it is compared what was said of them.
const UPLOADS: u64 = 8;

/// What a connection came to, as far as it must not depend on how its bytes were cut.
#[derive(Debug, PartialEq)]
struct Outcome {
    published: BTreeMap<String, Vec<u8>>,
    closed: Option<Result<(), Refusal>>,
    about: Vec<Vec<String>>,
    goodbye: Option<RefusalCode>,
}

fn receiver(choice: u8) -> ReceiverEnd {
    let limits = Limits {
        max_file_size: (choice & 1 > 0).then_some(100),
        max_uploads_ahead: if choice & 2 > 0 { 1 } else { Limits::default().max_uploads_ahead },
        ..Limits::default()
    };
    let mut receiver = ReceiverEnd::new(limits, START);
    receiver.inbox.published.insert("here".into(), b"here".to_vec());
    receiver.inbox.refused.insert("no".into(), RefusalCode::Exists.into());
    receiver.inbox.fault_at = (choice & 4 > 0).then_some(30);
    // So verdicts come when all has been read, however it was cut: what may be said depends on them.
    receiver.inbox.commit_ms = 1;
    receiver.inbox.no_body = choice & 8 > 0;
    if choice & 16 > 0 {
        receiver.identity = Ok(Authenticated { name: Some("known".into()) });
    }
    receiver
}

fn outcome(receiver: &ReceiverEnd) -> Outcome {
    Outcome {
        published: receiver.inbox.published.clone(),
        closed: receiver.closed.clone(),
        about: (0..UPLOADS).map(|id| about(receiver, id)).collect(),
        goodbye: goodbye(receiver).map(|refusal| refusal.code),
    }
}

/// Plays what comes after a preface; the ends in memory check that each keeps to its part.
pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let begun = if choice & 32 > 0 { Script::hello().0 } else { PREFACE.to_vec() };
    let session = [&begun, rest].concat();
    let whole = play(receiver(choice), START, &[(START, session.clone())], Some(START));
    let whole = outcome(&whole);
    let stored: usize = whole.published.values().map(Vec::len).sum();
    assert!(stored <= b"here".len() + session.len(), "{stored} bytes are stored");
    let pieces: Vec<_> = pieces(&session).into_iter().map(|piece| (START, piece)).collect();
    let cut = play(receiver(choice), START, &pieces, Some(START));
    // How many are ahead depends on when the verdicts are there.
    if choice & 2 == 0 {
        assert_eq!(outcome(&cut), whole);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let everything = Script::default()
        .file(0, "a", b"hello")
        .file(1, "here", b"HERE")
        .message(&SenderMessage::KeepAlive)
        .file(2, "no", &[1; 40])
        .unusual_uploads();
    let short = Script::default().file(0, "a", b"hello");
    let lying = Script::default().offer(7, "open", 5).data(7, 0, b"more than five");
    let leaving = Script::default()
        .offer(7, "open", 5)
        .message(&SenderMessage::Goodbye(RefusalCode::Cancelled.into()));
    let sessions = [everything, short, lying, leaving];
    let with = |choice: u8| {
        move |session: &Script| {
            let hello = if choice & 32 > 0 { vec![] } else { Script::hello().0[8..].to_vec() };
            [&[choice], hello.as_slice(), &session.0].concat()
        }
    };
    let mut seeds: Vec<_> = sessions.iter().map(with(0)).collect();
    seeds.extend(sessions.iter().take(2).map(with(32 | 16)));
    seeds.extend(sessions.iter().take(1).map(with(32 | 4 | 1)));
    seeds
}
