//! How long uploads of tus last, how they are ended, and that each has one writer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod url_uploads;

use sandport_protocol::Limits;
use url_uploads::state::Meanwhile;
use url_uploads::tus::{create, head, patch, request};
use url_uploads::{End, Server};

#[test]
fn unfinished_uploads_tell_when_they_expire() {
    let server = Server::with(Limits { expires_s: Some(3_600), ..Limits::default() });
    let created = server.request(&request("POST /files/", "Upload-Length: 8\r\n"), b"");
    // The server's day begins at 08:49:37, five seconds before the first connection.
    assert_eq!(created.field("upload-expires"), Some("Sun, 06 Nov 1994 09:49:42 GMT"));
    let location = created.location();
    server.pass(60_000);
    let appended = server.request(&patch(&location, 0, 4), b"hell");
    assert_eq!(appended.field("upload-expires"), Some("Sun, 06 Nov 1994 09:50:42 GMT"));
    server.inbox().kept.values_mut().for_each(|kept| kept.expires_in_s = Some(100));
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-expires"), Some("Sun, 06 Nov 1994 08:52:22 GMT"));
    let last = server.request(&patch(&location, 4, 4), b"o wo");
    assert_eq!((last.status, last.field("upload-expires")), (204, None));
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-expires"), None);
}

#[test]
fn what_is_kept_for_ever_does_not_expire() {
    let server = Server::default();
    let created = server.request(&request("POST /files/", "Upload-Length: 8\r\n"), b"");
    assert_eq!(created.field("upload-expires"), None);
}

#[test]
fn an_upload_that_was_ended_is_unknown() {
    let server = Server::default();
    let location = create(&server, 8);
    server.request(&patch(&location, 0, 4), b"hell");
    let delete = request(&format!("DELETE {location}"), "");
    let ended = server.request(&delete, b"");
    assert_eq!((ended.status, &ended.end), (204, &End::Next));
    for again in [delete, head(&location), patch(&location, 4, 4)] {
        let answer = server.request(&again, b"");
        assert_eq!((answer.status, answer.field("upload-offset")), (404, None), "{again}");
    }
}

#[test]
fn ending_a_finished_upload_forgets_its_url_and_keeps_its_file() {
    let server = Server::default();
    let location = create(&server, 4);
    server.request(&patch(&location, 0, 4), b"hell");
    assert_eq!(server.request(&request(&format!("DELETE {location}"), ""), b"").status, 204);
    assert_eq!(server.request(&head(&location), b"").status, 404);
    assert_eq!(server.inbox().published.len(), 1);
}

#[test]
fn a_newer_head_ends_a_stale_patch_and_keeps_its_bytes() {
    let server = Server::default();
    let location = create(&server, 10);
    let mut stale = server.connect();
    stale.send(patch(&location, 0, 10).as_bytes());
    stale.send(b"hell");
    stale.run();
    assert_eq!(stale.end, None);
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("4"));
    stale.send(b"o");
    stale.run();
    let ended = stale.exchanged(false);
    assert_eq!((ended.status, &ended.end), (423, &End::Closed));
    assert_eq!(server.request(&patch(&location, 4, 6), b"o worl").status, 204);
    assert_eq!(server.inbox().published.values().next().unwrap(), b"hello worl");
}

#[test]
fn a_newer_patch_makes_a_stale_one_let_go() {
    let server = Server::default();
    let location = create(&server, 10);
    let mut stale = server.connect();
    stale.send(patch(&location, 0, 10).as_bytes());
    stale.send(b"hell");
    stale.run();
    assert_eq!(server.request(&patch(&location, 4, 2), b"o ").status, 204);
    stale.run();
    assert_eq!(stale.exchanged(false).status, 423);
    let found = server.request(&head(&location), b"");
    assert_eq!(found.field("upload-offset"), Some("6"));
}

