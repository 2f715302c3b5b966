//! Several senders, each with an identity: what one of them sent is of no use to another, and nothing tells
//! another that it is there.

use sandport_protocol::ResumeMode;

use super::resume::{GROUP, content, resumable};
use super::*;
use crate::maintenance::{self, FileState};

pub(super) fn ann() -> Identity {
    Identity::user(1)
}

pub(super) fn bob() -> Identity {
    Identity::user(2)
}

/// Everybody that a server may tell apart.
pub(super) fn everybody() -> [Identity; 3] {
    [Identity::ANONYMOUS, ann(), bob()]
}

/// Sends a file however it was offered, unless it is here already.
pub(super) fn send_as(
    bench: &Bench,
    sender: &Identity,
    name: &str,
    content: &[u8],
) -> Result<Receipt, Refusal> {
    commit_as(bench.inbox(), sender, &offer(name, content), content)
}

fn open(bench: &Bench, sender: &Identity, offer: &Offer) -> OfferResponse {
    bench.inbox().offered_as(sender, offer).unwrap()
}

#[test]
fn what_another_identity_stored_is_sent_again_by_another_name() {
    for durability in [Durability::Commit, Durability::None] {
        let mut bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        for (number, sender) in everybody().iter().enumerate() {
            for others in &everybody()[number..] {
                for offer in [offer("a", b"hello"), offer_with_digest("a", b"hello")] {
                    let response = open(&bench, others, &offer);
                    assert!(
                        matches!(response, OfferResponse::Accepted(_)),
                        "{others}: {response:?}"
                    );
                }
            }
            let name = send_as(&bench, sender, "a", b"hello").unwrap().name;
            assert_eq!(name, ["a", "a-1", "a-2"][number]);
        }
        // Each gets its own receipt again, also from a server that was started anew.
        for restart in [false, true] {
            if restart {
                bench.restart();
            }
            for (number, sender) in everybody().iter().enumerate() {
                let asked = open(&bench, sender, &offer("a", b"hello"));
                assert!(matches!(asked, OfferResponse::DigestFirst), "{sender}: {asked:?}");
                match open(&bench, sender, &offer_with_digest("a", b"hello")) {
                    OfferResponse::Stored(receipt) => {
                        assert_eq!(receipt.name, ["a", "a-1", "a-2"][number]);
                    }
                    other => panic!("{sender}: {other:?}"),
                }
                // By the name that another's has nobody finds it.
                let other = ["a-1", "a-2", "a"][number];
                let response = open(&bench, sender, &offer_with_digest(other, b"hello"));
                assert!(
                    number == 2 || matches!(response, OfferResponse::Accepted(_)),
                    "{response:?}"
                );
            }
        }
        assert_eq!(bench.names(), ["a", "a-1", "a-2"]);
    }
}

#[test]
fn the_same_file_of_two_identities_is_kept_twice() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        let senders = [ann(), bob(), ann(), bob()];
        let uploads = senders.map(|sender| {
            let OfferResponse::Accepted(upload) = open(&bench, &sender, &offer("a", b"hello"))
            else {
                panic!("nothing is here");
            };
            upload.body(ALL).unwrap().write(b"hello");
            upload
        });
        let pending = uploads.map(|upload| upload.commit(5, None));
        let names = pending.map(|pending| wait(&pending).unwrap().name);
        assert_eq!(names, ["a", "a-1", "a", "a-1"]);
        assert_eq!((bench.names().len(), bench.staged()), (2, 0));
    }
}

#[test]
fn where_taken_names_are_refused_the_same_content_is_refused() {
    let bench = Bench::conflict(Conflict::Refuse);
    send_as(&bench, &ann(), "a", b"hello").unwrap();
    let refusals = [&b"hello"[..], b"other", b"longer"].map(|content| {
        let offer = offer_with_digest("a", content);
        bench.inbox().offered_as(&bob(), &offer).unwrap_err()
    });
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
    assert_eq!(refusals[0].code, RefusalCode::Exists);
    assert_eq!(send_as(&bench, &ann(), "a", b"hello").unwrap().name, "a");
}

#[test]
fn the_resume_key_of_another_identity_does_not_resume() {
    for restart in [false, true] {
        let mut bench = Bench::new();
        let content = content(3 * GROUP);
        let offer = resumable("big", Some(3 * GROUP as u64), ResumeMode::TakeOver);
        let OfferResponse::Accepted(first) = open(&bench, &ann(), &offer) else { panic!() };
        first.body(ALL).unwrap().write(&content[..GROUP + 5]);
        let watch = first.watch();
        if restart {
            drop(first);
            bench.restart();
        }
        // Nothing of it is there for others, and they take nothing over.
        for stranger in [Identity::ANONYMOUS, bob()] {
            for mode in [ResumeMode::TakeOver, ResumeMode::Join, ResumeMode::Restart] {
                let offer = resumable("big", Some(3 * GROUP as u64), mode);
                let OfferResponse::Accepted(theirs) = open(&bench, &stranger, &offer) else {
                    panic!()
                };
                assert_eq!(theirs.missing()[0].offset, 0, "{stranger}");
            }
        }
        assert_eq!(watch.fault(), None);
        let OfferResponse::Accepted(upload) = open(&bench, &ann(), &offer) else { panic!() };
        let missing = upload.missing();
        assert_eq!(missing[0].offset, (GROUP + 5) as u64);
        upload.body(missing[0]).unwrap().write(&content[GROUP + 5..]);
        wait(&upload.commit(3 * GROUP as u64, Some(digest(&content)))).unwrap();
        assert_eq!(bench.names(), ["big"]);
    }
}

