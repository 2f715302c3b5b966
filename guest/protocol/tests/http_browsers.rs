//! What a page in a browser can have a person's browser do here, and what identities show.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_end::{HttpEnd, TOKEN};
use sandport_protocol::{Credential, Limits};

fn put(host: &str, fields: &str) -> HttpEnd {
    put_with(Limits { hosts: vec!["nas.lan".into()], ..Limits::default() }, host, fields)
}

fn put_with(limits: Limits, host: &str, fields: &str) -> HttpEnd {
    let request = format!("PUT /a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n{fields}\r\nx");
    HttpEnd::with(limits).send(request)
}

fn status(host: &str, fields: &str) -> u16 {
    let end = put(host, fields);
    let status = end.answer().status;
    assert_eq!(status == 201, !end.names().is_empty());
    assert_eq!(
        status != 201,
        end.wire.inbox.offers.is_empty(),
        "refused before the inbox is asked"
    );
    status
}

#[test]
fn what_is_no_browser_may_call_the_server_as_it_likes() {
    for host in ["h", "anything.example:6542", "127.0.0.1", "[::1]:6542"] {
        assert_eq!(status(host, ""), 201, "{host}");
    }
}

#[test]
fn a_page_of_this_server_may_upload_and_no_other() {
    for (host, origin, expected) in [
        ("127.0.0.1:6542", "http://127.0.0.1:6542", 201),
        ("[::1]:6542", "http://[::1]:6542", 201),
        ("localhost:6542", "http://localhost:6542", 201),
        ("a.localhost", "http://a.localhost", 201),
        ("NAS.lan", "http://nas.LAN", 201),
        ("nas.lan", "http://nas.lan:80", 201),
        ("nas.lan:443", "https://nas.lan", 201),
        ("nas.lan", "https://nas.lan", 201),
        ("nas.lan:6542", "http://nas.lan", 403),
        ("nas.lan", "http://nas.lan:443", 403),
        ("nas.lan", "http://evil.example", 403),
        ("nas.lan", "http://nas.lan.evil.example", 403),
        ("nas.lan", "null", 403),
        ("nas.lan", "", 403),
        ("nas.lan", "file://nas.lan", 403),
        ("nas.lan", "chrome-extension://nas.lan", 403),
        ("nas.lan", "http://nas.lan, http://evil.example", 403),
    ] {
        assert_eq!(status(host, &format!("Origin: {origin}\r\n")), expected, "{origin} to {host}");
    }
    assert_eq!(status("nas.lan", "Origin: http://nas.lan\r\nOrigin: http://evil.example\r\n"), 403);
}

#[test]
fn a_name_that_a_stranger_made_lead_here_is_not_this_servers() {
    for host in
        ["evil.example", "evil.example:6542", "127.0.0.1.evil.example", "localhost.evil.example"]
    {
        assert_eq!(status(host, &format!("Origin: http://{host}\r\n")), 421, "{host}");
    }
}

#[test]
fn what_a_browser_says_of_another_site_counts_without_an_origin() {
    for (site, expected) in
        [("cross-site", 403), ("same-site", 403), ("same-origin", 201), ("none", 201)]
    {
        assert_eq!(status("nas.lan", &format!("Sec-Fetch-Site: {site}\r\n")), expected, "{site}");
    }
    let link = HttpEnd::default()
        .send("GET / HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\r\n");
    assert_eq!(link.answer().status, 200);
}

#[test]
fn origins_that_the_operator_names_may_upload_and_read_answers() {
    let limits = |origin: &str| Limits { http_origins: vec![origin.into()], ..Limits::default() };
    let origin = "https://app.example";
    for (allowed, may) in [(origin, true), ("*", true), ("https://other.example", false)] {
        let end = put_with(limits(allowed), "up.example", &format!("Origin: {origin}\r\n"));
        let answer = end.answer();
        assert_eq!(answer.status, if may { 201 } else { 403 }, "{allowed}");
        assert_eq!(answer.field("access-control-allow-origin"), may.then_some(origin));
        assert_eq!(answer.field("access-control-allow-credentials"), None);
        if may {
            let exposed = answer.field("access-control-expose-headers").unwrap();
            for name in
                ["Location", "Upload-Offset", "Tus-Resumable", "Upload-Complete", "Repr-Digest"]
            {
                assert!(exposed.contains(name), "{name}");
            }
            assert_eq!(answer.field("vary"), Some("Origin"));
        }
    }
    let fields = format!("Origin: {origin}\r\nAuthorization: Bearer wrong\r\n");
    let unknown = put_with(limits(origin), "up.example", &fields).answer();
    assert_eq!(unknown.status, 401);
    assert_eq!(unknown.field("access-control-allow-origin"), Some(origin));
    let null = put_with(limits("*"), "up.example", "Origin: null\r\n");
    assert_eq!(null.answer().status, 403);
}

