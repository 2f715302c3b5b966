//! A disk that lags: an upload stops at a step of its watermark, and goes on when that is kept.

use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::{
    GROUP, content, extent, finish, killed, offer_of, options, resumable, wait_durable,
};
use super::*;
use crate::disk::Step;
use sandport_testkit::patience::PATIENCE;

/// A step of the watermark.
const STEP: usize = 4 * GROUP;

/// What a read of a socket brings, so that it does not divide a step or a group.
const PIECE: usize = 100_003;

fn bench_of(watermark_bytes: usize) -> Bench {
    Bench::in_memory(options(watermark_bytes as u64))
}

/// Syncs of data that do not end before they are let go.
struct HeldSyncs(Arc<(Mutex<Gate>, Condvar)>);

#[derive(Default)]
struct Gate {
    is_open: bool,
    /// A sync has come to it.
    reached: bool,
}

impl HeldSyncs {
    fn of(bench: &Bench) -> Self {
        let gate = Arc::<(Mutex<Gate>, Condvar)>::default();
        let held = Arc::clone(&gate);
        bench.inbox().handle.core.disk.watch_syncs(Box::new(move |step, _, _| {
            if step == Step::SyncPartial {
                let mut gate = held.0.lock().unwrap();
                gate.reached = true;
                held.1.notify_all();
                drop(held.1.wait_timeout_while(gate, PATIENCE, |gate| !gate.is_open).unwrap());
            }
        }));
        Self(gate)
    }

    /// Waits until one is under way.
    fn wait_for_one(&self) {
        let gate = self.0.0.lock().unwrap();
        let (_gate, waited) =
            self.0.1.wait_timeout_while(gate, PATIENCE, |gate| !gate.reached).unwrap();
        assert!(!waited.timed_out(), "waited {PATIENCE:?} for a sync");
    }

    fn let_go(self) {}
}

impl Drop for HeldSyncs {
    /// Also where a test fails, or the thread that syncs would never end.
    fn drop(&mut self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

/// Makes all further steps of a kind fail, or none.
fn fail(bench: &Bench, kind: Option<Step>) {
    bench.inbox().handle.core.disk.watch(Box::new(move |step| match kind {
        Some(kind) if step == kind => Err(Errno::IO),
        _ => Ok(()),
    }));
}

/// Makes the first steps of a kind fail.
fn fail_first(bench: &Bench, kind: Step, mut count: usize) {
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if step != kind || count == 0 {
            return Ok(());
        }
        count -= 1;
        Err(Errno::IO)
    }));
}

/// A body, and what of the file it has to bring.
struct Part<'a> {
    body: Body,
    rest: &'a [u8],
}

impl<'a> Part<'a> {
    fn of(upload: &Upload, content: &'a [u8], from: usize, to: usize) -> Self {
        let body = upload.body(extent(from, to - from)).unwrap();
        Self { body, rest: &content[from..to] }
    }

    /// Brings a piece, as far as there is room; how many bytes.
    fn bring_piece(&mut self) -> usize {
        let room = self.body.reserve(PIECE.min(self.rest.len()));
        let (piece, rest) = self.rest.split_at(room);
        self.body.write(piece);
        self.rest = rest;
        room
    }

    /// Brings what there is room for; how many bytes.
    fn bring(&mut self) -> usize {
        std::iter::from_fn(|| Some(self.bring_piece()).filter(|&count| count > 0)).sum()
    }

    /// Brings everything.
    fn bring_all(&mut self) {
        while !self.rest.is_empty() {
            block_on("room for a body", self.body.has_room());
            self.bring();
        }
    }
}

fn join_of(content: &[u8]) -> Offer {
    resumable("big", Some(content.len() as u64), ResumeMode::Join)
}

fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

/// How many bytes a server that is killed now leaves to the next one.
fn kept(bench: &Bench, content: &[u8]) -> usize {
    let after = killed(bench);
    let missing = accept(after.inbox(), &offer_of(content)).missing();
    content.len() - missing.iter().filter_map(|extent| extent.length).sum::<u64>() as usize
}

#[test]
fn what_is_not_kept_of_an_upload_is_one_watermark_at_most() {
    for durability in [Durability::Full, Durability::Commit, Durability::None] {
        let content = content(13 * GROUP + 77);
        let bench = Bench::in_memory(InboxOptions { durability, ..options(STEP as u64) });
        let upload = accept(bench.inbox(), &offer_of(&content));
        let mut part = Part::of(&upload, &content, 0, content.len());
        while !part.rest.is_empty() {
            block_on("room for a body", part.body.has_room());
            part.bring();
            let here = content.len() - part.rest.len();
            let kept = kept(&bench, &content);
            assert!(here - kept <= STEP, "{durability:?}: {kept} are kept of {here}");
        }
        drop(part);
        finish(upload, &content);
        assert_eq!(bench.published(), [("big".to_owned(), content)]);
    }
}

