//! What the system lets the process have: descriptors, processors, the size of files; and what the machine is called.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors the process may have; `None`: there is no limit. The soft limit, which is kept low for
/// programs that use `select`, is raised to the hard one.
pub(super) fn descriptors() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// The largest file that the process may write, in bytes; `None`: there is no limit.
pub(super) fn file_bytes_max() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// What the machine is called; `None`: the system does not tell.
pub(super) fn machine_name() -> Option<String> {
    // proc_sys_kernel(5). As `uname` has it: of the container, where there is one.
    std::fs::read_to_string("/proc/sys/kernel/hostname").ok()
}

/// How many threads compute at once: as many as there are processors for this process.
pub(super) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
