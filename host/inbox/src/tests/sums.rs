//! Digests of other algorithms than BLAKE3: checked where a sender claims them, told where it wants them.

use sandport_protocol::{Algorithm, ContentDigest, Resume, ResumeMode};

use super::resume::*;
use super::*;
use crate::sums::Hasher;

/// All that is not in each receipt anyway.
const OTHERS: [Algorithm; 5] =
    [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha1, Algorithm::Md5, Algorithm::Crc32];

fn sum(algorithm: Algorithm, content: &[u8]) -> ContentDigest {
    let mut hasher = Hasher::new(algorithm).unwrap();
    hasher.update(content);
    hasher.digest()
}

fn sums(content: &[u8]) -> Vec<ContentDigest> {
    OTHERS.iter().map(|&algorithm| sum(algorithm, content)).collect()
}

fn wanting(want: &[Algorithm]) -> OfferOptions {
    OfferOptions { want: want.to_vec(), ..OfferOptions::default() }
}

fn claiming(digests: &[ContentDigest]) -> OfferOptions {
    OfferOptions { digests: digests.to_vec(), ..OfferOptions::default() }
}

fn offer_with(
    inbox: &Inbox,
    offer: &Offer,
    options: &OfferOptions,
) -> Result<OfferResponse, Refusal> {
    block_on("the answer to an offer", inbox.offer_with(&Identity::ANONYMOUS, offer, options))
}

#[track_caller]
fn accept_with(inbox: &Inbox, offer: &Offer, options: &OfferOptions) -> Upload {
    match offer_with(inbox, offer, options).unwrap() {
        OfferResponse::Accepted(upload) => upload,
        other => panic!("{offer:?} got {other:?}"),
    }
}

/// Commits; the digests besides BLAKE3 in the receipt.
fn commit(
    upload: Upload,
    size: usize,
    claimed: &[ContentDigest],
) -> Result<Vec<ContentDigest>, Refusal> {
    let pending = upload.commit_with(size as u64, None, claimed);
    wait(&pending).map(|_| pending.digests())
}

fn join_of(content: &[u8]) -> Offer {
    let resume = Some(Resume { key: [5; 32], epoch: 1, mode: ResumeMode::Join });
    Offer { resume, ..offer_of(content) }
}

/// A durability each, and with it each way in which a small file lies before it has a name.
fn benches() -> [Bench; 2] {
    [Durability::Full, Durability::None]
        .map(|durability| Bench::with(InboxOptions { durability, ..InboxOptions::default() }))
}

#[test]
fn claims_are_checked_and_wanted_digests_are_told() {
    for bench in benches() {
        let content = content(300_000);
        let claims = claiming(&sums(&content));
        let upload = accept_with(bench.inbox(), &offer("claimed", &content), &claims);
        let mut body = upload.body(ALL).unwrap();
        content.chunks(7_001).for_each(|piece| body.write(piece));
        assert_eq!(commit(upload, content.len(), &[]), Ok(sums(&content)));

        let want = [Algorithm::Crc32, Algorithm::Sha256, Algorithm::Blake3];
        let upload = accept_with(bench.inbox(), &offer("wanted", &content), &wanting(&want));
        upload.body(ALL).unwrap().write(&content);
        let expected = [Algorithm::Sha256, Algorithm::Crc32].map(|it| sum(it, &content));
        assert_eq!(commit(upload, content.len(), &[]), Ok(expected.to_vec()));

        let plain = accept(bench.inbox(), &offer("plain", &content));
        plain.body(ALL).unwrap().write(&content);
        assert_eq!(commit(plain, content.len(), &[]), Ok(vec![]), "nobody has asked for any");
        assert_eq!(bench.names(), ["claimed", "plain", "wanted"]);
    }
}

#[test]
fn a_file_that_is_not_what_was_claimed_is_not_published() {
    for bench in benches() {
        for algorithm in OTHERS {
            let wrong = [sum(algorithm, b"hello")];
            let early = accept_with(bench.inbox(), &offer("early", b"jello"), &claiming(&wrong));
            early.body(ALL).unwrap().write(b"jello");
            assert_eq!(code(commit(early, 5, &[])), RefusalCode::DigestMismatch, "{algorithm:?}");
            // Claimed when all is here, so that the file has to be read.
            let late = accept(bench.inbox(), &offer("late", b"jello"));
            late.body(ALL).unwrap().write(b"jello");
            assert_eq!(code(commit(late, 5, &wrong)), RefusalCode::DigestMismatch, "{algorithm:?}");
            // One of both holds.
            let both = [sum(algorithm, b"jello"), sum(algorithm, b"hello")];
            let twice = accept_with(bench.inbox(), &offer("both", b"jello"), &claiming(&both[..1]));
            twice.body(ALL).unwrap().write(b"jello");
            assert_eq!(code(commit(twice, 5, &both[1..])), RefusalCode::DigestMismatch);
        }
        assert_eq!(bench.names(), [""; 0]);
        until("what was staged to be removed", || bench.staged() == 0);
    }
}

