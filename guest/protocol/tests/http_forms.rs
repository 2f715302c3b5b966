//! Forms with files, as browsers and `curl -F` send them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_end::{End, HttpEnd};
use sandport_protocol::{Limits, Refusal, RefusalCode};

const BOUNDARY: &str = "------------------------d74496d66958873e";

/// A part with these fields and this content.
fn part(fields: &str, content: &str) -> String {
    format!("--{BOUNDARY}\r\n{fields}\r\n\r\n{content}\r\n")
}

fn file(name: &str, content: &str) -> String {
    let disposition = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
    part(&format!("{disposition}\r\nContent-Type: text/plain"), content)
}

fn form(parts: &[String]) -> String {
    parts.concat() + &format!("--{BOUNDARY}--\r\n")
}

fn post(target: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{fields}\r\n{body}"
    )
}

fn send(parts: &[String]) -> HttpEnd {
    HttpEnd::default().send(post("/", "", &form(parts)))
}

#[test]
fn each_file_of_a_form_is_stored_and_has_its_line() {
    let end = send(&[file("a.txt", "hello"), file("dir/b", ""), file("c", "\r\n--x\r\n")]);
    let answer = end.answer();
    assert_eq!(answer.status, 201);
    let lines: Vec<_> = answer.body.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("stored: a.txt, 5 bytes, blake3:"));
    assert!(lines[1].starts_with("stored: dir/b, 0 bytes"));
    assert_eq!(end.file("c"), Some(b"\r\n--x\r\n".as_slice()));
    assert!(end.is_idle());
}

#[test]
fn a_form_of_a_directory_goes_below_it() {
    for target in ["/dir/sub", "/dir/sub/"] {
        let end = HttpEnd::default().send(post(target, "", &form(&[file("a", "x")])));
        assert_eq!(end.names(), ["dir/sub/a"]);
    }
}

#[test]
fn json_lists_the_files() {
    let body = form(&[file("a", "x"), file("b", "yy")]);
    let end = HttpEnd::default().send(post("/", "Accept: application/json\r\n", &body));
    let json = end.answer().json();
    assert_eq!(json["files"][0]["name"], "a");
    assert_eq!(json["files"][1]["size"], 2);
    assert_eq!(json["files"][1]["result"], "stored");
}

#[test]
fn what_is_stored_stays_where_a_later_part_is_refused() {
    for accept in ["", "Accept: application/json\r\n"] {
        let mut end = HttpEnd::default();
        let refusal = Refusal::new(RefusalCode::Exists, "it is taken");
        end.wire.inbox.refused.insert("b".into(), refusal);
        let body = form(&[file("a", "1"), file("b", "22"), file("c", "333")]);
        let end = end.send(post("/", accept, &body));
        let answer = end.answer();
        assert_eq!(answer.status, 409, "curl --fail fails");
        assert_eq!(end.names(), ["a", "c"]);
        assert!(end.is_idle(), "the form was read whole");
        if accept.is_empty() {
            let lines: Vec<_> = answer.body.lines().collect();
            assert!(lines[0].starts_with("stored: a,"));
            assert_eq!(lines[1], "b: refused: exists: it is taken");
            assert!(lines[2].starts_with("stored: c,"));
        } else {
            assert_eq!(answer.field("content-type"), Some("application/problem+json"));
            let json = answer.json();
            assert_eq!(json["code"], "exists");
            assert_eq!(json["files"][0]["result"], "stored");
            assert_eq!(json["files"][1]["result"], "refused");
            assert_eq!(json["files"][1]["name"], "b");
            assert_eq!(json["files"][1]["code"], "exists");
        }
    }
}

#[test]
fn a_form_that_breaks_keeps_what_was_stored_before() {
    let broken =
        file("a", "1") + &format!("--{BOUNDARY}\r\nno field\r\n\r\nx\r\n--{BOUNDARY}--\r\n");
    let cut =
        file("a", "1") + &format!("--{BOUNDARY}\r\n{}", &file("b", "2")[BOUNDARY.len() + 4..]);
    for (body, lines) in [(broken, 2), (cut, 3)] {
        let end = HttpEnd::default().send(post("/", "", &body));
        let answer = end.answer();
        assert_eq!(answer.status, 400);
        assert_eq!(end.names(), ["a"]);
        let told: Vec<_> = answer.body.lines().collect();
        assert!(told[0].starts_with("stored: a,"), "{told:?}");
        assert!(told.last().unwrap().starts_with("refused: malformed"), "{told:?}");
        assert_eq!(told.len(), lines, "{told:?}");
    }
}

