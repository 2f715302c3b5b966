//! Resumable uploads whose files on the disk are not what they were: cut, changed, of another upload, or
//! somebody else's.

use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::*;
use super::*;

#[test]
fn a_journal_cut_or_changed_anywhere_makes_no_wrong_file() {
    let (bench, content) = cut_off();
    let whole = fs::read(journal(&bench)).unwrap();
    let step = (whole.len() / 40).max(1);
    for at in (0..whole.len()).step_by(step) {
        for change in [true, false] {
            let mut damaged = whole.clone();
            if change {
                damaged[at] ^= 0x10;
            } else {
                damaged.truncate(at);
            }
            let after = killed(&bench);
            fs::write(journal(&after), damaged).unwrap();
            let upload = accept(after.inbox(), &offer_of(&content));
            bring(&upload, &content);
            finish(upload, &content);
            assert_eq!(fs::read(after.path("big")).unwrap(), content, "at {at}, {change}");
        }
    }
}

#[test]
fn a_directory_in_the_place_of_a_partial_file_is_named() {
    let (bench, content) = cut_off();
    let id = partials(&bench)[0].strip_suffix(".data").unwrap().to_owned();
    let name = format!(".sandport/partials/{id}.data");
    fs::remove_file(bench.path(&name)).unwrap();
    fs::create_dir_all(bench.path(&name).join("not ours")).unwrap();
    for _ in 0..2 {
        let upload = accept(bench.inbox(), &offer_of(&content));
        upload.body(extent(0, content.len())).unwrap().write(&content[..GROUP]);
        let fault = upload.fault().unwrap();
        assert_eq!(fault.code, RefusalCode::Other, "sending again is of no use before it is gone");
        assert!(fault.detail.unwrap().contains(&name));
    }
    assert!(bench.path(&name).join("not ours").exists());
    fs::remove_dir_all(bench.path(&name)).unwrap();
    let upload = accept(bench.inbox(), &offer_of(&content));
    bring(&upload, &content);
    finish(upload, &content);
}

#[test]
fn a_journal_cut_at_any_byte_says_nothing_that_was_not_kept() {
    let content = content(3 * GROUP);
    let bench = Bench::in_memory(options(GROUP_BYTES / 2));
    let upload = accept(bench.inbox(), &offer_of(&content));
    let mut body = upload.body(extent(0, content.len())).unwrap();
    for (number, piece) in (1..).zip(content.chunks(GROUP / 2).take(4)) {
        body.write(piece);
        wait_durable(&upload, number * GROUP / 2);
    }
    let whole = fs::read(journal(&bench)).unwrap();
    let mut said = Vec::new();
    for at in 0..whole.len() {
        let after = killed(&bench);
        fs::write(journal(&after), &whole[..at]).unwrap();
        let upload = accept(after.inbox(), &offer_of(&content));
        let durable = upload.durable() as usize;
        assert_eq!(upload.missing(), [extent(durable, content.len() - durable)], "at {at}");
        // Wherever an entry was cut, those before it count.
        if said.last() != Some(&durable) {
            assert!(said.last() < Some(&durable), "at {at}: {durable} after {said:?}");
            said.push(durable);
            bring(&upload, &content);
            finish(upload, &content);
            assert!(fs::read(after.path("big")).unwrap() == content, "at {at}");
        }
    }
    assert_eq!(said, [0, GROUP / 2, GROUP, 3 * GROUP / 2]);
}

/// The journal of another upload, which has come further.
fn journal_of_another(bench: &Bench, content: &[u8]) -> Vec<u8> {
    let after = killed(bench);
    let resume = Resume { key: [6; 32], epoch: 1, mode: ResumeMode::TakeOver };
    let offer = Offer { resume: Some(resume), ..offer_of(content) };
    let upload = accept(after.inbox(), &offer);
    upload.body(extent(0, content.len())).unwrap().write(&content[..4 * GROUP]);
    wait_durable(&upload, 4 * GROUP);
    let name = format!(".sandport/partials/{}.journal", resumable::Id::of(None, &resume.key));
    fs::read(after.path(&name)).unwrap()
}