#[test]
fn what_is_claimed_at_the_end_is_found_out_by_reading_the_file() {
    for bench in benches() {
        // Also of more than is read at once, and of a file that is made durable ahead.
        for (name, size) in [("empty", 0), ("small", 5), ("large", 9 * GROUP + 7)] {
            let content = content(size);
            let upload =
                accept_with(bench.inbox(), &offer(name, &content), &wanting(&[Algorithm::Md5]));
            if size > 0 {
                upload.body(ALL).unwrap().write(&content);
            }
            let expected = [Algorithm::Sha1, Algorithm::Md5].map(|it| sum(it, &content));
            assert_eq!(commit(upload, size, &expected[..1]), Ok(expected.to_vec()), "{name}");
            assert_eq!(fs::read(bench.path(name)).unwrap(), content);
        }
    }
}

#[test]
fn a_large_file_has_its_digests_in_order_and_out_of_order() {
    let content = content(3 * GROUP + 99);
    for in_order in [true, false] {
        let bench = bench();
        let upload = accept_with(bench.inbox(), &offer_of(&content), &claiming(&sums(&content)));
        if !in_order {
            upload.body(extent(2 * GROUP, GROUP + 99)).unwrap().write(&content[2 * GROUP..]);
        }
        bring(&upload, &content);
        assert_eq!(commit(upload, content.len(), &[]), Ok(sums(&content)), "{in_order}");
        assert_eq!(bench.published(), [("big".to_owned(), content.clone())]);
    }
}

#[test]
fn a_file_of_two_connections_has_what_each_of_them_wants() {
    let content = content(3 * GROUP + 99);
    let size = content.len();
    let bench = bench();
    let first = accept_with(bench.inbox(), &offer_of(&content), &wanting(&[Algorithm::Sha256]));
    let joined = accept_with(bench.inbox(), &join_of(&content), &wanting(&[Algorithm::Sha1]));
    first.body(extent(0, 2 * GROUP)).unwrap().write(&content[..2 * GROUP]);
    joined.body(extent(2 * GROUP, GROUP + 99)).unwrap().write(&content[2 * GROUP..]);
    let early = first.commit_with(size as u64, None, &[]);
    let expected = [Algorithm::Sha256, Algorithm::Sha1].map(|it| sum(it, &content));
    assert_eq!(commit(joined, size, &[]), Ok(expected.to_vec()));
    wait(&early).unwrap();
    assert_eq!(early.digests(), expected);
}

#[test]
fn a_file_that_was_begun_by_another_connection_has_its_digests() {
    let (bench, content) = cut_off();
    let second = accept_with(bench.inbox(), &offer_of(&content), &wanting(&OTHERS));
    assert!(second.missing()[0].offset > 0, "some of it was kept");
    bring(&second, &content);
    assert_eq!(commit(second, content.len(), &[]), Ok(sums(&content)));
}

#[test]
fn a_file_that_was_here_at_first_has_its_digests() {
    let (bench, content) = cut_off();
    let second = accept(bench.inbox(), &offer_of(&content));
    bring(&second, &content);
    drop(second);
    let last = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(last.missing(), []);
    let claimed = sums(&content);
    assert_eq!(commit(last, content.len(), &claimed), Ok(claimed));
}

#[test]
fn an_upload_that_is_not_what_it_was_claimed_to_be_begins_anew() {
    let content = content(2 * GROUP + 5);
    let bench = bench();
    for (in_order, at_the_end) in [(true, false), (false, false), (true, true)] {
        let wrong = [sum(Algorithm::Sha256, b"something else")];
        let options = if at_the_end { OfferOptions::default() } else { claiming(&wrong) };
        let upload = accept_with(bench.inbox(), &offer_of(&content), &options);
        if !in_order {
            upload.body(extent(GROUP, GROUP)).unwrap().write(&content[GROUP..2 * GROUP]);
        }
        bring(&upload, &content);
        let claimed = if at_the_end { &wrong[..] } else { &[] };
        let refused = commit(upload, content.len(), claimed);
        assert_eq!(code(refused), RefusalCode::DigestMismatch);
        assert_eq!(bench.names(), [""; 0]);
        let again = accept(bench.inbox(), &offer_of(&content));
        assert_eq!(again.missing(), [extent(0, content.len())], "nothing of it is left");
        again.discard();
    }
}