#[test]
fn fields_without_files_are_passed_over() {
    let text = part("Content-Disposition: form-data; name=\"comment\"", "hi");
    let unchosen = file("", "");
    let end = send(&[text.clone(), file("a", "x"), unchosen.clone()]);
    assert_eq!(end.answer().status, 201);
    assert_eq!(end.names(), ["a"]);
    let none = send(&[text, unchosen]);
    assert_eq!(none.answer().status, 400);
    assert!(none.answer().body.contains("the form has no file"));
}

#[test]
fn names_of_files_follow_the_rules_for_names() {
    let mut end = HttpEnd::default();
    for name in ["../a", "/a", "a//b"] {
        end.wire.inbox.refused.insert(name.into(), RefusalCode::NameInvalid.into());
    }
    let parts = ["../a", "/a", "a//b", "C:\\a", "ok"].map(|name| file(name, "x"));
    let end = end.send(post("/", "", &form(&parts)));
    assert_eq!(end.answer().status, 400);
    assert_eq!(end.names(), ["ok"]);
    assert_eq!(end.answer().body.matches("refused: name-invalid").count(), 4);
}

#[test]
fn a_name_that_is_not_utf_8_is_refused_and_the_form_goes_on() {
    let body = form(&[file("NAME", "x"), file("b", "y")]);
    let request = post("/", "", &body).into_bytes();
    let at = request.windows(4).position(|window| window == b"NAME").unwrap();
    let mut request = request;
    request[at..at + 4].copy_from_slice(b"\xff\xfe\xff\xfe");
    let end = HttpEnd::default().send(request);
    assert_eq!(end.answer().status, 400);
    assert_eq!(end.names(), ["b"]);
}

#[test]
fn parts_that_are_no_fields_of_a_form_break_it() {
    for fields in [
        "Content-Type: text/plain",
        "Content-Disposition: attachment; filename=\"a\"",
        "Content-Disposition: form-data; filename=\"a\"\r\nContent-Disposition: form-data; filename=\"b\"",
        "Content-Disposition: form-data; filename=\"a\"; filename=\"b\"",
        "Content-Disposition: form-data; name=\"f\"\r\nContent-Type: multipart/mixed; boundary=x",
        "Content-Disposition : form-data; filename=\"a\"",
    ] {
        let end = send(&[part(fields, "x"), file("b", "y")]);
        assert_eq!(end.answer().status, 400, "{fields}");
        assert!(end.answer().closes(), "{fields}");
        assert!(end.names().is_empty(), "{fields}");
    }
}

#[test]
fn an_encoded_part_is_refused_by_itself() {
    let encoded =
        "Content-Disposition: form-data; filename=\"a\"\r\nContent-Transfer-Encoding: base64";
    let end = send(&[part(encoded, "eA=="), file("b", "y")]);
    assert_eq!(end.names(), ["b"]);
    assert_eq!(end.answer().status, 501);
}

#[test]
fn a_form_without_a_boundary_is_refused_before_its_body() {
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=a; boundary=b",
    ] {
        let end = HttpEnd::default().send(format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Type: {content_type}\r\n\r\nhello"
        ));
        assert_eq!(end.answer().status, 400, "{content_type}");
        assert!(end.answer().closes());
    }
}

#[test]
fn a_form_in_chunks_is_one_too() {
    let body = form(&[file("a", "hello")]);
    let (one, two) = body.split_at(body.len() - 30);
    let end = HttpEnd::default().send(format!(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; \
         boundary={BOUNDARY}\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len(),
    ));
    assert_eq!(end.file("a"), Some(b"hello".as_slice()));
    assert!(end.is_idle());
}

