//! Resume keys: where a sender keeps them, so that a later run resumes what an earlier one began.
//!
//! The state directory also has the epoch of the last run, by which a server tells which of two runs that
//! send the same file is the later one. Its lock is held while keys are looked up and made, so that runs
//! that begin at the same moment find the same key.
//!
//! Each upload has one small file in the state directory, named by a hash of where it goes, where it is and
//! what it is called. It holds the key, and what tells whether the file has changed since. It is removed
//! when the upload has its receipt.

use std::cell::OnceCell;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sandport_protocol::{RESUME_KEY_BYTES, Resume, ResumeMode};

use super::state::{self, Fingerprint, Trouble};
use super::{SendFile, platform};

/// First line of a file with a key; the number is its version.
const HEADER: &str = "sandport upload 1";

/// Longest file with a key. Bytes. Six short lines.
const STATE_BYTES_MAX: u64 = 1024;

/// The file with the epoch of the last run, whichever server that was for: 20 digits and a line end.
const EPOCH_FILE: &str = "epoch";

/// Where keys are kept, for uploads to one server.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// `None`: in memory, for this run.
    dir: Option<PathBuf>,
    /// The server.
    to: String,
    /// That of this run, once it was needed.
    epoch: OnceCell<u64>,
    trouble: Trouble,
}

/// The key of one upload.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) resume: Resume,
    /// The file was begun before and has changed since.
    pub(super) changed: bool,
    /// Where it is kept.
    path: Option<PathBuf>,
    /// What the file is like now, to be kept with the key once the server has begun it anew: until then
    /// what the server has under the key is of what the file was before.
    renewed: Option<Fingerprint>,
    trouble: Trouble,
}

impl Keys {
    pub(super) fn new(dir: Option<PathBuf>, to: String) -> Self {
        Self { dir, to, epoch: OnceCell::new(), trouble: Trouble::default() }
    }

    /// The key for a file: that of an earlier run, or a new one. `None`: this machine has no random
    /// numbers.
    pub(super) fn of_file(&self, file: &SendFile, metadata: &Metadata) -> Option<Key> {
        let Some(dir) = &self.dir else { return self.of_stream() };
        let locked = lock(dir);
        let epoch = *self.epoch.get_or_init(|| next_epoch(locked.as_ref().ok(), now_ms()));
        let path = dir.join(state::file_name(&self.to, file));
        let print = state::fingerprint(metadata);
        let found = |key, mode| Key {
            resume: Resume { key, epoch, mode },
            changed: mode == ResumeMode::Restart,
            path: Some(path.clone()),
            renewed: None,
            trouble: self.trouble.clone(),
        };
        let key = match read(&path) {
            Some((key, known)) if known == print => found(key, ResumeMode::TakeOver),
            Some((key, _)) => Key { renewed: Some(print), ..found(key, ResumeMode::Restart) },
            None => {
                let mut made = found(random()?, ResumeMode::TakeOver);
                made.keep(&print);
                made
            }
        };
        if let Err(error) = &locked {
            self.trouble.tell(
                dir,
                error,
                "cannot lock the resume keys: two runs that begin at the same moment may store a file twice",
            );
        }
        Some(key)
    }

    /// A key for this run alone: what a stream gives cannot be had again.
    pub(super) fn of_stream(&self) -> Option<Key> {
        // No other run has this key.
        let resume = Resume { key: random()?, epoch: 0, mode: ResumeMode::TakeOver };
        Some(Key {
            resume,
            changed: false,
            path: None,
            renewed: None,
            trouble: self.trouble.clone(),
        })
    }
}

impl Key {
    /// Whether a later run finds it, and resumes what the server has.
    pub(super) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// The server has accepted the upload: what it has from now on is of the file as it is.
    pub(super) fn accepted(&mut self) {
        self.resume.mode = ResumeMode::TakeOver;
        if let Some(print) = self.renewed.take() {
            self.keep(&print);
        }
    }

    /// Keeps it for later runs. Where that cannot be done, the upload can be resumed within this run alone.
    fn keep(&mut self, print: &Fingerprint) {
        if let Some(path) = &self.path
            && let Err(error) = write(path, &self.resume.key, print)
        {
            let what = "cannot keep resume keys: a later run sends from the beginning what this one does not finish";
            self.trouble.tell(path.parent().unwrap_or(path), &error, what);
            self.path = None;
        }
    }

    /// The upload is over: nothing is to be resumed.
    pub(super) fn forget(&self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "could not remove a resume key");
        }
    }
}

/// Opens the file with the epoch and locks it, for as long as it is open.
fn lock(dir: &Path) -> io::Result<File> {
    state::make_directory(dir)?;
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    platform::private(&mut options);
    let file = options.open(dir.join(EPOCH_FILE))?;
    file.lock()?;
    Ok(file)
}

/// The epoch of a run that begins now: more than that of the last one, and no less than the clock says, so
/// that it grows also where the file was lost, or the clock was put back.
fn next_epoch(file: Option<&File>, now_ms: u64) -> u64 {
    let last = || {
        let mut text = [0; 20];
        platform::read_exact_at(file?, &mut text, 0).ok()?;
        str::from_utf8(&text).ok()?.parse::<u64>().ok()
    };
    let epoch = last().map_or(0, |last| last.saturating_add(1)).max(now_ms);
    if let Some(file) = file
        && let Err(error) = platform::write_all_at(file, format!("{epoch:020}\n").as_bytes(), 0)
    {
        tracing::warn!(%error, "could not keep the epoch of this run");
    }
    epoch
}