#[test]
fn a_body_is_checked_by_any_algorithm() {
    let content = content(2 * GROUP);
    for algorithm in Algorithm::ALL {
        let bench = bench();
        let upload =
            accept_with(bench.inbox(), &offer_of(&content), &wanting(&[Algorithm::Sha512]));
        let mut wrong = upload.body_checked(extent(0, GROUP), algorithm).unwrap();
        wrong.write(&vec![0xee; GROUP]);
        let refused = wrong.finish_with(Some(sum(algorithm, &content[..GROUP])));
        assert_eq!(code(refused), RefusalCode::DigestMismatch, "{algorithm:?}");
        assert_eq!((upload.fault(), upload.missing()), (None, vec![extent(0, 2 * GROUP)]));
        for start in [0, GROUP] {
            let piece = &content[start..start + GROUP];
            let mut right = upload.body_checked(extent(start, GROUP), algorithm).unwrap();
            piece.chunks(100_003).for_each(|part| right.write(part));
            right.finish_with(Some(sum(algorithm, piece))).unwrap();
        }
        let expected = vec![sum(Algorithm::Sha512, &content)];
        assert_eq!(commit(upload, content.len(), &[]), Ok(expected), "{algorithm:?}");
        assert_eq!(bench.published(), [("big".to_owned(), content.clone())]);
    }
}

#[test]
fn a_body_ends_with_a_digest_of_the_algorithm_it_began_with() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut body = upload.body_checked(extent(0, GROUP), Algorithm::Sha1).unwrap();
    body.write(&content[..GROUP]);
    let refused = body.finish_with(Some(sum(Algorithm::Md5, &content[..GROUP])));
    assert_eq!(code(refused), RefusalCode::UnsupportedVersion);
    assert_eq!(upload.missing(), [extent(0, 2 * GROUP)], "nothing of it was here");
}

#[test]
fn a_stored_file_is_found_by_blake3_whatever_is_wanted() {
    let bench = Bench::new();
    let content = content(GROUP + 3);
    let receipt = bench.send("stored", &content).unwrap();
    let offer = Offer { digest: Some(digest(&content)), ..offer("stored", &content) };
    let again = offer_with(bench.inbox(), &offer, &wanting(&OTHERS));
    assert!(matches!(again, Ok(OfferResponse::Stored(found)) if found == receipt));
}

#[test]
fn a_claim_of_another_digest_has_a_stored_file_sent_again() {
    let key = Resume { key: [5; 32], epoch: 1, mode: ResumeMode::TakeOver };
    for resume in [None, Some(key)] {
        let bench = Bench::new();
        let content = content(GROUP + 3);
        bench.send("stored", &content).unwrap();
        let digest = Some(digest(&content));
        let offer = Offer { digest, resume, ..offer("stored", &content) };
        let wrong = claiming(&[sum(Algorithm::Md5, b"x")]);
        let right = claiming(&[sum(Algorithm::Md5, &content)]);
        for (options, refused) in [(wrong, Some(RefusalCode::DigestMismatch)), (right, None)] {
            let upload = accept_with(bench.inbox(), &offer, &options);
            upload.body(ALL).unwrap().write(&content);
            assert_eq!(commit(upload, content.len(), &[]).map_err(|it| it.code).err(), refused);
        }
        // The same content got no second name.
        assert_eq!(bench.published(), [("stored".to_owned(), content)]);
    }
}

#[test]
fn an_upload_whose_name_was_taken_is_not_read_to_be_refused() {
    let conflict = Conflict::Refuse;
    let bench = Bench::in_memory(InboxOptions { conflict, ..options(u64::MAX) });
    let content = content(3 * GROUP);
    let mut offer = offer_of(&content);
    offer.resume = Some(Resume { key: [5; 32], epoch: 1, mode: ResumeMode::TakeOver });
    let meter = Meter::default();
    let open = || {
        let mut upload = accept_with(bench.inbox(), &offer, &wanting(&OTHERS));
        upload.charge(&meter);
        upload
    };
    // Out of order, so that the digests take another reading.
    let upload = open();
    upload.body(extent(GROUP, 2 * GROUP)).unwrap().write(&content[GROUP..]);
    upload.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
    bench.send("big", b"in the way").unwrap();
    let paid_before = meter.take();
    assert_eq!(code(commit(upload, content.len(), &[])), RefusalCode::Exists);
    assert_eq!(meter.take(), 0, "nothing was read (before: {paid_before} ns)");
    fs::remove_file(bench.path("big")).unwrap();
    let upload = open();
    assert_eq!(upload.missing(), [], "it is kept");
    assert_eq!(commit(upload, content.len(), &[]), Ok(sums(&content)));
}

#[test]
fn who_shows_a_digest_of_another_kind_is_not_asked_for_blake3() {
    let bench = Bench::new();
    bench.send("there", b"hello").unwrap();
    assert!(matches!(
        bench.inbox().offered(&offer("there", b"hello")),
        Ok(OfferResponse::DigestFirst)
    ));
    let claims = claiming(&[sum(Algorithm::Sha256, b"hello")]);
    let upload = accept_with(bench.inbox(), &offer("there", b"hello"), &claims);
    upload.body(ALL).unwrap().write(b"hello");
    commit(upload, 5, &[]).unwrap();
    // The same content got no second name.
    assert_eq!(bench.names(), ["there"]);
}