#[test]
fn form_files_commit_beside_the_next_one_as_many_as_are_granted() {
    let parts: Vec<_> = (0..20).map(|number| file(&format!("{number}"), "x")).collect();
    for granted in [1, 3, 100] {
        let limits = Limits { max_uploads_ahead: granted, ..Limits::default() };
        let mut end = HttpEnd::with(limits);
        end.wire.inbox.slowness = 2;
        let end = end.send(post("/", "", &form(&parts)));
        assert_eq!(end.answer().status, 201);
        assert_eq!(end.names().len(), 20);
        assert!(end.wire.inbox.most_at_once <= granted as usize);
    }
}

#[test]
fn a_file_that_fails_is_refused_and_the_next_one_comes() {
    let mut end = HttpEnd::default();
    end.wire.inbox.fault_at = Some(10);
    let parts = [file("a", "x"), file("b", &"x".repeat(100)), file("c", "y")];
    let request = post("/", "", &form(&parts)).into_bytes();
    let end = end.send_pieces(request.chunks(50).map(<[u8]>::to_vec));
    assert_eq!(end.answer().status, 507);
    assert_eq!(end.names(), ["a", "c"]);
    assert!(end.is_idle());
}

#[test]
fn a_form_file_whose_body_cannot_begin_is_refused() {
    let mut end = HttpEnd::default();
    end.wire.inbox.no_body = true;
    let end = end.send(post("/", "", &form(&[file("a", "x"), file("b", "y")])));
    assert_eq!(end.answer().status, 500);
    assert_eq!(end.answer().body.matches("refused: io").count(), 2);
    assert_eq!(end.wire.inbox.discarded.len(), 2);
    assert!(end.is_idle());
}

#[test]
fn a_file_over_the_limit_is_refused_and_the_next_one_comes() {
    let limits = Limits { max_file_size: Some(10), ..Limits::default() };
    let parts = [file("a", &"x".repeat(100)), file("b", "y")];
    let end = HttpEnd::with(limits).send(post("/", "", &form(&parts)));
    assert_eq!(end.answer().status, 413);
    assert_eq!(end.names(), ["b"]);
}

#[test]
fn a_form_with_too_many_parts_is_ended() {
    let parts: Vec<_> = (0..4_097).map(|number| file(&format!("{number}"), "")).collect();
    let end = HttpEnd::default().send(post("/", "", &form(&parts)));
    assert_eq!(end.answer().status, 429);
    assert_eq!(end.names().len(), 4_096);
    assert!(matches!(end.end, Some(End::Closed(Err(_)))));
}

#[test]
fn a_cut_form_keeps_what_was_stored_and_nothing_else() {
    let request = post("/", "", &form(&[file("a", "1"), file("b", "2")]));
    let at = request.find("filename=\"b\"").unwrap();
    let end = HttpEnd::default().send_and_end(&request[..at + 40]);
    assert_eq!(end.code(), Some(RefusalCode::Cancelled));
    assert_eq!(end.names(), ["a"]);
}

/// A form of which the second file does not come whole.
fn without_its_end(fields: &str) -> String {
    let request = post("/", fields, &form(&[file("a", "1"), file("b", "2")]));
    let at = request.find("filename=\"b\"").unwrap();
    request[..at + 43].to_owned()
}

#[test]
fn the_answer_to_a_cut_form_waits_for_the_files_that_came_whole() {
    for ends in [false, true] {
        let mut end = HttpEnd::default();
        end.wire.inbox.commits_end_at = 70_000;
        let end = match ends {
            true => end.send_and_end(without_its_end("")),
            false => end.send(without_its_end("")),
        };
        let answer = end.answer();
        // The end of the client's side is noticed a minute before its silence would be: too early for the commit.
        assert_eq!(answer.status, if ends { 400 } else { 408 });
        let told: Vec<_> = answer.body.lines().collect();
        let (a, b) = match ends {
            true => ("a: pending: ", "b: refused: cancelled"),
            false => ("stored: a, 1 byte, ", "b: refused: timeout"),
        };
        assert!(told[0].starts_with(a) && told[1].starts_with(b), "{told:?}");
        assert_eq!(end.names(), ["a"]);
    }
}

