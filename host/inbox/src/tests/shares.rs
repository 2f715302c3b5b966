//! Limits on what each identity has in an inbox.

use std::time::{Duration, SystemTime};

use sandport_protocol::ResumeMode;

use super::identities::{ann, bob, everybody, send_as};
use super::resume::{GROUP, content, resumable};
use super::*;
use crate::maintenance::clean;

fn with_share(
    max_bytes: impl Into<Option<u64>>,
    max_files: impl Into<Option<u64>>,
) -> InboxOptions {
    InboxOptions {
        identity_quota: Quota::new(max_bytes.into(), max_files.into()),
        ..InboxOptions::default()
    }
}

/// Bytes and files of an identity: stored, reserved, waiting.
fn share(bench: &Bench, identity: &Identity) -> [u64; 6] {
    bench.inbox().handle.core.usage.as_ref().unwrap().share(identity)
}

fn count_now(bench: &Bench) {
    bench.inbox().handle.core.usage.as_ref().unwrap().count_now();
}

#[test]
fn each_identity_has_a_share_also_right_after_a_restart() {
    for durability in [Durability::Commit, Durability::None] {
        let mut bench = Bench::with(InboxOptions { durability, ..with_share(10, None) });
        for sender in everybody() {
            send_as(&bench, &sender, "a", b"12345").unwrap();
        }
        for restart in [false, true] {
            if restart {
                bench.restart();
            }
            for sender in everybody() {
                assert_eq!(share(&bench, &sender), [5, 1, 0, 0, 0, 0], "{sender}");
                let over = send_as(&bench, &sender, "b", b"123456");
                assert_eq!(code(over), RefusalCode::QuotaExceeded, "{sender}");
                // A retry needs no room.
                send_as(&bench, &sender, "a", b"12345").unwrap();
            }
        }
        send_as(&bench, &ann(), "b", b"54321").unwrap();
        assert_eq!(code(send_as(&bench, &ann(), "c", b"1")), RefusalCode::QuotaExceeded);
        send_as(&bench, &ann(), "empty", b"").unwrap();
        send_as(&bench, &bob(), "c", b"1").unwrap();
    }
}

#[test]
fn the_words_name_the_limit_that_is_met_and_nobody_elses_files() {
    let quota = Quota::new(Some(20), Some(4));
    let bench = Bench::with(InboxOptions { quota, ..with_share(10, 2) });
    let words = |sender: &Identity, content: &[u8]| {
        send_as(&bench, sender, "x", content).unwrap_err().detail.unwrap()
    };
    assert_eq!(words(&ann(), &[0; 11]), "each sender has room for 10 bytes");
    assert_eq!(
        words(&Identity::ANONYMOUS, &[0; 11]),
        "anonymous senders together have room for 10 bytes"
    );
    send_as(&bench, &ann(), "a", b"1").unwrap();
    send_as(&bench, &ann(), "b", b"1").unwrap();
    // Its own share first, though the inbox has no room for it either.
    assert_eq!(words(&ann(), &[0; 30]), "each sender has room for 2 files");
    send_as(&bench, &bob(), "c", &[0; 10]).unwrap();
    let nine = [0; 9];
    assert_eq!(words(&Identity::ANONYMOUS, &nine), "the inbox holds 20 bytes at most");
    send_as(&bench, &Identity::ANONYMOUS, "d", b"1").unwrap();
    assert_eq!(words(&bob(), b""), "the inbox holds 4 files and directories at most");
}

