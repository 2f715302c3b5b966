//! A receiver whose start is not the same each time: what fails then costs its own connection.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use sandport_server::{ReceiverSource, SandboxLimits};
use sandport_tests::{Connection, Embedded, components};

/// What a guest may compute. Short, so that loops are cut soon.
const BURST: Duration = Duration::from_millis(300);

/// A receiver that says a byte again, and whose start traps for one connection in eight and never ends for another.
fn starting_at_times() -> Vec<u8> {
    let module = r#"(module
        (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
        (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read"
          (func $blocking_read (param i32 i64 i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
          (func $say (param i32 i32 i32 i32)))
        (memory (export "memory") 2)
        (func $start (local $chance i64)
          (local.set $chance (i64.and (call $random) (i64.const 7)))
          (if (i64.eqz (local.get $chance)) (then unreachable))
          (if (i64.eq (local.get $chance) (i64.const 1)) (then (loop $on (br $on)))))
        (start $start)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func (export "sandport:upload/receiver@0.2.0#serve")
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
          (call $blocking_read (local.get 11) (i64.const 1) (i32.const 64))
          (call $say (local.get 12) (i32.load (i32.const 68)) (i32.load (i32.const 72)) (i32.const 80))
          (i32.const 0)))"#;
    let random = "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }";
    let world = "package acme:tools; world made {
        import wasi:io/streams@0.2.0;
        import wasi:random/random@0.2.0;
        export sandport:upload/receiver@0.2.0;
    }";
    components::of_module(&[random, world], module)
}

/// How many connections are tried. That none of them meets a bad start, or all do, happens once in a billion runs.
const STARTS: usize = 72;

#[test]
fn a_start_that_traps_or_loops_costs_its_own_connection() {
    let mut limits = SandboxLimits::default();
    limits.compute_burst = BURST;
    let receiver = starting_at_times();
    // It may be found out when the server tries it: three times of four it is not.
    let start = || Embedded::try_start(ReceiverSource::Bytes(receiver.clone()), limits).ok();
    let server = (0..STARTS).find_map(|_| start()).expect("one of the starts to be well");
    let mut served = 0;
    for _ in 0..STARTS {
        let mut connection = Connection::to(server.address());
        connection.say("x");
        connection.finish();
        match connection.hear_all().as_slice() {
            b"x" => served += 1,
            other => {
                assert_eq!(other, b"");
                let told = server.wait_trapped("a bad start");
                assert!(told.contains("unreachable") || told.contains("compute budget"), "{told}");
            }
        }
    }
    assert!((1..STARTS).contains(&served), "{served} of {STARTS}");
    server.stop();
}
