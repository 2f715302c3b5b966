//! What proxies say of requests, and of whom it is believed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http_answers;
mod http_end;

use http_end::HttpEnd;
use sandport_protocol::Limits;

/// A `PUT` that a proxy passes on to another name of this server.
fn put(is_trusted: bool, fields: &str) -> HttpEnd {
    let limits = Limits { hosts: vec!["files.example".into()], ..Limits::default() };
    let mut end = HttpEnd::with(limits);
    end.is_of_trusted_proxy = is_trusted;
    end.send(format!("PUT /a HTTP/1.1\r\nHost: inside:6542\r\nContent-Length: 1\r\n{fields}\r\nx"))
}

#[test]
fn a_trusted_proxy_says_where_the_client_is() {
    for fields in [
        "Forwarded: for=192.0.2.7\r\n",
        "X-Forwarded-For: 10.0.0.1, 192.0.2.7\r\n",
        "X-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer token\r\n",
    ] {
        assert_eq!(put(true, fields).wire.forwarded, ["192.0.2.7"], "{fields}");
    }
    for fields in ["", "Forwarded: for=unknown\r\n", "X-Forwarded-For: nobody\r\n"] {
        let end = put(true, fields);
        assert!(end.wire.forwarded.is_empty(), "{fields}");
        assert_eq!(end.answer().status, 201, "{fields}");
    }
}

#[test]
fn nobody_else_says_where_the_client_is() {
    for fields in ["Forwarded: for=192.0.2.7\r\n", "X-Forwarded-For: 192.0.2.7\r\n"] {
        let end = put(false, fields);
        assert!(end.wire.forwarded.is_empty(), "{fields}");
        assert_eq!(end.answer().status, 201, "{fields}");
    }
}

#[test]
fn a_page_behind_a_trusted_proxy_is_this_servers_own() {
    let origin = "Origin: https://files.example\r\n";
    for (is_trusted, proxy, expected) in [
        (true, "X-Forwarded-Host: files.example\r\nX-Forwarded-Proto: https\r\n", 201),
        (true, "Forwarded: host=files.example;proto=https\r\n", 201),
        // The proxy has it unencrypted: that is another origin.
        (true, "Forwarded: host=files.example;proto=http\r\n", 403),
        (true, "Forwarded: host=other.example;proto=https\r\n", 403),
        (true, "Forwarded: host=\"a, b\"\r\n", 400),
        (true, "", 403),
        (false, "X-Forwarded-Host: files.example\r\nX-Forwarded-Proto: https\r\n", 403),
    ] {
        let end = put(is_trusted, &format!("{origin}{proxy}"));
        assert_eq!(end.answer().status, expected, "{proxy}");
    }
}
