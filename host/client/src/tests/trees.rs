//! What of a tree is sent, and trees that change or cannot be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use sandport_protocol::Limits;

use super::peer::Peer;
use super::*;
use sandport_testkit::namespace;

fn excluding(patterns: &[&str]) -> Options {
    let selection = Selection { exclude: Exclude::new(patterns).unwrap(), ..Selection::default() };
    Options { selection, ..Options::default() }
}

fn following_links() -> Options {
    let selection = Selection { follow_links: true, ..Selection::default() };
    Options { selection, ..Options::default() }
}

#[tokio::test]
async fn what_a_pattern_names_is_left_out_and_its_directory_is_empty() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    for name in ["a", "a.log", "build/x", "sub/build/y", "sub/keep.log", "logs/b.log"] {
        write(&tree, name, b"x");
    }
    let options = excluding(&["*.log", "/build", "!keep.log"]);
    let (result, told) = send_and_listen(&peer.address, vec![Source::path(&tree)], options).await;
    let summary = result.unwrap();
    assert!(summary.is_complete());
    assert_eq!((summary.stored, summary.skipped), (3, 3));
    assert_eq!(
        told.sorted(),
        [
            "directory t/logs",
            "skipped a.log excluded",
            "skipped b.log excluded",
            "skipped build excluded",
            "stored t/a as t/a",
            "stored t/sub/build/y as t/sub/build/y",
            "stored t/sub/keep.log as t/sub/keep.log",
        ]
    );
}

#[tokio::test]
async fn what_is_named_itself_is_sent_whatever_the_patterns_say() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "a.log", b"x");
    let tree = directory.path().join("logs.log");
    write(&tree, "a", b"x");
    let sources = vec![Source::path(&file), Source::path(&tree)];
    let (_, told) = send_and_listen(&peer.address, sources, excluding(&["*.log"])).await;
    assert_eq!(told.sorted(), ["stored a.log as a.log", "stored logs.log/a as logs.log/a"]);
}

#[tokio::test]
async fn links_are_followed_on_demand_and_a_loop_costs_no_other() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    write(directory.path(), "outside/deep/file", b"outside");
    write(&tree, "a", b"x");
    fs::create_dir_all(tree.join("empty")).unwrap();
    fs::create_dir_all(tree.join("sub")).unwrap();
    for (to, at) in [
        ("../outside", "directory"),
        ("../outside/deep/file", "file"),
        ("..", "sub/around"),
        ("nowhere", "dangling"),
        ("to-itself", "to-itself"),
    ] {
        symlink(to, tree.join(at)).unwrap();
    }
    let source = || vec![Source::path(&tree)];
    let (result, told) = send_and_listen(&peer.address, source(), following_links()).await;
    assert_eq!(result.unwrap().failed, 3);
    assert_eq!(
        told.sorted(),
        [
            "directory t/empty",
            "failed around link-loop",
            "failed dangling not-found",
            "failed to-itself cannot-open",
            "stored t/a as t/a",
            "stored t/file as t/file",
            "stored t/directory/deep/file as t/directory/deep/file",
        ]
    );
    assert_eq!(peer.inbox().kept["t/directory/deep/file"].content, b"outside");

    let (result, told) = send_and_listen(&peer.address, source(), Options::default()).await;
    assert!(result.unwrap().is_complete());
    let skipped = told.0.iter().filter(|line| line.ends_with(" symbolic-link")).count();
    assert_eq!(skipped, 5, "{:?}", told.0);
}

#[tokio::test]
async fn a_link_to_a_tree_that_is_named_itself_is_followed() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "tree/a", b"x");
    let link = directory.path().join("link");
    symlink("tree", &link).unwrap();
    let (_, told) =
        send_and_listen(&peer.address, vec![Source::path(&link)], Options::default()).await;
    assert_eq!(told.0, ["stored link/a as link/a"]);
}

