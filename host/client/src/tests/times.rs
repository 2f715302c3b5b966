//! Modification times that the wire cannot carry.

use std::fs::File;
use std::time::{Duration, SystemTime};

use sandport_protocol::Limits;

use super::peer::Peer;
use super::*;
use sandport_testkit::namespace;

/// 1601-01-01, the zero of NTFS, and 2300-01-01, from 1970 on. Seconds.
const FAR: [(&str, i64); 2] = [("zero-of-ntfs", -11_644_473_600), ("far-future", 10_413_792_000)];

fn set_modified(path: &Path, seconds: i64) {
    let span = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if seconds < 0 { epoch - span } else { epoch + span };
    File::open(path).unwrap().set_modified(time).unwrap();
    assert_eq!(path.metadata().unwrap().modified().unwrap(), time, "the disk keeps it");
}

#[test]
fn a_time_that_cannot_be_sent_is_said() {
    // Other file systems than this one may have no such times.
    namespace::run_inside(namespace::MOUNT, "mount -t tmpfs none \"$0\"", |directory| {
        let tree = directory.join("t");
        write(&tree, "usual", b"x");
        for (name, seconds) in FAR {
            set_modified(&write(&tree, name, b"x"), seconds);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let expected = ["without its time t/far-future", "without its time t/zero-of-ntfs"];
            let of_times = |told: Told| -> Vec<String> {
                told.sorted().into_iter().filter(|line| line.starts_with("without")).collect()
            };
            let peer = Peer::start(Limits::default()).await;
            let sources = || vec![Source::path(&tree)];
            let (result, told) =
                send_and_listen(&peer.address, sources(), Options::default()).await;
            let summary = result.unwrap();
            assert!(summary.is_complete());
            assert_eq!((summary.stored, summary.modified_omitted), (3, 2));
            assert_eq!(of_times(told), expected);
            let offered = |name: &str| peer.inbox().kept[name].offer.modified_ns;
            assert!(offered("t/usual").is_some());
            assert_eq!(offered("t/far-future"), None);

            let mut told = Told::default();
            let options = Options::default();
            let planned = plan(sources(), &options, |event| told.note(&event)).await.unwrap();
            assert_eq!(planned.modified_omitted, 2);
            assert_eq!(of_times(told), expected);
        });
    });
}