#[test]
fn an_upload_stops_at_a_step_while_the_disk_syncs() {
    let content = content(9 * GROUP);
    let bench = bench_of(STEP);
    let held = HeldSyncs::of(&bench);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut part = Part::of(&upload, &content, 0, content.len());
    assert_eq!(part.bring(), STEP);
    assert_eq!((part.body.room(), upload.durable()), (0, 0));
    assert!(is_pending(pin!(part.body.has_room())));
    held.let_go();
    part.bring_all();
    drop(part);
    finish(upload, &content);
    assert_eq!(bench.published(), [("big".to_owned(), content)]);
}

#[test]
fn connections_that_carry_one_upload_share_its_step() {
    let content = content(16 * GROUP + 5);
    let bench = bench_of(STEP);
    let held = HeldSyncs::of(&bench);
    let (first, second) =
        (accept(bench.inbox(), &offer_of(&content)), accept(bench.inbox(), &join_of(&content)));
    let mut parts = [
        Part::of(&first, &content, 0, 8 * GROUP),
        Part::of(&second, &content, 8 * GROUP, content.len()),
    ];
    let mut here = 0;
    loop {
        let count: usize = parts.iter_mut().map(Part::bring_piece).sum();
        here += count;
        if count == 0 {
            break;
        }
    }
    assert_eq!(here, STEP);
    assert!(parts.iter().all(|part| is_pending(pin!(part.body.has_room()))));
    // Other uploads have steps of their own.
    let other = Offer {
        resume: Some(Resume { key: [6; 32], epoch: 1, mode: ResumeMode::TakeOver }),
        ..resumable("other", Some(content.len() as u64), ResumeMode::TakeOver)
    };
    let other = accept(bench.inbox(), &other);
    assert_eq!(Part::of(&other, &content, 0, content.len()).bring(), STEP);
    held.let_go();
    std::thread::scope(|scope| {
        for part in &mut parts {
            scope.spawn(|| part.bring_all());
        }
    });
    drop(parts);
    let pending = second.commit(content.len() as u64, None);
    finish(first, &content);
    wait(&pending).unwrap();
    assert!(fs::read(bench.path("big")).unwrap() == content);
}

#[test]
fn a_step_filled_by_begun_groups_does_not_stop_their_rest() {
    let content = content(16 * GROUP);
    for step in [1, GROUP / 2, GROUP, 2 * GROUP] {
        let bench = bench_of(step);
        let first = accept(bench.inbox(), &offer_of(&content));
        let uploads: Vec<Upload> = std::iter::once(first)
            .chain((1..4).map(|_| accept(bench.inbox(), &join_of(&content))))
            .collect();
        let mut parts: Vec<Part<'_>> = (0..4)
            .map(|part| {
                Part::of(&uploads[part], &content, 4 * part * GROUP, 4 * (part + 1) * GROUP)
            })
            .collect();
        std::thread::scope(|scope| {
            for part in &mut parts {
                scope.spawn(|| {
                    part.bring_all();
                });
            }
        });
        drop(parts);
        let pending: Vec<CommitHandle> =
            uploads.into_iter().map(|upload| upload.commit(content.len() as u64, None)).collect();
        pending.iter().for_each(|pending| drop(wait(pending).unwrap()));
        assert!(fs::read(bench.path("big")).unwrap() == content, "{step}");
    }
}

#[test]
fn begun_groups_of_several_connections_may_exceed_a_small_step() {
    let content = content(8 * GROUP);
    let bench = bench_of(GROUP / 2);
    let uploads: Vec<Upload> = std::iter::once(accept(bench.inbox(), &offer_of(&content)))
        .chain((1..4).map(|_| accept(bench.inbox(), &join_of(&content))))
        .collect();
    let mut parts: Vec<Part<'_>> = (0..4)
        .map(|part| Part::of(&uploads[part], &content, 2 * part * GROUP, 2 * (part + 1) * GROUP))
        .collect();
    while parts.iter().any(|part| !part.rest.is_empty()) {
        for part in &mut parts {
            if !part.rest.is_empty() {
                block_on("room for a body", part.body.has_room());
                part.bring_piece();
            }
        }
        let here = content.len() - parts.iter().map(|part| part.rest.len()).sum::<usize>();
        let kept = kept(&bench, &content);
        assert!(here - kept <= parts.len() * GROUP, "{kept} are kept of {here}");
    }
}

