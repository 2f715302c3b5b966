//! A disk on which inode numbers and times change by themselves: stored files are recognised by their content.

use super::identities::{ann, bob};
use super::*;

const DURABILITIES: [Durability; 2] = [Durability::Commit, Durability::None];

fn bench(conflict: Conflict, durability: Durability) -> Bench {
    Bench::on(Disk::unstable(), InboxOptions { conflict, durability, ..InboxOptions::default() })
}

/// Gives a file another inode and time, and this content.
fn becomes(path: &Path, content: &[u8]) {
    let copy = path.with_extension("copy");
    fs::write(&copy, content).unwrap();
    fs::rename(copy, path).unwrap();
}

#[test]
fn a_file_whose_inode_changed_is_stored_already() {
    for durability in DURABILITIES {
        let bench = bench(Conflict::Rename, durability);
        assert_eq!(bench.inbox().limitations(), [Limitation::UnstableAttributes]);
        for name in ["a", "d/b"] {
            bench.send(name, b"hello").unwrap();
            for _ in 0..3 {
                becomes(&bench.path(name), b"hello");
                assert_eq!(bench.send(name, b"hello").unwrap().name, name);
            }
        }
        assert_eq!(bench.names(), ["a", "d/", "d/b"]);
    }
}

#[test]
fn a_file_that_was_compared_is_not_read_again_until_it_changes() {
    let bench = bench(Conflict::Rename, Durability::Commit);
    bench.send("a", b"hello").unwrap();
    becomes(&bench.path("a"), b"hello");
    let with_digest = offer_with_digest("a", b"hello");
    let OfferResponse::Comparing(comparison) = bench.inbox().offered(&with_digest).unwrap() else {
        panic!("it is not compared")
    };
    block_on("the comparison of a stored file", comparison.ready());
    for _ in 0..2 {
        let response = bench.inbox().offered(&with_digest).unwrap();
        assert!(matches!(response, OfferResponse::Stored(_)), "{response:?}");
    }
}

#[test]
fn a_file_of_the_same_size_and_other_content_is_another_file() {
    for durability in DURABILITIES {
        let bench = bench(Conflict::Rename, durability);
        bench.send("a", b"hello").unwrap();
        becomes(&bench.path("a"), b"HELLO");
        assert_eq!(bench.send("a", b"hello").unwrap().name, "a-1");
        assert_eq!(bench.send("a", b"hello").unwrap().name, "a-1");
        assert_eq!(fs::read(bench.path("a")).unwrap(), b"HELLO");
    }
}

#[test]
fn a_stream_that_was_stored_makes_no_second_copy() {
    for durability in DURABILITIES {
        let bench = bench(Conflict::Rename, durability);
        let stream = Offer { size: None, ..offer("a", b"") };
        for _ in 0..3 {
            let upload = upload(bench.inbox(), &stream, b"hello");
            assert_eq!(wait(&upload.commit(5, None)).unwrap().name, "a");
            becomes(&bench.path("a"), b"hello");
        }
        assert_eq!(bench.names(), ["a"]);
    }
}

#[test]
fn a_file_whose_inode_changed_is_still_its_senders() {
    let bench = bench(Conflict::Replace, Durability::Commit);
    let send_as = |sender: &Identity, content: &[u8]| {
        commit_as(bench.inbox(), sender, &offer("a", content), content)
    };
    send_as(&ann(), b"anns").unwrap();
    becomes(&bench.path("a"), b"anns");
    assert_eq!(code(send_as(&bob(), b"bobs")), RefusalCode::Exists);
    send_as(&ann(), b"anns again").unwrap();
    assert_eq!(fs::read(bench.path("a")).unwrap(), b"anns again");
}
