//! Where nothing is synced: files that have no name until they are whole.

use super::*;
use crate::disk::Step;
use crate::disk::nameless::Naming;

fn bench() -> Bench {
    Bench::with(InboxOptions { durability: Durability::None, ..InboxOptions::default() })
}

#[test]
fn more_files_at_once_than_there_are_descriptors_for_all_arrive() {
    let bench = bench();
    let files: Vec<(String, Vec<u8>)> =
        (0..600_u32).map(|n| (format!("f{n}"), n.to_string().into_bytes())).collect();
    let uploads: Vec<Upload> = files
        .iter()
        .map(|(name, content)| upload(bench.inbox(), &offer(name, content), content))
        .collect();
    for (upload, (_, content)) in uploads.into_iter().zip(&files) {
        wait(&upload.commit(content.len() as u64, None)).unwrap();
    }
    let mut sorted = files;
    sorted.sort();
    assert!(bench.published() == sorted);
    assert_eq!(bench.staged(), 0);
}

#[test]
fn large_nameless_files_are_written_before_their_senders_hear() {
    let bench = bench();
    let sizes = [64 * 1024, 3 * 1024 * 1024];
    for size in sizes {
        bench.send(&size.to_string(), &vec![7; size]).unwrap();
        let state = &bench.inbox().handle.core.layout.state;
        let mut records = receipts::Records::default();
        records.refresh(state.as_fd()).unwrap();
        assert!(records.get(&size.to_string()).is_some(), "{size}");
    }
}

#[test]
fn one_that_is_cut_leaves_nothing() {
    let bench = bench();
    drop(upload(bench.inbox(), &offer("f", b"whole"), b"whole"));
    assert_eq!((bench.staged(), bench.names()), (0, vec![]));
}

#[test]
fn it_keeps_its_time_and_mode_and_counts_as_stored() {
    let bench = bench();
    let modified_ns = Some(1_600_000_000_000_000_005);
    let offer = Offer { modified_ns, ..offer_with_digest("f", b"content") };
    let receipt = commit(bench.inbox(), &offer, b"content").unwrap();
    let modified = fs::metadata(bench.path("f")).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_nanos(), 1_600_000_000_000_000_005);
    assert!(
        matches!(bench.inbox().offered(&offer).unwrap(), OfferResponse::Stored(again) if again == receipt)
    );
}

/// Both ways, since it depends on the kernel and on who runs this which one an inbox takes.
#[test]
fn no_way_of_naming_takes_a_name_that_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let dir = fs::File::open(directory.path()).unwrap();
    let disk = Disk::default();
    for naming in [Some(Naming::Proc), Naming::of(&dir)].into_iter().flatten() {
        let taken = directory.path().join("taken");
        fs::write(&taken, b"theirs").unwrap();
        let Ok(file) = disk.create_nameless(&dir) else {
            assert_eq!(Naming::of(&dir), None);
            return;
        };
        disk.write(Step::Write, &file, b"ours", 0).unwrap();
        let placed = disk.publish_nameless(naming, &file, (&dir, "taken"));
        assert_eq!(placed, Err(rustix::io::Errno::EXIST));
        disk.publish_nameless(naming, &file, (&dir, "free")).unwrap();
        assert_eq!(fs::read(&taken).unwrap(), b"theirs");
        assert_eq!(fs::read(directory.path().join("free")).unwrap(), b"ours");
        fs::remove_file(directory.path().join("free")).unwrap();
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
