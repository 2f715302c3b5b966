//! Unix: Linux and macOS.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use tokio::net::TcpStream;

pub(crate) use tokio::net::UnixStream as LocalStream;

/// Opens a file for reading, without waiting for the other end of a pipe. `follow`: also where the last part of the
/// path is a link.
pub(crate) fn open(path: &Path, follow: bool) -> io::Result<File> {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Appends to `buffer` what one read gives, as far as its spare capacity goes; 0 at the end.
pub(crate) fn read_once(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match rustix::io::read(file, rustix::buffer::spare_capacity(buffer)) {
            Err(rustix::io::Errno::INTR) => {}
            read => return Ok(read?),
        }
    }
}

/// Fills `buffer` from `offset` on.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Writes all of `bytes` from `offset` on.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Says that a file will be read from its beginning to its end. Advice only: a file system that takes none reads as
/// well.
pub(crate) fn advise_sequential(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    // macOS reads ahead by itself.
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Whether its owner may run a file.
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o100 != 0
}

/// What changes, beside size and modification time, when another file takes the place of this one.
pub(crate) fn identity(metadata: &Metadata) -> [i128; 2] {
    [metadata.ino().into(), metadata.dev().into()]
}

/// Makes a directory for this user alone, with those above it, if it is not there.
pub(crate) fn make_private_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Makes a new file one for this user alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Connects to a socket of this machine.
pub(crate) async fn connect_local(path: &Path) -> io::Result<LocalStream> {
    LocalStream::connect(path).await
}

/// Bounds what waits in a socket to be sent, where the system can. Bytes.
pub(crate) fn bound_unsent(stream: &TcpStream, bytes_max: u32) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(bytes_max);
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, bytes_max);
}
