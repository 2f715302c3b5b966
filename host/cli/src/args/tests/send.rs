//! The arguments of `sandport send`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use sandport_client::{Connections, Destination};

use super::parse;
use crate::args::{Command, SendArgs};

fn send(line: &str) -> SendArgs {
    match parse(line).unwrap().command {
        Some(Command::Send(args)) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn connections_are_a_number_or_as_many_as_pay() {
    let connections =
        |arguments: &str| send(&format!("sandport send a host{arguments}")).connections;
    assert_eq!(connections(""), Connections::Auto);
    assert_eq!(connections(" -j auto"), Connections::Auto);
    assert!(matches!(connections(" -j 64"), Connections::Exactly(number) if number.get() == 64));
    for wrong in ["-j 0", "-j 65", "-j many"] {
        let error = parse(&format!("sandport send a host {wrong}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}: {error}");
    }
}

#[test]
fn the_last_argument_of_send_is_where_to() {
    let args = send("sandport send a b/ - files.example:99 -q");
    assert_eq!(args.operands.paths, ["a", "b/", "-"].map(PathBuf::from));
    assert_eq!(args.operands.to, "files.example:99".parse().unwrap());
    let web = send("sandport send a http://files.example/in/");
    assert!(matches!(web.operands.to, Destination::Http(_)), "{web:?}");
    let link = format!("sandport://files.example#{}", "0f".repeat(32));
    let pinned = send(&format!("sandport send a {link}"));
    assert!(matches!(pinned.operands.to, Destination::Pinned(..)), "{pinned:?}");
    let error = parse(&format!("sandport send a {link}0")).unwrap_err();
    assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
    assert_eq!(error.kind(), ErrorKind::ValueValidation);
    let between = send("sandport send a --classic files.example:99");
    assert!(between.classic);
    assert_eq!(between.operands.to, "files.example:99".parse().unwrap());
    let error = parse("sandport send a").unwrap_err();
    assert!(error.to_string().contains("sandport send FILE a"), "{error}");
    assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    let error = parse("sandport send a :6542").unwrap_err();
    assert!(error.to_string().contains("names no host"), "{error}");
}