#[test]
fn a_preflight_is_answered_for_those_who_may() {
    let preflight = |allowed: &str| {
        let limits = Limits { http_origins: vec![allowed.into()], ..Limits::default() };
        HttpEnd::with(limits).send(
            "OPTIONS /files/ HTTP/1.1\r\nHost: up.example\r\nOrigin: https://app.example\r\n\
             Access-Control-Request-Method: PATCH\r\n\
             Access-Control-Request-Headers: tus-resumable, authorization\r\n\
             Access-Control-Request-Private-Network: true\r\nAuthorization: Basic x\r\n\r\n",
        )
    };
    let answer = preflight("https://app.example").answer();
    assert_eq!(answer.status, 204);
    assert_eq!(answer.field("access-control-allow-origin"), Some("https://app.example"));
    for (field, member) in [
        ("access-control-allow-methods", "PATCH"),
        ("access-control-allow-methods", "DELETE"),
        ("access-control-allow-headers", "Tus-Resumable"),
        ("access-control-allow-headers", "Authorization"),
        ("access-control-allow-headers", "Upload-Draft-Interop-Version"),
        ("access-control-allow-private-network", "true"),
    ] {
        assert!(answer.field(field).unwrap().contains(member), "{member}");
    }
    let refused = preflight("https://other.example").answer();
    assert_eq!(refused.status, 403);
    assert_eq!(refused.field("access-control-allow-origin"), None);
    assert_eq!(refused.field("access-control-allow-methods"), None);
}

#[test]
fn a_token_is_shown_as_bearer_or_as_the_password_of_basic() {
    use base64ct::Encoding as _;
    let basic = |pair: &str| base64ct::Base64::encode_string(pair.as_bytes());
    for value in [
        format!("Bearer {TOKEN}"),
        format!("bearer   {TOKEN}"),
        format!("Basic {}", basic(&format!("anyone:{TOKEN}"))),
        format!("BASIC {}", basic(&format!(":{TOKEN}"))),
    ] {
        let mut end = HttpEnd::default();
        end.wire.inbox.wants_identity = true;
        let request = format!(
            "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nAuthorization: {value}\r\n\r\nx"
        );
        let end =
            end.send(&request).send("PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(end.wire.credentials, [Credential::Bearer(TOKEN.into())], "{value}");
        let statuses: Vec<_> = end.answers().iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [201, 401], "it ends with its request");
    }
}

#[test]
fn who_has_no_identity_is_asked_for_one_and_who_has_one_is_not() {
    let ask = |fields: &str| {
        let mut end = HttpEnd::default();
        end.wire.inbox.wants_identity = true;
        end.send(format!(
            "PUT /a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n{fields}\r\nx"
        ))
    };
    let challenge = |fields: &str| {
        let answer = ask(fields).answer();
        assert_eq!(answer.status, 401, "{fields}");
        answer.field("www-authenticate").unwrap().to_owned()
    };
    assert!(challenge("").contains("Basic realm="));
    assert!(challenge("").contains("Bearer realm="));
    for fields in ["Origin: http://127.0.0.1\r\n", "Sec-Fetch-Site: same-origin\r\n"] {
        let challenge = challenge(fields);
        assert!(challenge.contains("Bearer") && !challenge.contains("Basic"), "{challenge}");
    }
    for wrong in ["Bearer wrong", "Bearer", "Basic !", "Basic dXNlcg==", "Digest x=y", "x"] {
        let end = ask(&format!("Authorization: {wrong}\r\n"));
        assert_eq!(end.answer().status, 401, "{wrong}");
        assert!(end.wire.inbox.offers.is_empty());
    }
    let twice = format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&twice).answer().status, 400);
}

#[test]
fn who_has_an_identity_that_may_not_is_refused_and_not_asked() {
    let mut end = HttpEnd::default();
    end.wire.inbox.refused.insert("a".into(), sandport_protocol::RefusalCode::NotPermitted.into());
    let end = end.send(format!(
        "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nAuthorization: Bearer {TOKEN}\r\n\r\nx"
    ));
    assert_eq!(end.answer().status, 403);
    assert_eq!(end.answer().field("www-authenticate"), None);
}

#[test]
fn a_name_is_never_markup() {
    let end = HttpEnd::default().send(
        "PUT /%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
    );
    let answer = end.answer();
    assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    let control = HttpEnd::default()
        .send("PUT /a%0D%0ASet-Cookie:%20x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    assert!(control.answer().body.starts_with("stored: a\\r\\nSet-Cookie"));
    assert_eq!(control.answer().field("set-cookie"), None);
}
