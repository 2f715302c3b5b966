//! What a receiver may ask of an upload beyond one offer, through the component's own interface: keys that the host
//! makes, questions, keeps, checked bodies, giving up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::{Connection, Setup, artifacts};

/// What the receiver says that goes through all of it, step by step.
const STEPS: &str = "\
key of 32
begun: None 0 0 None pairs 1 expires true
kept 5
settled: None 5 5 None pairs 1 expires true
the first has Some(RefusalCode::Locked)
missing from 5
checked Err(RefusalCode::DigestMismatch), missing from 5
checked Ok(()), missing from 11
stored kept 11
ended: Some(11) 11 11 Some(\"kept\") pairs 1 expires false
abandoned true false
the other has Some(RefusalCode::Cancelled)
unknown: none
too long: Some(RefusalCode::Malformed)
";

#[test]
fn a_receiver_resumes_an_upload_by_the_key_that_the_host_made() {
    let mut server = Setup::new([""; 0]).receiver(artifacts::hostile()).start();
    let mut connection = Connection::open(&server);
    connection.say("K");
    connection.say(blake3::hash(b" world").as_bytes());
    assert_eq!(String::from_utf8(connection.hear_all()).unwrap(), STEPS);
    assert_eq!(server.wait_stored(), "kept");
    assert_eq!(server.content("kept"), b"hello world");
    assert_eq!(server.stop(), Some(0));
}