#[test]
fn active_and_parked_uploads_are_in_the_share_of_their_sender() {
    let size = 4 * GROUP as u64;
    let mut bench = Bench::in_memory(with_share(size + 10, None));
    let content = content(4 * GROUP);
    let offer = resumable("big", Some(size), ResumeMode::TakeOver);
    let open = |bench: &Bench, sender: &Identity, size: u64| {
        let offer = Offer { size: Some(size), ..super::offer("other", b"") };
        bench.inbox().offered_as(sender, &offer).map(drop)
    };
    let OfferResponse::Accepted(upload) = bench.inbox().offered_as(&ann(), &offer).unwrap() else {
        panic!()
    };
    assert_eq!(share(&bench, &ann()), [0, 0, size, 1, 0, 0]);
    assert_eq!(code(open(&bench, &ann(), 11)), RefusalCode::QuotaExceeded);
    open(&bench, &bob(), size + 10).unwrap();
    upload.body(ALL).unwrap().write(&content[..GROUP + 5]);
    drop(upload);
    for _ in 0..2 {
        bench.restart();
        let here = GROUP as u64 + 5;
        assert_eq!(share(&bench, &ann()), [0, 0, 0, 0, here, 1]);
        assert_eq!(code(open(&bench, &ann(), size + 11 - here)), RefusalCode::QuotaExceeded);
        open(&bench, &ann(), size + 10 - here).unwrap();
        open(&bench, &bob(), size + 10).unwrap();
    }
    let OfferResponse::Accepted(upload) = bench.inbox().offered_as(&ann(), &offer).unwrap() else {
        panic!()
    };
    let missing = upload.missing()[0];
    upload.body(missing).unwrap().write(&content[GROUP + 5..]);
    wait(&upload.commit(size, Some(digest(&content)))).unwrap();
    assert_eq!(share(&bench, &ann()), [size, 1, 0, 0, 0, 0]);
    count_now(&bench);
    assert_eq!(share(&bench, &ann()), [size, 1, 0, 0, 0, 0]);
}

#[test]
fn what_waited_and_was_cleaned_away_is_in_no_share_any_more() {
    let size = 2 * GROUP as u64;
    let mut bench = Bench::in_memory(with_share(size, None));
    let offer = resumable("big", Some(size), ResumeMode::TakeOver);
    let OfferResponse::Accepted(upload) = bench.inbox().offered_as(&ann(), &offer).unwrap() else {
        panic!()
    };
    upload.body(ALL).unwrap().write(&content(GROUP));
    drop(upload);
    bench.restart();
    for entry in fs::read_dir(bench.path(".sandport/partials")).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    clean(&bench.dir(), Duration::from_secs(60), false).unwrap();
    let other = Offer { size: Some(size), ..super::offer("other", b"") };
    drop(bench.inbox().offered_as(&ann(), &other).unwrap());
    assert_eq!(share(&bench, &ann()), [0; 6]);
}

#[test]
fn files_that_somebody_removed_or_changed_are_in_no_share() {
    let bench = Bench::with(with_share(10, None));
    send_as(&bench, &ann(), "taken out", b"12345").unwrap();
    send_as(&bench, &ann(), "changed", b"12345").unwrap();
    fs::remove_file(bench.path("taken out")).unwrap();
    fs::write(bench.path("changed"), b"123456789").unwrap();
    send_as(&bench, &ann(), "a", b"1234567890").unwrap();
    assert_eq!(share(&bench, &ann()), [10, 1, 0, 0, 0, 0]);
    // What somebody else put there is nobody's, and moved files are not known again.
    fs::rename(bench.path("a"), bench.path("b")).unwrap();
    fs::write(bench.path("theirs"), b"1234567890").unwrap();
    count_now(&bench);
    assert_eq!(share(&bench, &ann()), [0; 6]);
}

#[test]
fn directories_are_nobodys() {
    let bench = Bench::with(with_share(None, 1));
    for name in ["a", "b/c"] {
        commit_as(bench.inbox(), &ann(), &offer_directory(name), b"").unwrap();
    }
    send_as(&bench, &ann(), "d/e", b"1").unwrap();
    assert_eq!(share(&bench, &ann()), [1, 1, 0, 0, 0, 0]);
    assert_eq!(code(send_as(&bench, &ann(), "f", b"1")), RefusalCode::QuotaExceeded);
}

