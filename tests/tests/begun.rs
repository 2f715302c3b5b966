//! Senders that begin much and bring little: what that costs the server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::MetadataExt;

use sandport_protocol::wire::{Data, ReceiverMessage, SenderMessage};
use sandport_protocol::{Offer, Resume, ResumeMode};
use sandport_tests::deadline::until;
use sandport_tests::{Native, Server, native};

const MIB: u64 = 1024 * 1024;

/// How many uploads are begun, and chunk groups of each: as many as one connection may, or nearly.
const UPLOADS: u64 = 1_000;
const GROUPS: u64 = 128;

fn offer(id: u64) -> SenderMessage {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&id.to_le_bytes());
    let resume = Some(Resume { key, epoch: 1, mode: ResumeMode::TakeOver });
    let name = format!("upload {id}");
    native::offer(
        id,
        Offer { resume, ..native::resumable(&name, GROUPS * MIB, ResumeMode::TakeOver) },
    )
}

/// Blocks of all that lies below a directory, in bytes.
fn disk_bytes(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

/// Connections of one address that offer as much as they can.
const OFFERING: u64 = 32;

#[test]
fn offers_of_which_nothing_comes_cost_what_an_address_may_hold() {
    let server = Server::start([]);
    let mut senders: Vec<_> = (0..OFFERING).map(|_| Native::open(&server)).collect();
    // So that all that is made once for a connection is there.
    for (sender, name) in senders.iter_mut().zip(0..) {
        sender.send(0, &format!("{name}"), b"first");
        sender.outcome(0).unwrap();
    }
    let before = server.resident_bytes();
    let (mut sent, mut accepted, mut refused) = (0, 0_u64, 0_u64);
    for (sender, name) in senders.iter_mut().zip(0_u64..) {
        for id in 1..=UPLOADS {
            let offer = native::offer(id, native::file(&format!("{name}-{id}"), MIB));
            sent += native::frame(&offer).len() as u64;
            sender.say(&offer);
            match sender.hear() {
                Some(ReceiverMessage::Accepted(_)) => accepted += 1,
                Some(ReceiverMessage::Refused(_)) => {
                    refused += 1;
                    break;
                }
                heard => panic!("{heard:?}"),
            }
        }
    }
    let memory = server.resident_bytes().saturating_sub(before);
    println!("{sent} bytes sent, {accepted} accepted, {refused} refused, {memory} of memory");
    assert!(refused > 0 && memory <= 80 * MIB, "{memory} bytes of memory for {sent}");
    drop(senders);
}

#[test]
fn a_byte_of_each_of_many_groups_costs_little_memory_or_disk() {
    // Little is kept when somebody asks, or there is more of it: so it does not matter how long this takes.
    let server = Server::start(["--quota-bytes", "1TiB", "--watermark-time", "1ms"]);
    let mut sender = Native::open(&server);
    sender.send(0, "first", b"so that all that is made once is there");
    sender.outcome(0).unwrap();
    let partials = server.inbox().join(".sandport/partials");
    let before = server.resident_bytes();
    let mut sent = 0;
    for id in 1..=UPLOADS {
        let message = offer(id);
        sent += native::frame(&message).len() as u64;
        sender.say(&message);
        let verdict = sender.hear();
        assert!(matches!(verdict, Some(ReceiverMessage::Accepted(_))), "{verdict:?}");
        for group in 0..GROUPS {
            let (offset, length) = (group * MIB, 1);
            sent +=
                native::frame(&SenderMessage::Data(Data { id, offset, length })).len() as u64 + 1;
            sender.data(id, offset, b"x");
        }
    }
    sender.send(UPLOADS + 1, "last", b"when this is through, all before it has come");
    sender.outcome(UPLOADS + 1).unwrap();
    let memory = server.resident_bytes().saturating_sub(before);
    let disk = disk_bytes(&partials);
    println!("{sent} bytes sent, {memory} of memory, {disk} of disk");
    // It was 320 times as much, when each group had a hasher and room for ten, and 18 times when each was in two trees.
    assert!(memory <= 8 * sent, "{memory} bytes of memory for {sent}");
    assert!(disk <= 2 * sent, "{disk} bytes of disk for {sent}");
    drop(sender);
    until("the end of all that was begun", || disk_bytes(&partials) == 0);
    // Whoever comes then finds the whole quota.
    let mut next = Native::open(&server);
    next.send(0, "next", b"next");
    next.outcome(0).unwrap();
}