#[test]
fn a_file_that_is_undecided_when_a_form_is_cut_is_pending() {
    let mut end = HttpEnd::default();
    end.wire.inbox.commits_end_at = u64::MAX;
    let end = end.send(without_its_end("Accept: application/json\r\n"));
    let answer = end.answer();
    assert_eq!(answer.status, 408);
    let json = answer.json();
    assert_eq!(json["code"], "timeout");
    assert_eq!(json["files"][0], serde_json::json!({ "result": "pending", "name": "a" }));
    assert_eq!(json["files"][1]["result"], "refused");
    assert_eq!(json["files"][1]["code"], "timeout");
    assert_eq!(end.code(), Some(RefusalCode::Timeout));
}

#[test]
fn a_name_twice_in_a_form_is_two_files_by_the_conflict_rule() {
    let mut end = HttpEnd::default();
    end.wire.inbox.renames = Some("-1".into());
    let end = end.send(post("/", "", &form(&[file("a", "1"), file("a", "22")])));
    let answer = end.answer();
    assert_eq!(answer.status, 201);
    let told: Vec<_> = answer.body.lines().collect();
    assert!(told[0].starts_with("stored: a, 1 byte, "), "{told:?}");
    assert!(told[1].starts_with("stored: a-1 (offered as a), 2 bytes, "), "{told:?}");
    assert_eq!(told.len(), 2);
    assert_eq!((end.file("a"), end.file("a-1")), (Some(&b"1"[..]), Some(&b"22"[..])));
}

#[test]
fn a_part_with_a_huge_head_ends_the_form_and_keeps_the_stored() {
    let fields = |count: usize| {
        let more: String = (0..count).map(|number| format!("\r\nX-{number}: y")).collect();
        format!("Content-Disposition: form-data; filename=\"b\"{more}")
    };
    let long = format!("{}\r\nX: {}", fields(0), "y".repeat(20_000));
    for head in [long, fields(2_000), format!("X: {}", "y".repeat(200_000))] {
        let end = send(&[file("a", "1"), part(&head, "2"), file("c", "3")]);
        let answer = end.answer();
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.closes());
        assert_eq!(end.names(), ["a"]);
        assert!(answer.body.starts_with("stored: a, "), "{}", answer.body);
    }
}

#[test]
fn names_that_are_together_too_long_end_a_form() {
    // Each is as long as a name may be and its head takes.
    let parts: Vec<_> = (0..200).map(|number| file(&format!("{number:0>1900}"), "x")).collect();
    let end = send(&parts);
    let answer = end.answer();
    assert_eq!(answer.status, 429);
    assert!(answer.closes());
    let stored = end.names().len();
    assert_eq!(stored, 256 * 1024 / 1_900, "what came before stays");
    assert!(answer.body.lines().last().unwrap().starts_with("refused: too-many: the names"));
}

#[test]
fn a_name_that_is_too_long_is_offered_cut_and_not_told_whole() {
    let mut end = HttpEnd::default();
    let parts = [file(&"n".repeat(3_500), "x"), file("b", "y")];
    end.wire.inbox.refused.insert("n".repeat(2_042), RefusalCode::NameInvalid.into());
    let end = end.send(post("/", "", &form(&parts)));
    assert_eq!(end.answer().status, 400);
    assert_eq!(end.names(), ["b"]);
    assert!(end.answer().body.len() < 3_000);
}

#[test]
fn a_browser_waits_for_its_form_to_be_told_to_continue() {
    let body = form(&[file("a", "x")]);
    let head = post("/", "Expect: 100-continue\r\n", &body);
    let head = &head[..head.len() - body.len()];
    let end = HttpEnd::default().send_expecting(head, body.as_bytes());
    let statuses: Vec<_> = end.answers().iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [100, 201]);
}

/// What only begins as the boundary does may be the file's own, or damage: nobody can tell that the file is whole.
#[test]
fn a_file_is_not_stored_before_its_boundary_is_known_to_be_one() {
    let content = format!("abc\r\n--{BOUNDARY}yz rest");
    let end = send(&[file("a", &content), file("b", "x")]);
    assert_eq!(end.answer().status, 400);
    assert!(end.names().is_empty(), "{:?}", end.names());
}
