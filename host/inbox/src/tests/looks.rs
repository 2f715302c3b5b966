//! Looking at uploads and ending them, by whoever knows the key.

use sandport_protocol::{Metadata, Resume, ResumeMode};

use super::resume::*;
use super::*;
use crate::disk::Step;

const KEY: [u8; 32] = [5; 32];

fn look(bench: &Bench, key: &[u8], settles: bool) -> Result<UploadStatus, Refusal> {
    block_on("a look", bench.inbox().look(&Identity::ANONYMOUS, key, settles))
}

fn abandon(bench: &Bench, key: &[u8]) -> Result<(), Refusal> {
    block_on("an end", bench.inbox().abandon(&Identity::ANONYMOUS, key))
}

#[test]
fn a_look_tells_how_far_an_upload_is_held_or_not() {
    let mut bench = bench();
    let content = content(4 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut body = upload.body(ALL).unwrap();
    body.write(&content[..GROUP + 5_000]);
    let open = look(&bench, &KEY, false).unwrap();
    assert_eq!((open.size, open.received), (Some(4 * GROUP as u64), GROUP as u64 + 5_000));
    assert_eq!((open.durable, open.outcome), (0, None));
    assert_eq!(upload.fault(), None);
    drop((body, upload));
    until("its files to be closed", || bench.inbox().handle.registry.is_empty());
    for _ in 0..2 {
        let closed = look(&bench, &KEY, false).unwrap();
        assert_eq!((closed.received, closed.durable), (open.received, open.received));
        assert_eq!(closed.missing, open.missing);
        assert_eq!(closed.missing, [extent(GROUP + 5_000, 3 * GROUP - 5_000)]);
        bench.restart();
    }
    assert!(bench.inbox().handle.registry.is_empty(), "a look opens nothing");
}

#[test]
fn whoever_settles_an_upload_takes_it_from_who_holds_it() {
    let bench = bench();
    let content = content(4 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut body = upload.body(ALL).unwrap();
    body.write(&content[..GROUP]);
    let seen = look(&bench, &KEY, true).unwrap();
    assert_eq!(seen.received, GROUP as u64);
    assert_eq!(upload.fault().unwrap().code, RefusalCode::Locked);
    body.write(&content[GROUP..]);
    assert_eq!(look(&bench, &KEY, true).unwrap().received, GROUP as u64);
}

#[test]
fn a_stranger_learns_no_more_than_who_makes_a_key_up() {
    let bench = bench();
    let content = content(2 * GROUP);
    drop(upload(bench.inbox(), &offer_of(&content), &content[..GROUP]));
    let stranger = Identity::user(1234);
    let of_stranger = block_on("a look", bench.inbox().look(&stranger, &KEY, true));
    let made_up = look(&bench, &[6; 32], true);
    assert_eq!(of_stranger, made_up);
    assert_eq!(code(made_up), RefusalCode::InvalidState);
    let ended = block_on("an end", bench.inbox().abandon(&stranger, &KEY));
    assert_eq!(ended, abandon(&bench, &[6; 32]));
    assert_eq!(code(ended), RefusalCode::InvalidState);
    assert_eq!(code(look(&bench, &[5; 65], false)), RefusalCode::Malformed);
    assert_eq!(code(look(&bench, &[], false)), RefusalCode::InvalidState);
    assert_eq!(look(&bench, &KEY, false).unwrap().received, GROUP as u64);
    assert_eq!(partials(&bench).len(), 2, "a look makes nothing");
}

#[test]
fn how_an_upload_has_ended_is_told_for_a_while() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let receipt = finish(upload, &content);
    let seen = look(&bench, &KEY, false).unwrap();
    assert_eq!((seen.size, seen.received), (Some(2 * GROUP as u64), 2 * GROUP as u64));
    assert_eq!(seen.outcome, Some(Ok(receipt)));

    let other = resumable("other", Some(content.len() as u64), ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &other);
    assert_eq!(look(&bench, &KEY, false).unwrap().outcome, None, "there is another now");
    bring(&upload, &content);
    let wrong = wait(&upload.commit(content.len() as u64, Some(digest(b"other"))));
    assert_eq!(code(wrong), RefusalCode::DigestMismatch);
    let seen = look(&bench, &KEY, true).unwrap();
    assert_eq!(code(seen.outcome.unwrap()), RefusalCode::DigestMismatch);

    let third = resumable("third", Some(content.len() as u64), ResumeMode::TakeOver);
    accept(bench.inbox(), &third).discard();
    let seen = look(&bench, &KEY, false).unwrap();
    assert_eq!(code(seen.outcome.unwrap()), RefusalCode::Cancelled);
}

fn upload_of(bench: &Bench, content: &[u8]) -> Upload {
    upload(bench.inbox(), &offer_of(content), &content[..GROUP])
}

#[test]
fn a_file_with_a_made_up_name_is_told_of_after_a_restart() {
    let mut bench = bench();
    let content = content(2 * GROUP);
    let offer = Offer { name: None, ..resumable("", None, ResumeMode::TakeOver) };
    let upload = accept(bench.inbox(), &offer);
    upload.body(ALL).unwrap().write(&content);
    let receipt = finish(upload, &content);
    bench.restart();
    let seen = look(&bench, &KEY, false).unwrap();
    assert_eq!(seen.outcome, Some(Ok(receipt.clone())));
    abandon(&bench, &KEY).unwrap();
    assert_eq!(code(look(&bench, &KEY, false)), RefusalCode::InvalidState);
    assert_eq!(bench.names(), [receipt.name], "what was published stays");
}

#[test]
fn abandoning_ends_it_for_all_and_forgets_the_key() {
    let bench = bench();
    let content = content(3 * GROUP);
    let holder = upload_of(&bench, &content);
    abandon(&bench, &KEY).unwrap();
    assert_eq!(holder.fault().unwrap().code, RefusalCode::Cancelled);
    assert_eq!(partials(&bench), Vec::<String>::new());
    assert_eq!(code(look(&bench, &KEY, false)), RefusalCode::InvalidState);
    assert_eq!(code(abandon(&bench, &KEY)), RefusalCode::InvalidState);

    drop(upload_of(&bench, &content));
    assert_eq!(look(&bench, &KEY, true).unwrap().received, GROUP as u64);
    abandon(&bench, &KEY).unwrap();
    assert_eq!(partials(&bench), Vec::<String>::new());
    assert_eq!(accept(bench.inbox(), &offer_of(&content)).missing(), [extent(0, 3 * GROUP)]);
}

#[test]
fn abandoning_waits_for_a_commit_and_what_was_published_stays() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let pending = upload.commit(content.len() as u64, None);
    abandon(&bench, &KEY).unwrap();
    wait(&pending).unwrap();
    assert_eq!(bench.names(), ["big"]);
    assert_eq!(code(look(&bench, &KEY, false)), RefusalCode::InvalidState);
}

