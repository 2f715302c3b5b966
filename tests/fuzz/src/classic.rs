//! Connections of the classic dialect.

use sandport_protocol::Limits;

use crate::cutting::{choice, pieces};
use crate::pair::play;
use crate::pair::receiver_end::ReceiverEnd;
use crate::pair::script::START;

/// Whether the end of the size is marked, so that how the bytes come says nothing.
fn is_certain(session: &[u8]) -> bool {
    session.iter().find(|byte| !byte.is_ascii_digit()).is_some_and(|byte| *byte == b'\n')
}

pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let mut session = vec![b'0' + choice % 10];
    session.extend(rest);
    let receiver = || {
        let max_file_size = (choice & 64 > 0).then_some(20);
        let mut receiver = ReceiverEnd::new(Limits { max_file_size, ..Limits::default() }, START);
        receiver.inbox.fault_at = (choice & 128 > 0).then_some(10);
        receiver
    };
    let whole = play(receiver(), START, &[(START, session.clone())], Some(START + 100));
    let stored: usize = whole.inbox.published.values().map(Vec::len).sum();
    assert!(stored <= session.len());
    let is_stored = !whole.inbox.published.is_empty();
    assert_eq!(whole.sent == b"ack" && whole.closed == Some(Ok(())), is_stored);
    let pieces: Vec<_> = pieces(&session).into_iter().map(|piece| (START, piece)).collect();
    let cut = play(receiver(), START, &pieces, Some(START + 100));
    if is_certain(&session) {
        assert_eq!(cut.inbox.published, whole.inbox.published);
        assert_eq!((cut.code(), cut.sent), (whole.code(), whole.sent));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let sessions: [&[u8]; 8] = [
        b"11\nhello world",
        b"11\r\nhello world",
        b"11\nhello",
        b"0\n",
        b"007\r\n1234567",
        b"11 \nhello world",
        b"123456789012345678901\nhello",
        b"30xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];
    let with = |session: &[u8]| {
        let mut seed = session.to_vec();
        seed[0] -= b'0';
        seed
    };
    sessions.map(with).to_vec()
}