#[tokio::test]
async fn files_that_vanish_before_their_turn_are_reported() {
    let peer = Peer::start(Limits::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let gone = write(directory.path(), "gone", &content(1 << 20, 1));
    let stays = write(directory.path(), "stays", &content(1 << 20, 2));
    let vanishing = gone.clone();
    peer.inbox().on_open = Some(Box::new(move |_| {
        // It may be gone already: each offer calls this.
        let _ = fs::remove_file(&vanishing);
        None
    }));
    let sources = vec![Source::path(&gone), Source::path(&stays)];
    let (result, told) = send_and_listen(&peer.address, sources, Options::default()).await;
    assert_eq!(result.unwrap().failed, 1);
    assert_eq!(told.sorted(), ["failed gone not-found", "stored stays as stays"]);
    assert_eq!(peer.inbox().kept.keys().collect::<Vec<_>>(), ["stays"]);
}

#[tokio::test]
async fn a_file_replaced_by_a_shorter_one_arrives_as_it_was_or_never() {
    for (before_its_turn, expected) in
        [(true, "failed file changed"), (false, "stored file as file")]
    {
        let peer = Peer::start(Limits::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let original = content(32 << 20, 1);
        let file = write(directory.path(), "file", &original);
        let shorter = write(directory.path(), "shorter", b"short");
        let to = file.clone();
        // The second time, it is there no more.
        let replace = move || drop(fs::rename(&shorter, &to));
        if before_its_turn {
            peer.inbox().on_open = Some(Box::new(move |_| {
                replace();
                None
            }));
        } else {
            peer.inbox().on_bytes = Some(Box::new(move |_, _| {
                replace();
                None
            }));
        }
        let (_, told) =
            send_and_listen(&peer.address, vec![Source::path(&file)], Options::default()).await;
        assert_eq!(told.0, [expected]);
        assert_eq!(fs::read(&file).unwrap(), b"short");
        assert!(peer.inbox().kept.values().all(|kept| kept.content == original));
    }
}

#[test]
fn what_may_not_be_read_is_reported_and_the_rest_arrives() {
    // Without a mapping a user has no capabilities, even if it is the superuser outside.
    namespace::run_inside(&["--user"], "", |_| {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("t");
        for name in ["closed", "large", "open", "shut/inside"] {
            write(&tree, name, &content(if name == "large" { 1 << 20 } else { 10 }, 1));
        }
        let close = |name: &str, mode| {
            fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in ["closed", "large", "shut"] {
            close(name, 0);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (result, told) = runtime.block_on(async {
            let peer = Peer::start(Limits::default()).await;
            let sources = vec![Source::path(&tree)];
            send_and_listen(&peer.address, sources, Options::default()).await
        });
        close("shut", 0o700);
        assert_eq!(result.unwrap().failed, 3);
        assert_eq!(
            told.sorted(),
            [
                "failed closed cannot-open",
                "failed large cannot-open",
                "failed shut cannot-list",
                "stored t/open as t/open",
            ]
        );
    });
}

#[tokio::test]
async fn a_plan_names_what_would_be_sent_and_touches_no_stream() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("t");
    write(&tree, "a", b"12345");
    write(&tree, "b.tmp", b"x");
    fs::create_dir(tree.join("empty")).unwrap();
    struct Untouched;
    impl std::io::Read for Untouched {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("a plan reads no stream");
        }
    }
    let sources = vec![
        Source::path(&tree),
        Source::path(directory.path().join("missing")),
        Source::reader("-", Untouched).named("dump"),
    ];
    let mut told = Told::default();
    let summary = plan(sources, &excluding(&["*.tmp"]), |event| told.note(&event)).await.unwrap();
    assert_eq!((summary.planned, summary.directories, summary.bytes), (2, 1, 5));
    assert_eq!((summary.failed, summary.skipped), (1, 1));
    assert_eq!(
        told.sorted(),
        [
            "failed missing not-found",
            "planned dump None",
            "planned t/a Some(5)",
            "planned t/empty None",
            "skipped b.tmp excluded",
        ]
    );
}