#[test]
fn who_sent_what_is_listed_for_stored_files_and_waiting_ones() {
    let mut bench = Bench::new();
    send_as(&bench, &Identity::ANONYMOUS, "a", b"a").unwrap();
    send_as(&bench, &bob(), "b", b"b").unwrap();
    fs::write(bench.path("c"), "c").unwrap();
    let offer = resumable("big", Some(3 * GROUP as u64), ResumeMode::TakeOver);
    let OfferResponse::Accepted(upload) = open(&bench, &ann(), &offer) else { panic!() };
    upload.body(ALL).unwrap().write(&content(GROUP));
    drop(upload);
    for _ in 0..2 {
        bench.restart();
        let files: Vec<_> = maintenance::list(&bench.dir()).unwrap().map(Result::unwrap).collect();
        let senders: Vec<_> = files.iter().map(|file| file.identity.clone()).collect();
        assert_eq!(senders, [Some(Identity::ANONYMOUS), Some(bob()), None]);
        assert_eq!(files[2].state, FileState::Unrecorded);
        let waiting: Vec<_> =
            maintenance::list_partials(&bench.dir()).unwrap().map(Result::unwrap).collect();
        assert_eq!((waiting.len(), &waiting[0].identity), (1, &Some(ann())));
    }
}

#[test]
fn a_log_without_identities_is_that_of_anonymous_senders() {
    // Its bytes are as before there were any: `guest/protocol/tests/receipt_log.rs`.
    let mut bench = Bench::new();
    bench.send("a", b"hello").unwrap();
    bench.restart();
    let offer = offer_with_digest("a", b"hello");
    assert!(matches!(open(&bench, &Identity::ANONYMOUS, &offer), OfferResponse::Stored(_)));
    assert!(matches!(open(&bench, &ann(), &offer), OfferResponse::Accepted(_)));
    let listed = maintenance::list(&bench.dir()).unwrap().next().unwrap().unwrap();
    assert_eq!(listed.identity, Some(Identity::ANONYMOUS));
}

#[test]
fn a_file_is_replaced_by_who_sent_it_and_by_nobody_else() {
    for durability in [Durability::Commit, Durability::None] {
        let conflict = Conflict::Replace;
        let options = InboxOptions { durability, conflict, ..InboxOptions::default() };
        let mut bench = Bench::with(options);
        let large = vec![7; 100_000];
        for (owner, other) in
            [(ann(), bob()), (ann(), Identity::ANONYMOUS), (Identity::ANONYMOUS, bob())]
        {
            let name = format!("{owner} {other}").replace(':', " ");
            send_as(&bench, &owner, &name, b"first").unwrap();
            send_as(&bench, &owner, &name, b"second").unwrap();
            for restart in [false, true] {
                if restart {
                    bench.restart();
                }
                for content in [&b"other"[..], b"second"] {
                    let refusal = send_as(&bench, &other, &name, content).unwrap_err();
                    assert_eq!(refusal.code, RefusalCode::Exists, "{owner} {other}");
                }
                // Before it is sent, where that would take a while.
                let early = bench.inbox().offered_as(&other, &offer(&name, &large)).unwrap_err();
                assert_eq!(early.code, RefusalCode::Exists);
                assert_eq!(fs::read(bench.path(&name)).unwrap(), b"second");
            }
            send_as(&bench, &owner, &name, b"third").unwrap();
            assert_eq!(fs::read(bench.path(&name)).unwrap(), b"third");
            // What somebody has changed is nobody's.
            fs::write(bench.path(&name), b"changed").unwrap();
            send_as(&bench, &other, &name, b"other").unwrap();
        }
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn of_two_identities_that_replace_at_once_the_first_gets_it() {
    for durability in [Durability::Commit, Durability::None] {
        let conflict = Conflict::Replace;
        let options = InboxOptions { durability, conflict, ..InboxOptions::default() };
        let bench = Bench::in_memory(options);
        for round in 0..50 {
            let name = format!("f{round}");
            let stored: Vec<_> = std::thread::scope(|scope| {
                let senders = [1_u32, 2, 3].map(|uid| {
                    let (inbox, name) = (bench.inbox().clone(), name.clone());
                    scope.spawn(move || {
                        let content = uid.to_le_bytes();
                        let sender = Identity::user(uid);
                        commit_as(&inbox, &sender, &offer(&name, &content), &content)
                            .map(|_| content)
                    })
                });
                senders.into_iter().filter_map(|sender| joined("a sender", sender).ok()).collect()
            });
            assert_eq!(stored.len(), 1, "round {round}");
            assert_eq!(fs::read(bench.path(&name)).unwrap(), stored[0]);
        }
    }
}
