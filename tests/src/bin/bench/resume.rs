//! What it costs to go on with an upload: the time to reopen a large one, and what is sent twice.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use blake3::hazmat::HasherExt as _;
use rustix::fs::{Advice, fadvise};
use sandport_protocol::ResumeMode;
use sandport_protocol::journal::{
    Begun, Entry, GROUP_BYTES, Kept, MAGIC, Tail, Writer, group_hasher,
};
use sandport_protocol::wire::ReceiverMessage;
use sandport_tests::{Native, native};

use crate::environment::{Durability, Environment};
use crate::feed::Content;
use crate::network::{Network, Proxy};
use crate::proc;
use crate::process::Server;
use crate::receivers;
use crate::stats::Spread;
use crate::table::Table;

/// Groups that one entry of the journal speaks of: those of a watermark of 64 MiB.
const GROUPS_PER_ENTRY: u64 = 64;

/// Bytes of a frame of the journal before its payload: the length, and the check.
const FRAME_HEAD_BYTES: usize = 4 + CHECK_BYTES;
const CHECK_BYTES: usize = 16;

/// No delay, and the rates of loopback and of a usual network.
const NETWORKS: [(&str, f64); 2] = [("as fast as it goes", 1e12), ("1 Gbit/s", 125e6)];

const MIB: f64 = 1024.0 * 1024.0;

/// Runs both sections: with a partial file of `partial` bytes, and with a file of `size` bytes that is cut
/// `rounds` times.
pub(crate) fn run_part(
    environment: &Environment,
    partial: u64,
    size: u64,
    rounds: usize,
) -> Result<()> {
    print!("{}", reopened(environment, partial, rounds)?);
    let title = format!(
        "Sent twice, of {} MiB onto a disk, where the server is killed",
        size / GROUP_BYTES
    );
    let start = |dir: &Path| environment.sandport(dir, Durability::Full);
    print!("{}", sent_twice(environment, title, &start, size, rounds)?);
    Ok(())
}

/// How a server is started on a directory.
pub(crate) type Start<'a> = &'a dyn Fn(&Path) -> Result<Server>;

// ------------------------------------------------------------------------------------- reopening ---

fn reopened(environment: &Environment, size: u64, rounds: usize) -> Result<Table> {
    let gib = size / GROUP_BYTES / 1024;
    let title = format!("An upload of {gib} GiB is gone on with by a fresh server");
    let headers = ["what is here of it", "offer to answer ms", "read from the disk MiB"];
    let mut table = Table::new(title, &headers);
    for (number, (words, begun)) in
        [("all but its last group", 0), ("the same, and half of that group", GROUP_BYTES / 2)]
            .into_iter()
            .enumerate()
    {
        let dir = environment.disk.directory(&format!("resume-{number}"))?;
        let left = Left::behind(environment, &dir, size, begun)?;
        let found: Vec<(Duration, u64)> =
            (0..rounds).map(|_| left.reopen(environment, &dir)).collect::<Result<_>>()?;
        let times = Spread::of(found.iter().map(|(time, _)| time.as_secs_f64() * 1e3));
        let reads = Spread::of(found.iter().map(|(_, read)| *read as f64 / MIB));
        let cell = |spread: Option<Spread>| spread.map_or_else(String::new, |it| it.to_string());
        table.row([words.to_owned(), cell(times), cell(reads)]);
        fs::remove_dir_all(dir)?;
    }
    table.note(
        "The data is a sparse file, its journal as 64 MiB at a time would have left it, and not in the \
         system's cache. What is read is the journal, and what was begun of the last group.",
    );
    Ok(table)
}

/// An upload that was cut.
struct Left {
    size: u64,
    /// How many bytes are here.
    here: u64,
    files: [PathBuf; 2],
}

impl Left {
    /// Begins an upload as a sender does, and makes it look as if all but its last group had come, and
    /// `begun` bytes of that.
    fn behind(environment: &Environment, dir: &Path, size: u64, begun: u64) -> Result<Self> {
        ensure!(size.is_multiple_of(GROUP_BYTES), "the size is to be one of whole groups");
        let server = environment.sandport(dir, Durability::Full)?;
        let mut sender = Native::to(&server.address.to_string());
        offer(&mut sender, size)?;
        sender.data(0, 0, &vec![0; GROUP_BYTES as usize]);
        sender.wait_durable(0, GROUP_BYTES);
        drop((sender, server));

        let partials = dir.join(".sandport/partials");
        let mut journal = None;
        for entry in fs::read_dir(&partials)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "journal") {
                journal = Some(path);
            }
        }
        let journal = journal.context("the server kept nothing")?;
        let data = journal.with_extension("data");
        let last = size / GROUP_BYTES - 1;
        let here = last * GROUP_BYTES + begun;
        File::options().write(true).open(&data)?.set_len(here)?;
        let mut entries: Vec<Kept> = (1..last)
            .step_by(GROUPS_PER_ENTRY as usize)
            .map(|first| {
                // What they come to is of no matter before the end.
                let groups = vec![[7; 32]; GROUPS_PER_ENTRY.min(last - first) as usize];
                Kept { first, groups, ..Kept::default() }
            })
            .collect();
        if begun > 0 {
            let zeros = vec![0; begun as usize];
            let value = group_hasher(last).update(&zeros).finalize_non_root();
            let tail = Some(Tail { group: last, length: begun, value });
            entries.push(Kept { tail, ..Kept::default() });
        }
        let mut bytes = fs::read(&journal)?;
        append(&mut bytes, &entries)?;
        fs::write(&journal, bytes)?;
        Ok(Self { size, here, files: [journal, data] })
    }

    /// How long it takes from the offer to the answer, and what is read for it.
    fn reopen(&self, environment: &Environment, dir: &Path) -> Result<(Duration, u64)> {
        let server = environment.sandport(dir, Durability::Full)?;
        let mut sender = Native::to(&server.address.to_string());
        for file in &self.files {
            let file = File::open(file)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        let read_before = proc::bytes_read(server.pid())?;
        let since = Instant::now();
        let from = offer(&mut sender, self.size)?;
        let time = since.elapsed();
        let read = proc::bytes_read(server.pid())? - read_before;
        ensure!(from == self.here, "{from} bytes are there, not {}", self.here);
        Ok((time, read))
    }
}

