//! What the kernel says of a process, from `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Clock ticks in which `/proc/PID/stat` counts: `USER_HZ`, 100 on every architecture of Linux that
/// Rust's standard library is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// How long a server may take to bury the processes that it made for a connection.
const CHILDREN_PATIENCE: Duration = Duration::from_secs(2);

/// Memory of a process in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What is resident now.
    pub(crate) resident: u64,
    /// The most that was resident since the start, or since [`reset_peak`].
    pub(crate) peak: u64,
    /// Page tables: memory of the kernel's that `resident` does not count.
    pub(crate) page_tables: u64,
}

/// Processor time that a process has used, in user and kernel mode, with that of the children that it
/// has waited for.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name in parentheses may have spaces in it. Behind it come the fields from the third on:
    // utime, stime, cutime and cstime are the fields 14 to 17.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks: u64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().unwrap_or(0))
        .sum();
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}

/// Waits until a process has no children, so that [`cpu`] counts them.
pub(crate) fn wait_for_children(pid: u32) {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let since = Instant::now();
    while since.elapsed() < CHILDREN_PATIENCE
        && fs::read_to_string(&path).is_ok_and(|children| !children.trim().is_empty())
    {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The memory of a process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    Ok(Memory {
        resident: number(&status, "VmRSS:").context("no VmRSS in status")?,
        peak: number(&status, "VmHWM:").context("no VmHWM in status")?,
        page_tables: number(&status, "VmPTE:").context("no VmPTE in status")?,
    })
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).with_context(|| format!("read {path}"))?.count())
}

/// How many bytes a process has read from files. What comes from sockets is not counted where it is received
/// with `recv`.
pub(crate) fn bytes_read(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let io = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    number(&io, "rchar:").context("no rchar in io")
}

/// Forgets the peak of a process: from now on it is counted anew.
pub(crate) fn reset_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("write {path}"))
}

/// Memory that the system could give to programs, in KiB.
pub(crate) fn available_kib() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    number(&info, "MemAvailable:").unwrap_or(0)
}

/// The model of the processor.
pub(crate) fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown processor").to_owned()
}

fn number(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line[key.len()..].split_ascii_whitespace().next()?.parse().ok()
}
