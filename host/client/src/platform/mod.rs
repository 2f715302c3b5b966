//! What systems do differently: opening and reading files, what tells one file from another, files for one user
//! alone, sockets.
//!
//! Each function is in both modules. What is decided for Windows stands there, and for users in `docs/sending.md`.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;
