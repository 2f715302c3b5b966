//! Random sequences of what senders, the operator and the disk do. What was answered is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use rustix::io::Errno;

use super::*;
use crate::disk::Step;

/// Few names and contents, so that they meet.
const NAMES: [&str; 6] = ["a", "a-1", "b.txt", "d/a", "d/e/b.txt", "a/x"];
const CONTENTS: [&[u8]; 4] = [b"", b"one", b"two", b"three and more"];

#[derive(Clone, Debug)]
enum Action {
    /// Offers a file, with or without its digest, and sends it where it is asked for.
    Send { name: usize, content: usize, digest: bool },
    /// The same, but gives up before the end.
    GiveUp { name: usize, content: usize },
    /// Waits for all commits under way.
    Wait,
    /// Lets the next of these steps fail.
    Fail(Step, Errno),
    /// Someone else removes what has a name.
    Remove { name: usize },
    /// Someone else writes a file of that name.
    Write { name: usize },
    /// The operator starts the server anew.
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let (name, content) = (0..NAMES.len(), 0..CONTENTS.len());
    let step = prop::sample::select(vec![
        Step::Create,
        Step::Write,
        Step::SyncFile,
        Step::SyncAll,
        Step::MakeDir,
        Step::WriteLog,
        Step::SyncLog,
        Step::Publish,
        Step::SyncDir,
    ]);
    let errno = prop::sample::select(vec![Errno::IO, Errno::NOSPC]);
    prop_oneof![
        12 => (name.clone(), content.clone(), any::<bool>())
            .prop_map(|(name, content, digest)| Action::Send { name, content, digest }),
        2 => (name.clone(), content).prop_map(|(name, content)| Action::GiveUp { name, content }),
        3 => Just(Action::Wait),
        2 => (step, errno).prop_map(|(step, errno)| Action::Fail(step, errno)),
        1 => name.clone().prop_map(|name| Action::Remove { name }),
        1 => name.prop_map(|name| Action::Write { name }),
        1 => Just(Action::Restart),
    ]
}

/// An inbox and what its senders and its operator believe about it.
struct World {
    bench: Bench,
    failure: Arc<Mutex<Option<(Step, Errno)>>>,
    under_way: Vec<(usize, CommitHandle)>,
    /// What was answered: which content is under which name.
    believed: BTreeMap<String, Vec<u8>>,
}

impl World {
    fn new(conflict: Conflict, durability: Durability) -> Self {
        let options = InboxOptions { conflict, durability, ..InboxOptions::default() };
        let mut world = Self {
            bench: Bench::in_memory(options),
            failure: Arc::default(),
            under_way: Vec::new(),
            believed: BTreeMap::new(),
        };
        world.watch();
        world
    }

    fn watch(&mut self) {
        let failure = Arc::clone(&self.failure);
        self.bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            let mut failure = failure.lock().unwrap();
            match *failure {
                Some((at, errno)) if at == step => {
                    *failure = None;
                    Err(errno)
                }
                _ => Ok(()),
            }
        }));
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Send { name, content, digest } => self.send(name, content, digest),
            Action::GiveUp { name, content } => {
                let offer = offer(NAMES[name], CONTENTS[content]);
                if let Ok(OfferResponse::Accepted(upload)) = self.bench.inbox().offered(&offer)
                    && let Ok(mut body) = upload.body(ALL)
                {
                    body.write(&CONTENTS[content][..CONTENTS[content].len() / 2]);
                }
            }
            Action::Wait => self.wait(),
            Action::Fail(step, errno) => *self.failure.lock().unwrap() = Some((step, errno)),
            Action::Remove { name } => {
                self.wait();
                let path = self.bench.path(NAMES[name]);
                if fs::remove_file(&path).is_err() {
                    let _ = fs::remove_dir_all(&path);
                }
                let below = format!("{}/", NAMES[name]);
                self.believed.retain(|known, _| known != NAMES[name] && !known.starts_with(&below));
            }
            Action::Write { name } => {
                self.wait();
                if fs::write(self.bench.path(NAMES[name]), b"theirs").is_ok() {
                    self.believed.insert(NAMES[name].to_owned(), b"theirs".to_vec());
                }
            }
            Action::Restart => {
                self.wait();
                *self.failure.lock().unwrap() = None;
                self.bench.restart();
                self.watch();
            }
        }
    }

    fn send(&mut self, name: usize, content: usize, with_digest: bool) {
        let plain = offer(NAMES[name], CONTENTS[content]);
        let known = offer_with_digest(NAMES[name], CONTENTS[content]);
        let mut response = self.bench.inbox().offered(if with_digest { &known } else { &plain });
        if matches!(response, Ok(OfferResponse::DigestFirst)) {
            response = self.bench.inbox().offered(&known);
        }
        match response {
            Ok(OfferResponse::Stored(receipt)) => {
                // Nothing is added to what is believed: it must be there by then.
                self.check_receipt(content, &receipt);
                assert!(self.bench.path(&receipt.name).exists());
            }
            Ok(OfferResponse::Accepted(upload)) => {
                if let Ok(mut body) = upload.body(ALL) {
                    body.write(CONTENTS[content]);
                }
                let size = CONTENTS[content].len() as u64;
                self.under_way.push((content, upload.commit(size, None)));
            }
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => assert_ne!(refusal.code, RefusalCode::DigestMismatch),
        }
    }

    fn wait(&mut self) {
        for (content, pending) in std::mem::take(&mut self.under_way) {
            match wait(&pending) {
                Ok(receipt) => {
                    self.check_receipt(content, &receipt);
                    self.believed.insert(receipt.name, CONTENTS[content].to_vec());
                }
                Err(refusal) => assert_ne!(refusal.code, RefusalCode::DigestMismatch),
            }
        }
        self.check();
    }

    fn check_receipt(&self, content: usize, receipt: &Receipt) {
        assert_eq!(receipt.digest, digest(CONTENTS[content]));
        assert_eq!(receipt.size, CONTENTS[content].len() as u64);
    }

    /// What is believed is there; what is there is whole; nothing is left over.
    fn check(&self) {
        let published: BTreeMap<String, Vec<u8>> = self.bench.published().into_iter().collect();
        for (name, content) in &self.believed {
            assert_eq!(published.get(name), Some(content), "{name}");
        }
        for (name, content) in &published {
            let whole = name.ends_with('/') || CONTENTS.contains(&content.as_slice());
            assert!(whole || content == b"theirs", "{name} has {content:?}");
        }
        assert_eq!(self.bench.staged(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_was_answered_is_there(
        conflict in prop::sample::select(vec![Conflict::Rename, Conflict::Refuse]),
        durability in prop::sample::select(vec![Durability::Commit, Durability::None]),
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new(conflict, durability);
        for action in &actions {
            world.act(action);
        }
        world.wait();
    }

    /// A file that replaces another takes its place before anyone hears of it, so a disk that fails
    /// in between makes the old answer untrue; without failures all answers hold.
    #[test]
    fn what_was_answered_last_is_there_where_files_replace(
        durability in prop::sample::select(vec![Durability::Commit, Durability::None]),
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new(Conflict::Replace, durability);
        for action in actions.iter().filter(|action| !matches!(action, Action::Fail(..))) {
            world.act(action);
        }
        world.wait();
    }
}