#[test]
fn what_was_abandoned_is_removed_where_its_commit_fails() {
    let bench = Bench::in_memory(InboxOptions { conflict: Conflict::Refuse, ..options(u64::MAX) });
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let (go, reached) = hold_at_sync(&bench, Some(rustix::io::Errno::IO));
    let pending = upload.commit(content.len() as u64, None);
    receive("the sync of the file", &reached);
    let mut ended = Box::pin(bench.inbox().abandon(&Identity::ANONYMOUS, &KEY));
    assert!(!is_ready(&mut ended), "it waits for the commit");
    drop(go);
    block_on("an end", ended).unwrap();
    assert_eq!(code(wait(&pending)), RefusalCode::Io);
    assert_eq!((bench.names().len(), partials(&bench).len()), (0, 0));
}

#[test]
fn an_offer_during_a_commit_is_answered_when_that_ends() {
    let bench = bench();
    let content = content(2 * GROUP);
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    let (go, reached) = hold_at_sync(&bench, None);
    let pending = upload.commit(content.len() as u64, Some(digest(&content)));
    receive("the sync of the file", &reached);
    let other = Offer { digest: Some(digest(b"other")), ..offer_of(&content) };
    let same = Offer { digest: Some(digest(&content)), ..offer_of(&content) };
    let mut of_other = Box::pin(bench.inbox().offer(&Identity::ANONYMOUS, &other));
    let mut of_same = Box::pin(bench.inbox().offer(&Identity::ANONYMOUS, &same));
    assert!(!is_ready(&mut of_other), "whether it is another file is not known yet");
    // The outcome of the commit is its answer.
    let Ok(OfferResponse::Committing(making)) = block_on("the answer to an offer", &mut of_same)
    else {
        panic!("it is not on its way")
    };
    assert!(making.is_same(&pending) && pending.try_get().is_none());
    drop(go);
    wait(&pending).unwrap();
    let opened = block_on("the answer to an offer", of_other).unwrap();
    assert!(matches!(opened, OfferResponse::Accepted(_)), "it is another file: {opened:?}");
}

