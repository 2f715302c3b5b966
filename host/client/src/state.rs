//! Files in the state directory of a sender: one for each upload that a later run can go on with.
//!
//! It is named by a hash of where the upload goes, where the file is and what it is called there, and has what tells
//! whether the file has changed since.

use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{SendFile, platform, walk};

/// What changes when a file does: size, modification time in seconds and nanoseconds, and two numbers of its identity.
pub(super) type Fingerprint = [i128; 5];

/// That state cannot be kept, or not well: said once for all files, which have one cause.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    is_told: Arc<AtomicBool>,
}

impl Trouble {
    pub(super) fn tell(&self, dir: &Path, error: &io::Error, what: &str) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, dir = %dir.display(), "{what}");
        }
    }
}

/// The name of the file for an upload to `to`.
pub(super) fn file_name(to: &str, file: &SendFile) -> String {
    let path = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
    let name = file.name.as_deref().unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    for part in [to.as_bytes(), path.as_os_str().as_encoded_bytes(), name.as_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let hex = hasher.finalize().to_hex();
    format!("{}.upload", &hex[..32])
}

/// What changes when a file does.
pub(super) fn fingerprint(metadata: &Metadata) -> Fingerprint {
    let modified = walk::modified_total_ns(metadata).unwrap_or_default();
    let [first, second] = platform::identity(metadata);
    let (seconds, rest) = (modified.div_euclid(1_000_000_000), modified.rem_euclid(1_000_000_000));
    [metadata.len().into(), seconds, rest, first, second]
}

/// What was kept of an upload, line by line, and the fingerprint behind it. What is damaged, has another header or more
/// bytes counts as nothing.
pub(super) fn read(
    path: &Path,
    header: &str,
    bytes_max: u64,
) -> Option<(Vec<String>, Fingerprint)> {
    if fs::symlink_metadata(path).ok()?.len() > bytes_max {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut lines: Vec<&str> = text.lines().collect();
    // The last line end shows that it is whole.
    if !text.ends_with('\n') || lines.len() < 6 || lines[0] != header {
        return None;
    }
    let mut print = [0; 5];
    for (number, line) in print.iter_mut().zip(lines.split_off(lines.len() - 5)) {
        *number = line.parse().ok()?;
    }
    Some((lines[1..].iter().map(|line| (*line).to_owned()).collect(), print))
}

/// Keeps lines and a fingerprint, in one step as seen after a crash.
pub(super) fn write(
    path: &Path,
    header: &str,
    lines: &[String],
    print: &Fingerprint,
) -> io::Result<()> {
    // It was made of the state directory's.
    let dir = path.parent().ok_or(io::ErrorKind::NotFound)?;
    make_directory(dir)?;
    let mut text = format!("{header}\n");
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    for number in print {
        let _ = writeln!(text, "{number}");
    }
    // For this user alone, as temporary files are.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// For this user alone.
pub(super) fn make_directory(dir: &Path) -> io::Result<()> {
    platform::make_private_directory(dir)
}