#[test]
fn a_replaced_file_gives_its_room_in_the_share_back() {
    for durability in [Durability::Commit, Durability::None] {
        let conflict = Conflict::Replace;
        let bench = Bench::with(InboxOptions { durability, conflict, ..with_share(10, 3) });
        fs::write(bench.path("theirs"), b"1").unwrap();
        send_as(&bench, &ann(), "a", b"12345678").unwrap();
        send_as(&bench, &ann(), "a", b"1").unwrap();
        // In its place there was one that was in no share.
        send_as(&bench, &ann(), "theirs", b"12").unwrap();
        assert_eq!(share(&bench, &ann()), [3, 2, 0, 0, 0, 0]);
        // Several at once, of which the last one stays.
        let uploads = ["123", "4567", "89"].map(|content| {
            let offer = offer("b", content.as_bytes());
            let OfferResponse::Accepted(upload) = bench.inbox().offered_as(&bob(), &offer).unwrap()
            else {
                panic!()
            };
            upload.body(ALL).unwrap().write(content.as_bytes());
            (upload, offer.size.unwrap())
        });
        let pending = uploads.map(|(upload, size)| upload.commit(size, None));
        pending.iter().for_each(|pending| drop(wait(pending).unwrap()));
        for _ in 0..2 {
            assert_eq!(share(&bench, &bob()), [2, 1, 0, 0, 0, 0]);
            count_now(&bench);
        }
        assert_eq!(share(&bench, &ann()), [3, 2, 0, 0, 0, 0]);
    }
}

#[test]
fn without_a_log_a_share_is_what_was_sent_since_the_start() {
    let records = Records::Memory;
    let mut bench = Bench::with(InboxOptions { records, ..with_share(10, None) });
    send_as(&bench, &ann(), "a", b"1234567890").unwrap();
    count_now(&bench);
    assert_eq!(code(send_as(&bench, &ann(), "b", b"1")), RefusalCode::QuotaExceeded);
    bench.restart();
    assert_eq!(share(&bench, &ann()), [0; 6]);
    send_as(&bench, &ann(), "b", b"1").unwrap();
}

#[test]
fn many_at_once_never_exceed_their_shares() {
    for (durability, conflict) in [
        (Durability::Commit, Conflict::Rename),
        (Durability::None, Conflict::Rename),
        (Durability::Commit, Conflict::Replace),
        (Durability::None, Conflict::Replace),
    ] {
        let options = InboxOptions { durability, conflict, ..with_share(20_000, 30) };
        let bench = Bench::in_memory(options);
        std::thread::scope(|scope| {
            for sender in 0..4_u32 {
                let inbox = bench.inbox().clone();
                scope.spawn(move || {
                    let identity = Identity::user(sender % 2);
                    for number in 0..80_usize {
                        let content = vec![sender as u8; (number * 97) % 1_500];
                        let name = format!("{}/{}", sender % 2, number % 40);
                        // Most are taken, the rest refused when the share is used up.
                        let _ = commit_as(&inbox, &identity, &offer(&name, &content), &content);
                    }
                });
            }
            for _ in 0..20 {
                count_now(&bench);
            }
        });
        for sender in 0..2 {
            let prefix = format!("{sender}/");
            let files = bench.published();
            let files: Vec<_> = files
                .iter()
                .filter(|(name, _)| name.starts_with(&prefix) && !name.ends_with('/'))
                .collect();
            let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
            assert!(bytes <= 20_000 && files.len() <= 30, "{bytes} {}", files.len());
            let expected = [bytes as u64, files.len() as u64, 0, 0, 0, 0];
            assert_eq!(
                share(&bench, &Identity::user(sender)),
                expected,
                "{durability:?} {conflict:?}"
            );
            count_now(&bench);
            assert_eq!(share(&bench, &Identity::user(sender)), expected);
        }
    }
}