#[test]
fn a_connection_that_waits_for_the_disk_ends_at_a_takeover() {
    for mode in [ResumeMode::TakeOver, ResumeMode::Restart] {
        let content = content(9 * GROUP);
        let bench = bench_of(STEP);
        let held = HeldSyncs::of(&bench);
        let older = accept(bench.inbox(), &offer_of(&content));
        let mut part = Part::of(&older, &content, 0, content.len());
        assert_eq!(part.bring(), STEP);
        let code = {
            let mut waits = pin!(part.body.has_room());
            assert!(is_pending(waits.as_mut()));
            if mode == ResumeMode::Restart {
                // It waits for the sync, like everything that touches the journal.
                drop(held);
                let restart = resumable("big", Some(content.len() as u64), mode);
                drop(accept(bench.inbox(), &restart));
            } else {
                let newer = accept(bench.inbox(), &offer_of(&content));
                let rest = content.len() - STEP;
                assert_eq!(newer.missing(), [extent(STEP, rest)]);
                let mut rest = Part::of(&newer, &content, STEP, content.len());
                assert_eq!(rest.body.room(), 0, "the step is the upload's");
                held.let_go();
                rest.bring_all();
                drop(rest);
                finish(newer, &content);
            }
            block_on("the end of a wait for room", waits);
            older.fault().unwrap().code
        };
        // What it still has on its way goes nowhere.
        part.bring_all();
        assert_eq!(code, RefusalCode::Locked);
    }
}

#[test]
fn a_sync_that_fails_ends_all_connections_that_wait_for_it() {
    let content = content(16 * GROUP);
    let bench = bench_of(STEP);
    let held = HeldSyncs::of(&bench);
    let (first, second) =
        (accept(bench.inbox(), &offer_of(&content)), accept(bench.inbox(), &join_of(&content)));
    let mut lower = Part::of(&first, &content, 0, 8 * GROUP);
    let upper = Part::of(&second, &content, 8 * GROUP, 16 * GROUP);
    assert_eq!(lower.bring(), STEP);
    {
        let (mut one, mut two) = (pin!(lower.body.has_room()), pin!(upper.body.has_room()));
        assert!(is_pending(one.as_mut()) && is_pending(two.as_mut()));
        // The one that is under way succeeds, and the next one does not.
        held.wait_for_one();
        fail(&bench, Some(Step::SyncPartial));
        held.let_go();
        block_on("the end of a wait for room", one);
        block_on("the end of a wait for room", two);
    }
    let mut parts = [lower, upper];
    std::thread::scope(|scope| {
        for part in &mut parts {
            scope.spawn(|| part.bring_all());
        }
    });
    for upload in [&first, &second] {
        block_on("news of the upload", upload.watch().news());
        assert_eq!(upload.fault().unwrap().code, RefusalCode::Io);
    }
    drop((parts, first, second));
    fail(&bench, None);
    let again = accept(bench.inbox(), &offer_of(&content));
    assert!(again.durable() >= 2 * GROUP_BYTES, "{}", again.durable());
    let from = again.durable() as usize;
    assert_eq!(again.missing(), [extent(from, content.len() - from)]);
    Part::of(&again, &content, from, content.len()).bring_all();
    finish(again, &content);
}

#[test]
fn a_journal_that_cannot_be_written_ends_its_waiters_in_order() {
    let content = content(9 * GROUP);
    let bench = bench_of(STEP);
    let held = HeldSyncs::of(&bench);
    // One while a body waits, and one when everybody has left. With more, the last watermark would be given up as soon
    // as it was tried often enough: a matter of seconds.
    fail_first(&bench, Step::WriteJournal, 2);
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut part = Part::of(&upload, &content, 0, content.len());
    assert_eq!(part.bring(), STEP);
    held.let_go();
    part.bring_all();
    assert_eq!(upload.fault().unwrap().code, RefusalCode::Io);
    drop((part, upload));
    let again = accept(bench.inbox(), &offer_of(&content));
    let missing = again.missing();
    assert_eq!(missing, [extent(STEP, content.len() - STEP)]);
    let mut rest = Part::of(&again, &content, STEP, content.len());
    rest.bring_all();
    drop(rest);
    wait_durable(&again, STEP);
    finish(again, &content);
}

#[test]
fn room_that_a_body_did_not_need_is_there_for_others() {
    let content = content(9 * GROUP);
    let bench = bench_of(STEP);
    let _held = HeldSyncs::of(&bench);
    let (first, second) =
        (accept(bench.inbox(), &offer_of(&content)), accept(bench.inbox(), &join_of(&content)));
    let mut greedy = Part::of(&first, &content, 0, GROUP);
    let mut other = Part::of(&second, &content, GROUP, content.len());
    assert_eq!(greedy.body.reserve(usize::MAX), STEP);
    assert_eq!(other.body.room(), 0);
    greedy.body.write(&content[..PIECE]);
    assert_eq!(other.body.room(), STEP - PIECE);
    assert_eq!(greedy.body.reserve(usize::MAX), STEP - PIECE);
    drop(greedy);
    assert_eq!(other.bring(), STEP - PIECE);
}
