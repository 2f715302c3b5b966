//! Inboxes within what is sent.

use std::fs;

use sandport_protocol::Limits;

use super::peer::Peer;
use super::*;

/// Makes a directory an inbox that holds a file.
fn make_inbox(dir: &Path, file: &str) {
    write(dir, ".sandport/layout", b"1\n");
    write(dir, ".sandport/receipts", b"a log");
    write(dir, file, b"received");
}

async fn sent(sources: Vec<Source>) -> Vec<String> {
    let peer = Peer::start(Limits::default()).await;
    let (result, told) = send_and_listen(&peer.address, sources, Options::default()).await;
    assert!(result.unwrap().is_complete());
    told.sorted()
}

#[tokio::test]
async fn an_inbox_is_sent_without_its_state() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("in");
    make_inbox(&inbox, "report.pdf");
    // Names that some file system takes for the same.
    write(&inbox, "sub/.SandPort/x", b"x");
    write(&inbox, "sub/.sandport-not", b"x");
    let expected = [
        "skipped .SandPort inbox-state",
        "skipped .sandport inbox-state",
        "stored in/report.pdf as in/report.pdf",
        "stored in/sub/.sandport-not as in/sub/.sandport-not",
    ];
    assert_eq!(sent(vec![Source::path(&inbox)]).await, expected);
}

#[tokio::test]
async fn what_a_run_brings_into_an_inbox_is_not_sent_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    write(&tree, "a", b"x");
    make_inbox(&tree.join("in"), "tree/a");
    make_inbox(&tree.join("in"), "other/tree/b");
    write(&tree, "no-inbox/tree/c", b"x");
    let expected = [
        "skipped .sandport inbox-state",
        "skipped tree own-arrival",
        "stored tree/a as tree/a",
        "stored tree/in/other/tree/b as tree/in/other/tree/b",
        "stored tree/no-inbox/tree/c as tree/no-inbox/tree/c",
    ];
    assert_eq!(sent(vec![Source::path(&tree)]).await, expected);
}

#[tokio::test]
async fn no_source_of_a_run_is_sent_again_out_of_an_inbox() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    make_inbox(&tree.join("in"), "b/x");
    make_inbox(&tree.join("in"), "report.pdf");
    make_inbox(&tree.join("in"), "renamed/x");
    make_inbox(&tree.join("in"), "others.pdf");
    let file = write(directory.path(), "report.pdf", b"x");
    write(directory.path(), "b/x", b"x");
    let sources = vec![
        Source::path(file),
        Source::path(directory.path().join("b")).named("renamed/b"),
        Source::path(&tree),
    ];
    let expected = [
        "skipped .sandport inbox-state",
        "skipped renamed own-arrival",
        "skipped report.pdf own-arrival",
        "stored renamed/b/x as renamed/b/x",
        "stored report.pdf as report.pdf",
        "stored tree/in/b/x as tree/in/b/x",
        "stored tree/in/others.pdf as tree/in/others.pdf",
    ];
    assert_eq!(sent(sources).await, expected);
}

#[tokio::test]
async fn what_is_named_itself_is_sent_out_of_an_inbox() {
    let directory = tempfile::tempdir().unwrap();
    make_inbox(&directory.path().join("in"), "tree/a");
    let source = Source::path(directory.path().join("in/tree"));
    assert_eq!(sent(vec![source]).await, ["stored tree/a as tree/a"]);
}

#[tokio::test]
async fn a_plan_leaves_out_what_a_run_does() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("in");
    make_inbox(&inbox, "in/a");
    fs::create_dir(inbox.join("empty")).unwrap();
    let mut told = Told::default();
    let options = Options::default();
    plan(vec![Source::path(&inbox)], &options, |event| told.note(&event)).await.unwrap();
    let expected =
        ["planned in/empty None", "skipped .sandport inbox-state", "skipped in own-arrival"];
    assert_eq!(told.sorted(), expected);
}