/// Whether a future is ready that has just been made.
fn is_ready(future: &mut (impl Future + Unpin)) -> bool {
    block_on("a first poll", async {
        tokio::select! { biased; _ = future => true, () = std::future::ready(()) => false }
    })
}

/// Holds the thread that makes files durable until the first of these is dropped. Then the disk fails so.
fn hold_at_sync(
    bench: &Bench,
    failure: Option<rustix::io::Errno>,
) -> (std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>) {
    let (reach, reached) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if matches!(step, Step::SyncFile | Step::SyncAll) {
            let _ = reach.send(());
            let _ = gone.recv_timeout(sandport_testkit::patience::PATIENCE);
            return failure.map_or(Ok(()), Err);
        }
        Ok(())
    }));
    (go, reached)
}

#[test]
fn metadata_is_told_again_and_kept() {
    let mut bench = bench();
    let content = content(2 * GROUP);
    let pairs = vec![("type".to_owned(), b"text/plain".to_vec()), ("x".to_owned(), vec![0, 255])];
    let metadata = Metadata::new(pairs).unwrap();
    let options = OfferOptions { metadata: metadata.clone(), ..OfferOptions::default() };
    let offer = offer_of(&content);
    let opening = bench.inbox().offer_with(&Identity::ANONYMOUS, &offer, &options);
    let OfferResponse::Accepted(upload) = block_on("the answer to an offer", opening).unwrap()
    else {
        panic!("it is not accepted")
    };
    upload.body(ALL).unwrap().write(&content[..GROUP]);
    assert_eq!(look(&bench, &KEY, false).unwrap().metadata, metadata);
    drop(upload);
    bench.restart();
    assert_eq!(look(&bench, &KEY, false).unwrap().metadata, metadata);
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(look(&bench, &KEY, false).unwrap().metadata, metadata);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(look(&bench, &KEY, false).unwrap().metadata, metadata);
}

#[test]
fn how_long_an_upload_is_kept_is_told() {
    let expiry = std::time::Duration::from_secs(1_000);
    let bench =
        Bench::in_memory(InboxOptions { partial_expiry: Some(expiry), ..options(u64::MAX) });
    let content = content(2 * GROUP);
    let holder = upload_of(&bench, &content);
    assert_eq!(look(&bench, &KEY, false).unwrap().expires_in_s, Some(1_000));
    drop(holder);
    until("its files to be closed", || bench.inbox().handle.registry.is_empty());
    let left = look(&bench, &KEY, true).unwrap().expires_in_s.unwrap();
    assert!((900..=1_000).contains(&left), "{left}");
    let ago = std::time::SystemTime::now() - std::time::Duration::from_secs(300);
    for name in partials(&bench) {
        let file = fs::File::open(bench.path(".sandport/partials").join(name)).unwrap();
        file.set_modified(ago).unwrap();
    }
    let left = look(&bench, &KEY, false).unwrap().expires_in_s.unwrap();
    assert!((600..=700).contains(&left), "{left}");
}

#[test]
fn only_an_existing_upload_is_resumed_where_that_is_wanted() {
    let bench = bench();
    let content = content(2 * GROUP);
    let options = OfferOptions { existing: true, ..OfferOptions::default() };
    let open = |offer: Offer| {
        let opening = bench.inbox().offer_with(&Identity::ANONYMOUS, &offer, &options);
        block_on("the answer to an offer", opening)
    };
    assert_eq!(code(open(offer_of(&content))), RefusalCode::InvalidState);
    let small = resumable("small", Some(5), ResumeMode::TakeOver);
    assert_eq!(code(open(small)), RefusalCode::InvalidState);
    assert_eq!(partials(&bench), Vec::<String>::new());
    drop(upload_of(&bench, &content));
    assert!(matches!(open(offer_of(&content)), Ok(OfferResponse::Accepted(_))));
    let resume = Some(Resume { key: [6; 32], epoch: 0, mode: ResumeMode::TakeOver });
    assert_eq!(code(open(Offer { resume, ..offer_of(&content) })), RefusalCode::InvalidState);
}
