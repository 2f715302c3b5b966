//! Signals: those that ask to end, and one that would end the process for nothing.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Signals, survive_large_files};
#[cfg(windows)]
pub(crate) use windows::{Signals, survive_large_files};
