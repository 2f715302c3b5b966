//! Files of which the system tells another size than their contents have, as in procfs and sysfs.

use std::fs;
use std::process::{Child, Command, Stdio};

use sandport_protocol::{Digest, Limits};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::peer::Peer;
use super::*;
use crate::file_reader::Content;
use crate::prepare::Links;

/// Said to be empty, and is not.
const PROC: &str = "/proc/version";

/// Said to have 4,096 bytes, and has some ten.
const SYS: &str = "/sys/devices/system/cpu/online";

/// A process with an environment that is larger than a small file. procfs says that it is empty.
struct LargeEnvironment(Child);

impl LargeEnvironment {
    fn start() -> Self {
        let value = "x".repeat(100_000);
        let mut command = Command::new("cat");
        // It ends with its standard input.
        Self(command.env_clear().env("A", value).stdin(Stdio::piped()).spawn().unwrap())
    }

    /// The file, once the process has that environment: until it is `cat` it has that of this one.
    fn file(&self) -> PathBuf {
        let path = PathBuf::from(format!("/proc/{}/environ", self.0.id()));
        assert!(fs::read(&path).unwrap().len() > 100_000, "{}", path.display());
        path
    }
}

impl Drop for LargeEnvironment {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn files_with_a_size_that_is_none_arrive_whole() {
    let process = LargeEnvironment::start();
    let environment = process.file();
    for path in [Path::new(PROC), Path::new(SYS), &environment] {
        assert_ne!(path.metadata().unwrap().len(), fs::read(path).unwrap().len() as u64);
        let peer = Peer::start(Limits::default()).await;
        let source = Source::path(path).named("named");
        let (result, told) = send_and_listen(&peer.address, vec![source], Options::default()).await;
        assert!(result.unwrap().is_complete(), "{:?}", told.0);
        assert_eq!(told.0, ["stored named as named"]);
        assert!(peer.inbox().kept["named"].content == fs::read(path).unwrap(), "{path:?}");
    }
}

#[tokio::test]
async fn the_classic_dialect_announces_what_they_have() {
    let process = LargeEnvironment::start();
    let environment = process.file();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let sources = vec![Source::path(PROC), Source::path(SYS), Source::path(&environment)];
    let options = Options { classic: true, ..Options::default() };
    let serving = async {
        let mut all = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut size = vec![0; 64];
            let count = stream.read(&mut size).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"ack").await.unwrap();
            let mut content = Vec::new();
            stream.read_to_end(&mut content).await.unwrap();
            all.push((String::from_utf8(size[..count].to_vec()).unwrap(), content));
        }
        all
    };
    let ((result, told), received) = tokio::join!(send_and_listen(&to, sources, options), serving);
    assert!(result.unwrap().is_complete(), "{:?}", told.0);
    for (path, (size, content)) in
        [Path::new(PROC), Path::new(SYS), &environment].iter().zip(received)
    {
        assert_eq!(size, content.len().to_string());
        assert!(content == fs::read(path).unwrap(), "{path:?}");
    }
}

/// As a file is read that is sent once more on another connection: with the size that it was offered with.
#[test]
fn what_was_read_before_its_offer_is_read_again_by_its_content() {
    // While it is open the system does not make up another modification time.
    let opened = fs::File::open(PROC).unwrap();
    let modified_ns = walk::modified_ns(&opened.metadata().unwrap());
    let content = fs::read(PROC).unwrap();
    let hash = |size: usize| {
        let (path, size) = (PathBuf::from(PROC), Some(size as u64));
        file_reader::hash(Content::Path { path, links: Links::Follow, size, modified_ns })
    };
    let digest = Digest::Blake3(*blake3::hash(&content).as_bytes());
    assert_eq!(hash(content.len()).unwrap(), digest);
    assert_eq!(hash(content.len() - 1).unwrap_err().code(), "changed", "it goes on");
    assert_eq!(hash(content.len() + 1).unwrap_err().code(), "wrong-size", "it ends before");
}

#[tokio::test]
async fn a_plan_does_not_call_them_empty() {
    let mut told = Told::default();
    let options = Options::default();
    plan(vec![Source::path(PROC)], &options, |event| told.note(&event)).await.unwrap();
    assert_eq!(told.0, ["planned version None"]);
}
