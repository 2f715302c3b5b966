#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use super::probe::mounts_in;
use super::*;

fn ordinary() -> Capabilities {
    Capabilities {
        free_name: FreeName::Rename,
        attributes_stable: true,
        times_exact: true,
        names_folded: false,
        names_kept: true,
        names_restricted: false,
        part_bytes_max: 255,
    }
}

#[test]
fn an_ordinary_file_system_limits_nothing() {
    assert_eq!(ordinary().limitations(Vec::new()), []);
}

#[test]
fn each_limitation_has_a_code_and_words_of_its_own() {
    let odd = Capabilities {
        free_name: FreeName::Look,
        attributes_stable: false,
        times_exact: false,
        names_folded: true,
        names_kept: true,
        names_restricted: true,
        part_bytes_max: 143,
    };
    let mut limitations = odd.limitations(vec![PathBuf::from("photos")]);
    let linked = Capabilities { free_name: FreeName::Link, ..ordinary() };
    limitations.extend(linked.limitations(Vec::new()));
    assert_eq!(limitations.len(), 8);
    let mut codes: Vec<_> = limitations.iter().map(Limitation::code).collect();
    let mut words: Vec<_> = limitations.iter().map(Limitation::to_string).collect();
    codes.sort_unstable();
    codes.dedup();
    words.sort_unstable();
    words.dedup();
    assert_eq!((codes.len(), words.len()), (8, 8));
}

#[test]
fn mounts_beneath_the_inbox_are_read_from_mountinfo() {
    let table = b"22 1 0:21 / / rw shared:1 - ext4 /dev/root rw\n\
        30 22 0:25 / /srv/in rw - btrfs /dev/b rw\n\
        31 30 0:26 / /srv/in/photos\\040of\\0402026 rw - ext4 /dev/c rw\n\
        32 31 0:27 / /srv/in/photos\\040of\\0402026 rw - ext4 /dev/d rw\n\
        33 30 0:28 / /srv/in/.sandport/x rw - tmpfs t rw\n\
        34 22 0:29 / /srv/inner rw - tmpfs t rw\n\
        35 30 0:30 / /srv/in/a/b rw - tmpfs t rw\n";
    let found = mounts_in(table, Path::new("/srv/in"));
    assert_eq!(found, [PathBuf::from("a/b"), PathBuf::from("photos of 2026")]);
    assert_eq!(mounts_in(b"not a table\n\n", Path::new("/srv/in")), Vec::<PathBuf>::new());
}
