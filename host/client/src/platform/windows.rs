//! Windows.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use tokio::net::TcpStream;

/// `FILE_FLAG_OPEN_REPARSE_POINT` of `CreateFileW`: opens a link itself, which is no regular file then.
const OPEN_LINK_ITSELF: u32 = 0x0020_0000;

/// tokio has no sockets of this kind on Windows, so this one never connects, and stands for a stream in types alone.
pub(crate) type LocalStream = TcpStream;

/// Opens a file for reading. `follow`: also where the last part of the path is a link. The names of devices, as `CON`
/// and `NUL`, open devices, which the caller finds to be no regular files.
pub(crate) fn open(path: &Path, follow: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if !follow {
        options.custom_flags(OPEN_LINK_ITSELF);
    }
    options.open(path)
}

/// Appends to `buffer` what one read gives, as far as its spare capacity goes; 0 at the end.
pub(crate) fn read_once(mut file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let start = buffer.len();
    buffer.resize(buffer.capacity(), 0);
    let read = loop {
        match file.read(&mut buffer[start..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read,
        }
    };
    buffer.truncate(start + read.as_ref().map_or(0, |count| *count));
    read
}

/// Fills `buffer` from `offset` on. It moves the position of the file.
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `bytes` from `offset` on. It moves the position of the file.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The system reads ahead by what it sees.
pub(crate) fn advise_sequential(_: &File) {}

/// Windows has no such bit: what can be run, names tell.
pub(crate) fn is_executable(_: &Metadata) -> bool {
    false
}

/// What changes, beside size and modification time, when another file takes the place of this one. The number of a file
/// is not to be had without calls that std does not have; the time of creation is as good, but for a file that takes a
/// place within 15 seconds, which inherits it.
pub(crate) fn identity(metadata: &Metadata) -> [i128; 2] {
    [metadata.creation_time().into(), 0]
}

/// Makes a directory, with those above it, if it is not there. Who may read it, it inherits: in the directory of a
/// user, nobody else but administrators.
pub(crate) fn make_private_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(directory)
}

/// As [`make_private_directory`].
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// # Errors
/// [`io::ErrorKind::Unsupported`].
pub(crate) async fn connect_local(_: &Path) -> io::Result<LocalStream> {
    let words = "there are no Unix sockets for programs on Windows here";
    Err(io::Error::new(io::ErrorKind::Unsupported, words))
}

/// The system bounds what waits in a socket by itself.
pub(crate) fn bound_unsent(_: &TcpStream, _: u32) {}
