//! Examples of RFC 9651, and what it says must fail.

use alloc::vec;

use super::*;

#[test]
fn booleans() {
    assert_eq!(boolean(b"?1"), Some(true));
    assert_eq!(boolean(b" ?0 "), Some(false));
    assert_eq!(boolean(b"?1;a=1; b;c=\"x\\\"y\";d=?0;e=tok/en:;f=1.5;g=:AQ==:"), Some(true));
    for bad in ["", "?", "?2", "?11", "1", "true", "?1, ?1", "?1,", "?1;A", "?1 x", "\t?1", "?1;="]
    {
        assert_eq!(boolean(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn integers() {
    assert_eq!(unsigned(b"0"), Some(0));
    assert_eq!(unsigned(b"42;q=9"), Some(42));
    assert_eq!(unsigned(b"-0"), Some(0));
    assert_eq!(unsigned(b"00042"), Some(42));
    assert_eq!(unsigned(b"999999999999999"), Some(INTEGER_MAX));
    for bad in
        ["", "-", "-1", "+1", "1.0", "1.", "1000000000000000", "1 2", "1,1", "0x1", "?1", "@1"]
    {
        assert_eq!(unsigned(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn dictionaries() {
    let members =
        dictionary(b"a=1 ,\tb;x=y, c=(1 \"2\" tok);q, d=:aGVsbG8=:,e=%\"f%c3%bc\", f=@7, a=-5");
    let expected = vec![
        ("a".to_owned(), Bare::Integer(-5)),
        ("b".to_owned(), Bare::Boolean(true)),
        ("c".to_owned(), Bare::Other),
        ("d".to_owned(), Bare::Bytes(b"hello".to_vec())),
        ("e".to_owned(), Bare::Other),
        ("f".to_owned(), Bare::Other),
    ];
    assert_eq!(members, Some(expected));
    assert_eq!(dictionary(b""), Some(vec![]));
    for bad in [
        "a=1,",
        "a=1,,b=2",
        ",",
        "A=1",
        "a=",
        "a= 1",
        "a=(1",
        "a=(1,2)",
        "a=:!:",
        "a=:aGV",
        "1=a",
        "a=1 b=2",
        "a=%\"%FF\"",
        "a=%\"%ff\"",
        "a=@1.5",
        "a=\"x",
        "a=\"\\n\"",
        "a=\x7f",
        "\u{fc}=1",
    ] {
        assert_eq!(dictionary(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn byte_sequences_may_lack_padding() {
    for text in [":aGVsbG8=:", ":aGVsbG8:"] {
        let field = format!("a={text}");
        let expected = vec![("a".to_owned(), Bare::Bytes(b"hello".to_vec()))];
        assert_eq!(dictionary(field.as_bytes()), Some(expected), "{text}");
    }
    for bad in [":aGVsbG8==:", ":aGVsb===:", ":aGV sbG8=:", ":aGVsbG8=a:", ":_-==:"] {
        let field = format!("a={bad}");
        assert_eq!(dictionary(field.as_bytes()), None, "{bad}");
    }
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(write_boolean(true), "?1");
    assert_eq!(write_unsigned(u64::MAX), "999999999999999");
    assert_eq!(write_integers([("max-size", 5), ("max-age", 3_600)]), "max-size=5, max-age=3600");
    let written = write_bytes([("sha-256", b"hello".as_slice()), ("md5", &[])]);
    assert_eq!(written, "sha-256=:aGVsbG8=:, md5=::");
    let read = dictionary(written.as_bytes()).map(|members| members.len());
    assert_eq!(read, Some(2));
}