/// Milliseconds since 1970; 0 for a clock that is before.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A key that was kept, with its fingerprint. What is damaged counts as nothing.
fn read(path: &Path) -> Option<([u8; RESUME_KEY_BYTES], Fingerprint)> {
    let (lines, print) = state::read(path, HEADER, STATE_BYTES_MAX)?;
    let [line] = &lines[..] else { return None };
    let key = *blake3::Hash::from_hex(line.strip_prefix("key ")?).ok()?.as_bytes();
    Some((key, print))
}

/// Keeps a key, in one step as seen after a crash.
fn write(path: &Path, key: &[u8; RESUME_KEY_BYTES], print: &Fingerprint) -> io::Result<()> {
    let line = format!("key {}", blake3::Hash::from_bytes(*key).to_hex());
    state::write(path, HEADER, &[line], print)
}

fn random() -> Option<[u8; RESUME_KEY_BYTES]> {
    let mut key = [0; RESUME_KEY_BYTES];
    getrandom::fill(&mut key).ok().map(|()| key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::io::Write as _;

    use sandport_protocol::EntryKind;

    use super::*;
    use crate::walk;
    use sandport_testkit::patience::{Barrier, joined};

    fn key(keys: &Keys, path: &Path, name: &str) -> Key {
        let metadata = fs::metadata(path).unwrap();
        let file = walk::describe(path, Some(name.to_owned()), EntryKind::File, &metadata);
        keys.of_file(&file, &metadata).unwrap()
    }

    #[test]
    fn a_key_is_found_again_for_the_same_file_name_and_server() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"content").unwrap();
        let keys = |to: &str| Keys::new(Some(directory.path().join("state")), to.to_owned());
        let first = key(&keys("one"), &path, "a");
        let again = key(&keys("one"), &path, "a");
        assert_eq!((again.resume.key, again.changed), (first.resume.key, false));
        assert_ne!(key(&keys("one"), &path, "b").resume.key, first.resume.key);
        assert_ne!(key(&keys("two"), &path, "a").resume.key, first.resume.key);
        first.forget();
        assert_ne!(key(&keys("one"), &path, "a").resume.key, first.resume.key);
    }

    #[test]
    fn a_file_that_changed_begins_anew_under_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let keys = Keys::new(Some(directory.path().join("state")), "host".to_owned());
        fs::write(&path, b"content").unwrap();
        let first = key(&keys, &path, "a");
        fs::write(&path, b"shorter").unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"longer").unwrap();
        let changed = key(&keys, &path, "a");
        assert!(changed.changed);
        assert_eq!(changed.resume, Resume { mode: ResumeMode::Restart, ..first.resume });
        let mut again = key(&keys, &path, "a");
        assert!(
            again.changed,
            "the server may not have heard of it: what it has is of the old file"
        );
        again.accepted();
        assert_eq!(again.resume, first.resume);
        let later = key(&keys, &path, "a");
        assert_eq!((later.resume, later.changed), (first.resume, false));
    }

    #[test]
    fn a_later_run_has_a_higher_epoch_whatever_the_clock_says() {
        let directory = tempfile::tempdir().unwrap();
        let next = |now_ms| next_epoch(lock(directory.path()).ok().as_ref(), now_ms);
        assert_eq!(next(1_000), 1_000);
        assert_eq!(next(1_000), 1_001, "two runs in one millisecond");
        assert_eq!(next(7), 1_002, "the clock was put back");
        assert_eq!(next(5_000), 5_000);
        for damaged in ["", "00000000000000009", "0000000000000000000x\n"] {
            fs::write(directory.path().join(EPOCH_FILE), damaged).unwrap();
            assert_eq!(next(6_000), 6_000, "{damaged:?}");
        }
        fs::write(directory.path().join(EPOCH_FILE), u64::MAX.to_string()).unwrap();
        assert_eq!(next(6_000), u64::MAX);
    }

    #[test]
    fn runs_that_begin_at_once_find_one_key_and_own_epochs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"content").unwrap();
        for round in 0..50 {
            let start = Barrier::new(4);
            let begin = || {
                let keys = Keys::new(Some(directory.path().join("state")), round.to_string());
                start.wait();
                key(&keys, &path, "a").resume
            };
            let found = std::thread::scope(|scope| {
                let runs: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
                runs.into_iter().map(|run| joined("a run", run)).collect::<Vec<_>>()
            });
            assert!(found.iter().all(|resume| resume.key == found[0].key), "{round}");
            let epochs: std::collections::BTreeSet<_> = found.iter().map(|it| it.epoch).collect();
            assert_eq!(epochs.len(), 4, "{round}");
        }
    }

    #[test]
    fn a_damaged_key_is_replaced_and_keys_are_nobody_elses_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"content").unwrap();
        let state = directory.path().join("state");
        let keys = Keys::new(Some(state.clone()), "host".to_owned());
        let first = key(&keys, &path, "a");
        let kept = first.path.clone().unwrap();
        for path in [&state, &kept] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
        }
        let whole = fs::read(&kept).unwrap();
        for cut in 0..whole.len() {
            fs::write(&kept, &whole[..cut]).unwrap();
            assert_ne!(key(&keys, &path, "a").resume.key, first.resume.key, "cut at {cut}");
        }
    }

    #[test]
    fn keys_last_for_the_run_where_no_directory_can_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"content").unwrap();
        for dir in [None, Some(path.join("not-a-directory"))] {
            let keys = Keys::new(dir, "host".to_owned());
            assert_ne!(key(&keys, &path, "a").resume.key, key(&keys, &path, "a").resume.key);
        }
    }
}
