//! The index of what was stored.

use super::*;

fn record(size: u64) -> Record {
    Record { digest: [0; 32], size, inode: 0, modified: (0, 0) }
}

fn insert(index: &mut Index, offered: &str, number: u32, published: &str, size: u64) {
    let (offered, record) = (Cow::Borrowed(offered), record(size));
    index.insert(&LoggedFile { identity: None, offered, number, record }, published);
}

fn sizes(index: &Index, offered: &str) -> Vec<u64> {
    let offered = EntryName::parse(offered).unwrap();
    index.find(None, &offered, |_| true).into_iter().map(|(_, record)| record.size).collect()
}

#[test]
fn the_latest_record_of_a_name_counts() {
    let mut index = Index::new();
    insert(&mut index, "a", 0, "a", 1);
    insert(&mut index, "a", 0, "a", 2);
    assert_eq!((sizes(&index, "a"), index.len()), (vec![2], 1));
}

#[test]
fn the_latest_record_counts_however_much_came_in_between() {
    let mut index = Index::with_max_records(10);
    for n in 0..20 {
        insert(&mut index, "a", 0, "a", n);
        for other in 0..n {
            insert(&mut index, &format!("f{other}"), 0, &format!("f{other}"), 0);
        }
        if n < 5 {
            assert_eq!(sizes(&index, "a"), [n]);
        }
        insert(&mut index, "a", 0, "a", n + 100);
        assert_eq!(sizes(&index, "a"), [n + 100]);
    }
}

#[test]
fn memory_is_bounded_and_the_newest_half_is_kept() {
    let mut index = Index::with_max_records(100);
    for n in 0..1_000 {
        insert(&mut index, &format!("f{n}"), 0, &format!("f{n}"), n);
        assert!(index.len() <= 100);
    }
    for n in 950..1_000 {
        assert_eq!(sizes(&index, &format!("f{n}")), [n]);
    }
    assert!(sizes(&index, "f0").is_empty());
}

#[test]
fn many_files_of_one_offered_name_are_remembered_up_to_a_bound() {
    let mut index = Index::new();
    let offered = EntryName::parse("a").unwrap();
    insert(&mut index, "a", 0, "a", 0);
    for number in 1..1_000 {
        let published = offered.renamed(number).unwrap();
        insert(&mut index, "a", number, published.as_str(), u64::from(number));
    }
    let found = sizes(&index, "a");
    assert_eq!(found.len(), 65);
    assert!(found.contains(&0) && found.contains(&999) && !found.contains(&1));
}