#[test]
fn ending_an_upload_ends_who_is_at_it() {
    let server = Server::default();
    let location = create(&server, 10);
    let mut stale = server.connect();
    stale.send(patch(&location, 0, 10).as_bytes());
    stale.send(b"hell");
    stale.run();
    assert_eq!(server.request(&request(&format!("DELETE {location}"), ""), b"").status, 204);
    stale.run();
    let ended = stale.exchanged(false);
    assert_eq!((ended.status, &ended.end), (503, &End::Closed));
    assert_eq!(server.unfinished(), 0);
}

#[test]
fn a_get_takes_the_upload_from_nobody() {
    let server = Server::default();
    let location = create(&server, 6);
    let mut writer = server.connect();
    writer.send(patch(&location, 0, 6).as_bytes());
    writer.send(b"hell");
    writer.run();
    let found = server.request(&request(&format!("GET {location}"), ""), b"");
    assert_eq!(found.field("upload-offset"), Some("0"), "nothing is durable yet");
    writer.send(b"o ");
    writer.run();
    assert_eq!(writer.exchanged(false).status, 204);
}

#[test]
fn an_upload_that_is_being_stored_for_long_is_locked() {
    let server = Server::default();
    let location = create(&server, 10);
    server.inbox().is_busy = true;
    let delete = request(&format!("DELETE {location}"), "");
    for head in [head(&location), patch(&location, 0, 10), delete] {
        let mut connection = server.connect();
        connection.send(head.as_bytes());
        connection.run();
        server.pass(9_999);
        connection.run();
        assert_eq!(connection.end, None, "{head}");
        server.pass(1);
        connection.run();
        let answer = connection.exchanged(head.starts_with("HEAD"));
        assert_eq!(answer.status, 423, "{head}");
        assert!(answer.field("retry-after").is_some());
        assert_eq!(answer.field("upload-offset"), None);
    }
    server.inbox().is_busy = false;
    assert_eq!(server.request(&head(&location), b"").status, 200);
}

#[test]
fn somebody_faster_is_told_where_the_upload_ends() {
    let server = Server::default();
    let location = create(&server, 10);
    server.inbox().is_busy = true;
    let mut slow = server.connect();
    slow.send(patch(&location, 0, 4).as_bytes());
    slow.send(b"hell");
    slow.run();
    server.inbox().is_busy = false;
    assert_eq!(server.request(&patch(&location, 0, 2), b"he").status, 204);
    slow.run();
    let answer = slow.exchanged(false);
    assert_eq!((answer.status, answer.field("upload-offset")), (409, Some("2")));
}

/// While the other commit goes on, the inbox would rather compare than receive, which nobody has asked for; after it,
/// there is nothing to be opened.
#[test]
fn who_meets_the_commit_of_another_request_hears_its_outcome() {
    for is_over in [false, true] {
        let server = Server::default();
        let location = create(&server, 8);
        server.request(&patch(&location, 0, 4), b"hell");
        let rest = b"o wo".to_vec();
        server.inbox().committed_meanwhile = Some(Meanwhile { rest, is_over });
        let answer = server.request(&patch(&location, 4, 4), b"o wo");
        let told = (answer.status, answer.field("upload-offset"));
        assert_eq!(told, (409, Some("8")), "{is_over} {answer:?}");
        let found = server.request(&head(&location), b"");
        assert_eq!((found.status, found.field("upload-offset")), (200, Some("8")));
    }
}

/// What came is kept by opening the upload again before its offset is told, and by then it may be stored.
#[test]
fn who_asks_while_another_request_commits_hears_of_all_of_it() {
    for is_over in [false, true] {
        let server = Server::default();
        let location = create(&server, 8);
        server.cut(&patch(&location, 0, 4), b"hell");
        server.inbox().kept.values_mut().next().unwrap().durable = 0;
        let rest = b"o wo".to_vec();
        server.inbox().committed_meanwhile = Some(Meanwhile { rest, is_over });
        let found = server.request(&head(&location), b"");
        let told = (found.status, found.field("upload-offset"));
        assert_eq!(told, (200, Some("8")), "{is_over} {found:?}");
    }
}
