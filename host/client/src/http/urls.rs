//! Where the URLs of uploads are kept, so that a later run goes on with what an earlier one began.
//!
//! Whoever has the URL of an upload can go on with it, so the files are for this user alone, as resume keys are.

use std::fs::{self, Metadata};
use std::io;
use std::path::PathBuf;

use sandport_protocol::sender::http::{KeptUrl, Protocol};

use crate::SendFile;
use crate::state::{self, Fingerprint, Trouble};

/// First line of a file with a URL; the number is its version.
const HEADER: &str = "sandport http upload 1";

/// Longest file with a URL. Bytes. The longest URL that is taken, and some short lines.
const STATE_BYTES_MAX: u64 = 16 * 1024;

/// Where URLs are kept, for uploads to one address.
#[derive(Debug)]
pub(super) struct Urls {
    /// `None`: in memory, for this run.
    dir: Option<PathBuf>,
    /// The address.
    to: String,
    protocol: Protocol,
    trouble: Trouble,
}

/// Where the URL of one upload is kept.
#[derive(Debug)]
pub(super) struct Place {
    /// `None`: nowhere.
    path: Option<PathBuf>,
    print: Fingerprint,
    protocol: Protocol,
    trouble: Trouble,
    /// Whether there is one.
    has_url: bool,
}

impl Urls {
    pub(super) fn new(dir: Option<PathBuf>, to: String, protocol: Protocol) -> Self {
        Self { dir, to, protocol, trouble: Trouble::default() }
    }

    /// The place for a file, and what an earlier run has left there.
    pub(super) fn of_file(&self, file: &SendFile, metadata: &Metadata) -> (Place, Option<KeptUrl>) {
        let path = self.dir.as_ref().map(|dir| dir.join(state::file_name(&self.to, file)));
        let print = state::fingerprint(metadata);
        let found = path.as_ref().and_then(|path| state::read(path, HEADER, STATE_BYTES_MAX));
        let kept = found.and_then(|(lines, known)| {
            let [protocol, url] = &lines[..] else { return None };
            // What was begun by one protocol does not go on by the other.
            let is_of_it = protocol.strip_prefix("protocol ")? == self.protocol.as_str();
            let url = url.strip_prefix("url ")?.to_owned();
            (is_of_it && url.starts_with('/')).then_some(KeptUrl { url, changed: known != print })
        });
        let has_url = kept.is_some();
        let trouble = self.trouble.clone();
        (Place { path, print, protocol: self.protocol, trouble, has_url }, kept)
    }

    /// No place: what a stream gives cannot be had again.
    pub(super) fn of_stream(&self) -> Place {
        Place {
            path: None,
            print: [0; 5],
            protocol: self.protocol,
            trouble: self.trouble.clone(),
            has_url: false,
        }
    }
}

impl Place {
    /// Whether a later run finds a URL here.
    pub(super) fn is_kept(&self) -> bool {
        self.path.is_some() && self.has_url
    }

    /// Keeps a URL for later runs. Where that cannot be done, the upload can be resumed within this run alone.
    pub(super) fn keep(&mut self, url: &str) {
        let Some(path) = &self.path else { return };
        let lines = [format!("protocol {}", self.protocol.as_str()), format!("url {url}")];
        self.has_url = true;
        if let Err(error) = state::write(path, HEADER, &lines, &self.print) {
            let what = "cannot keep the URLs of uploads: a later run sends from the beginning what this one does \
                        not finish";
            self.trouble.tell(path.parent().unwrap_or(path), &error, what);
            self.path = None;
        }
    }

    /// Nothing is to be resumed.
    pub(super) fn forget(&mut self) {
        if std::mem::take(&mut self.has_url)
            && let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "could not remove the URL of an upload");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use sandport_protocol::EntryKind;

    use super::*;
    use crate::walk;

    fn place(urls: &Urls, path: &Path) -> (Place, Option<KeptUrl>) {
        let metadata = fs::metadata(path).unwrap();
        let file = walk::describe(path, Some("a".to_owned()), EntryKind::File, &metadata);
        urls.of_file(&file, &metadata)
    }

    #[test]
    fn a_url_is_found_again_by_the_same_protocol_and_address() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"content").unwrap();
        let state = directory.path().join("state");
        let urls = |to: &str, protocol| Urls::new(Some(state.clone()), to.to_owned(), protocol);
        let (mut first, kept) = place(&urls("one", Protocol::Tus), &path);
        assert_eq!((first.is_kept(), kept), (false, None));
        first.keep("/files/1");
        assert!(first.is_kept());
        let mode = fs::metadata(first.path.as_ref().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "it is nobody else's to read");
        let again = KeptUrl { url: "/files/1".to_owned(), changed: false };
        assert_eq!(place(&urls("one", Protocol::Tus), &path).1, Some(again.clone()));
        assert_eq!(place(&urls("two", Protocol::Tus), &path).1, None);
        assert_eq!(place(&urls("one", Protocol::Resumable), &path).1, None);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"longer").unwrap();
        let changed = KeptUrl { changed: true, ..again };
        assert_eq!(place(&urls("one", Protocol::Tus), &path).1, Some(changed));
        first.forget();
        assert_eq!(place(&urls("one", Protocol::Tus), &path).1, None);
    }

    #[test]
    fn a_damaged_url_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"content").unwrap();
        let state = directory.path().join("state");
        let urls = Urls::new(Some(state), "one".to_owned(), Protocol::Tus);
        let (mut first, _) = place(&urls, &path);
        first.keep("/files/1");
        let file = first.path.clone().unwrap();
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(place(&urls, &path).1, None, "cut at {cut}");
        }
    }
}