#[test]
fn journals_of_other_uploads_or_of_the_future_are_no_failure() {
    let (bench, content) = cut_off();
    let mut future = fs::read(journal(&bench)).unwrap();
    future[7] = 9;
    let another = journal_of_another(&bench, &content);
    for replaced in [another, future, b"not a journal".to_vec(), Vec::new()] {
        let after = killed(&bench);
        fs::write(journal(&after), replaced).unwrap();
        let upload = accept(after.inbox(), &offer_of(&content));
        assert_eq!(upload.missing(), [extent(0, content.len())]);
        bring(&upload, &content);
        finish(upload, &content);
    }
}

#[test]
fn foreign_partial_files_are_left_alone_and_not_followed() {
    let (mut bench, content) = cut_off();
    let path = bench.path(".sandport/partials");
    let elsewhere = bench.path("theirs");
    fs::write(&elsewhere, b"theirs").unwrap();
    let journal = journal(&bench);
    let data = journal.with_extension("data");
    fs::write(path.join("README"), b"x").unwrap();
    fs::create_dir(path.join("directory.data")).unwrap();
    // A link in the place of the data: its sender begins anew, and nothing is written through it.
    fs::remove_file(&data).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &data).unwrap();
    bench.restart();
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(0, content.len())]);
    bring(&upload, &content);
    finish(upload, &content);
    assert_eq!(fs::read(&elsewhere).unwrap(), b"theirs");
    assert_eq!(partials(&bench), ["README", "directory.data"]);
}

#[test]
fn partial_files_that_this_user_may_not_open_are_in_nobodys_way() {
    use std::os::unix::fs::PermissionsExt;
    // Without a mapping a user has no capabilities, even if it is the superuser outside.
    namespace::run_inside(&["--user"], "", |_| {
        for suffixes in [&["journal"][..], &["data"], &["journal", "data"]] {
            let (mut bench, content) = cut_off();
            for suffix in suffixes {
                let closed = journal(&bench).with_extension(suffix);
                fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
            }
            let staged = bench.path(".sandport/staging/0");
            fs::write(&staged, b"theirs").unwrap();
            fs::set_permissions(&staged, fs::Permissions::from_mode(0o000)).unwrap();
            bench.restart();
            assert_eq!(bench.staged(), 0);
            let upload = accept(bench.inbox(), &offer_of(&content));
            assert_eq!(upload.missing(), [extent(0, content.len())], "{suffixes:?}");
            bring(&upload, &content);
            finish(upload, &content);
            assert!(fs::read(bench.path("big")).unwrap() == content, "{suffixes:?}");
            assert_eq!(partials(&bench), Vec::<String>::new());
        }
    });
}

#[test]
fn data_that_is_shorter_than_its_journal_says_is_sent_again() {
    let (bench, content) = cut_off();
    let data = journal(&bench).with_extension("data");
    fs::OpenOptions::new().write(true).open(&data).unwrap().set_len(GROUP_BYTES + 3).unwrap();
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(GROUP, 4 * GROUP)]);
    bring(&upload, &content);
    finish(upload, &content);
}

#[test]
fn a_begun_group_that_is_not_what_was_kept_is_sent_again() {
    use std::os::unix::fs::FileExt;
    let (bench, content) = cut_off();
    let data = journal(&bench).with_extension("data");
    let file = fs::OpenOptions::new().write(true).open(&data).unwrap();
    file.write_all_at(b"\xee", 3 * GROUP_BYTES + 7).unwrap();
    let upload = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(upload.missing(), [extent(3 * GROUP, 2 * GROUP)]);
    bring(&upload, &content);
    finish(upload, &content);
}
