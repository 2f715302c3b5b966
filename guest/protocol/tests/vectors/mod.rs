//! Messages of every kind, with every option taken and left.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use sandport_protocol::wire::{
    Accepted, Cancel, Data, Finish, Hello, NumberedOffer, Progress, ReceiverMessage, Refused,
    SenderMessage, Stored, Welcome,
};
use sandport_protocol::{
    Authenticated, Credential, Digest, EntryKind, Extent, Offer, Receipt, Refusal, RefusalCode,
    Resume, ResumeMode,
};

fn digest() -> Digest {
    Digest::Blake3(core::array::from_fn(|index| index as u8))
}

pub fn sender_messages() -> Vec<(&'static str, SenderMessage)> {
    let refusal = Refusal::new(RefusalCode::Other, "why");
    let reason = Refusal::new(RefusalCode::Cancelled, "gone");
    let file = Offer {
        name: Some("dir/ä.txt".into()),
        kind: EntryKind::File,
        size: Some(300),
        digest: Some(digest()),
        modified_ns: Some(-2),
        executable: true,
        resume: None,
    };
    let resumed = |epoch, mode| Offer {
        name: Some("a".into()),
        kind: EntryKind::File,
        size: Some(1),
        digest: None,
        modified_ns: None,
        executable: false,
        resume: Some(Resume { key: [7; 32], epoch, mode }),
    };
    let nothing = Offer::of_file(None, None);
    let directory = Offer { name: Some("d".into()), kind: EntryKind::Directory, ..nothing.clone() };
    let proof = Credential::Proof(("ann".into(), vec![0xff, 0]));
    let token = Credential::Bearer("token".into());
    let hello = Hello { version_min: 1, version_max: 200, agent: "agent/1".into() };
    let offer = |id, offer| SenderMessage::Offer(NumberedOffer { id, offer });
    vec![
        ("hello", SenderMessage::Hello(hello)),
        ("goodbye", SenderMessage::Goodbye(refusal)),
        ("goodbye without words", SenderMessage::Goodbye(RefusalCode::Malformed.into())),
        ("authenticate with a proof", SenderMessage::Authenticate(proof)),
        ("authenticate with a token", SenderMessage::Authenticate(token)),
        ("offer of a file", offer(0, file)),
        ("offer of a directory", offer(16_384, directory)),
        ("offer without anything", offer(1, nothing)),
        ("offer that takes over", offer(2, resumed(0, ResumeMode::TakeOver))),
        ("offer that joins", offer(2, resumed(300, ResumeMode::Join))),
        ("offer that restarts", offer(2, resumed(u64::MAX, ResumeMode::Restart))),
        ("data", SenderMessage::Data(Data { id: 127, offset: 128, length: u64::MAX })),
        ("finish", SenderMessage::Finish(Finish { id: 3, size: 65_536, digest: digest() })),
        ("cancel", SenderMessage::Cancel(Cancel { id: 3, reason })),
        ("keep-alive", SenderMessage::KeepAlive),
    ]
}

pub fn receiver_messages() -> Vec<(&'static str, ReceiverMessage)> {
    let welcome = Welcome {
        version: 1,
        agent: "agent/2".into(),
        max_file_size: Some(u64::MAX),
        max_uploads_ahead: 1_024,
        max_bytes_ahead: 16_777_216,
        idle_timeout_ms: 60_000,
        challenge: vec![7; 32],
    };
    let bare = Welcome {
        version: 1,
        agent: String::new(),
        max_file_size: None,
        max_uploads_ahead: 0,
        max_bytes_ahead: 0,
        idle_timeout_ms: 0,
        challenge: vec![],
    };
    let goodbye = Refusal::new(RefusalCode::TooMany, "slow down");
    let ann = Authenticated { name: Some("ann".into()) };
    let missing =
        vec![Extent { offset: 0, length: Some(1_000) }, Extent { offset: 4_096, length: None }];
    let proven =
        Receipt { name: "a-1".into(), size: 128, digest: digest(), proof: Some(vec![1, 2]) };
    let plain = Receipt { name: "d".into(), size: 0, digest: digest(), proof: None };
    let refusal = Refusal::new(RefusalCode::NameInvalid, "bad");
    vec![
        ("welcome", ReceiverMessage::Welcome(welcome)),
        ("welcome without a limit", ReceiverMessage::Welcome(bare)),
        ("goodbye", ReceiverMessage::Goodbye(goodbye)),
        ("authenticated", ReceiverMessage::Authenticated(ann)),
        ("authenticated as nobody", ReceiverMessage::Authenticated(Authenticated { name: None })),
        ("accepted", ReceiverMessage::Accepted(Accepted { id: 5, missing })),
        (
            "accepted with nothing missing",
            ReceiverMessage::Accepted(Accepted { id: 5, missing: vec![] }),
        ),
        ("already-stored", ReceiverMessage::AlreadyStored(Stored { id: 0, receipt: proven })),
        ("digest-first", ReceiverMessage::DigestFirst(300)),
        ("refused", ReceiverMessage::Refused(Refused { id: 2, refusal })),
        ("stored", ReceiverMessage::Stored(Stored { id: 9, receipt: plain })),
        ("progress", ReceiverMessage::Progress(Progress { id: 1, durable: 1 << 32 })),
        ("keep-alive", ReceiverMessage::KeepAlive),
    ]
}
