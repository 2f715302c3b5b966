//! Digests of other algorithms than BLAKE3, as a receiver has them through the component's own interface.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sandport_tests::{Connection, Setup, artifacts};

/// What the receiver says that goes through all of it, step by step. The digests of `abc` are those of the documents
/// that define the algorithms.
const STEPS: &str = "\
6 algorithms
Algorithm::Blake3 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85
Algorithm::Sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
Algorithm::Sha512 ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f
Algorithm::Sha1 a9993e364706816aba3e25717850c26c9cd0d89d
Algorithm::Md5 900150983cd24fb0d6963f7d28e17f72
Algorithm::Crc32 352441c2
twice: Err(RefusalCode::Malformed)
short: Err(RefusalCode::Malformed)
wrong: Err(RefusalCode::DigestMismatch)
late: Algorithm::Blake3 Algorithm::Md5
again: Algorithm::Blake3
claimed: stored Algorithm::Blake3 Algorithm::Sha256
directory: Algorithm::Blake3
checked by another: Err(RefusalCode::UnsupportedVersion)
checked by right: Ok(())
checked: Algorithm::Blake3
";

#[test]
fn a_receiver_has_digests_of_all_kinds_computed_and_checked() {
    let mut server = Setup::new([""; 0]).receiver(artifacts::hostile()).start();
    let mut connection = Connection::open(&server);
    connection.say("S");
    assert_eq!(String::from_utf8(connection.hear_all()).unwrap(), STEPS);
    assert_eq!(server.wait_refused("digest-mismatch")["name"], "wrong");
    let stored = [(); 4].map(|()| server.wait_stored());
    assert_eq!(stored, ["stored", "late", "stored", "checked"]);
    // The one that came twice has no second name.
    let files = ["checked", "late", "stored"];
    assert!(files.iter().all(|name| server.content(name) == b"abc"));
    assert_eq!(server.published().len(), files.len() + 1);
    assert_eq!(server.stop(), Some(0));
}