/// Offers the file; where it is to be gone on with.
fn offer(sender: &mut Native, size: u64) -> Result<u64> {
    sender.say(&native::offer(0, native::resumable("large", size, ResumeMode::TakeOver)));
    match sender.hear() {
        Some(ReceiverMessage::Accepted(accepted)) => {
            accepted.missing.first().map(|extent| extent.offset).context("nothing is missing")
        }
        other => bail!("the offer was answered by {other:?}"),
    }
}

/// Appends entries to a journal whose key is not known: the check of a frame begins with the one before it.
fn append(journal: &mut Vec<u8>, entries: &[Kept]) -> Result<()> {
    let mut check = [0; CHECK_BYTES];
    let mut at = MAGIC.len() + 1;
    while let Some(head) = journal.get(at..at + FRAME_HEAD_BYTES) {
        let (length, found) = head.split_at(4);
        check.copy_from_slice(found);
        at += FRAME_HEAD_BYTES + u32::from_le_bytes(length.try_into()?) as usize;
    }
    let nothing = Begun { name: String::new(), size: None, identity: None, begun_s: 0 };
    let (mut writer, mut frame) = Writer::begin(check, nothing);
    for entry in entries {
        frame.clear();
        writer.push(&mut frame, &Entry::Kept(entry.clone()));
        let payload = &frame[FRAME_HEAD_BYTES..];
        let digest = *blake3::Hasher::new().update(&check).update(payload).finalize().as_bytes();
        check.copy_from_slice(&digest[..CHECK_BYTES]);
        journal.extend_from_slice(&frame[..4]);
        journal.extend_from_slice(&check);
        journal.extend_from_slice(payload);
    }
    Ok(())
}

// ----------------------------------------------------------------------------------- sent twice ---

/// What is sent twice of a file of `size` bytes where the server is killed, and started anew.
pub(crate) fn sent_twice(
    environment: &Environment,
    title: String,
    start: Start<'_>,
    size: u64,
    rounds: usize,
) -> Result<Table> {
    let content = Content::new(size);
    let source = environment.tmpfs.directory("source")?.join("source.bin");
    content.write(&mut File::create(&source)?, |_| ())?;
    let mut table = Table::new(title, &["network", "MiB", "watermark MiB"]);
    for (words, bytes_per_s) in NETWORKS {
        let network = Network { delay: Duration::ZERO, bytes_per_s };
        let twice: Vec<f64> = (0..rounds)
            .map(|round| {
                let name = source.with_file_name(format!("{bytes_per_s}-{round}.bin"));
                fs::hard_link(&source, &name)?;
                // Somewhere between a fourth and the end, at another place each time.
                let share = 0.25 + 0.7 * (round as f64 + 0.5) / rounds as f64;
                cut(environment, start, network, &name, (size, (size as f64 * share) as u64))
            })
            .collect::<Result<_>>()?;
        let twice = Spread::of(twice).map_or_else(String::new, |twice| format!("{twice:.1}"));
        table.row([words.to_owned(), twice, "64".to_owned()]);
    }
    table.note(
        "From a file in memory, with --durability full, until the server is killed and another one takes \
         its place. Counted is what leaves the sender beyond the size of the file: since the last \
         watermark, what came while that was synced, and what was on its way.",
    );
    fs::remove_dir_all(environment.tmpfs.path().join("source"))?;
    Ok(table)
}

/// Sends a file and kills the server when `at` bytes are on their way; how many MiB are sent twice.
fn cut(
    environment: &Environment,
    start: Start<'_>,
    network: Network,
    file: &Path,
    (size, at): (u64, u64),
) -> Result<f64> {
    let dir = environment.disk.directory("cut")?;
    receivers::empty(&dir)?;
    let server = start(&dir)?;
    let proxy = Proxy::start(network, server.address)?;
    let mut command = environment.send_to(file, proxy.address);
    // Its output is the names of files, and its talk is of the cut.
    let mut sender = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    while proxy.taken() < at {
        ensure!(sender.try_wait()?.is_none(), "the sender ended before its upload was cut");
        std::thread::sleep(Duration::from_micros(200));
    }
    drop(server);
    let server: Server = start(&dir)?;
    proxy.redirect(server.address);
    let status = sender.wait()?;
    ensure!(status.success(), "the sender failed: {status}");
    let received = fs::metadata(dir.join(file.file_name().context("a file has a name")?))?.len();
    ensure!(received == size, "{received} bytes arrived of {size}");
    drop(server);
    receivers::empty(&dir)?;
    Ok(proxy.taken().saturating_sub(size) as f64 / MIB)
}
