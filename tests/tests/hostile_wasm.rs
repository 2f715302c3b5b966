//! Receivers that are written in WebAssembly's own text, and break what a compiler would keep to: the canonical
//! ABI, the rules of handles, and every limit. Each costs its own connection, and is told why.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use sandport_server::{ReceiverSource, SandboxLimits};
use sandport_tests::{Connection, Embedded, misbehaving};

/// What a guest may compute, and have the host compute. Short, so that loops are cut soon; what ends by itself
/// needs microseconds.
const BURST: Duration = Duration::from_millis(300);

/// A way to misbehave: its name, what the guest does, and a part of the reason for which it is cut.
type Case = (&'static str, &'static str, &'static str);

const HANDLES: &[Case] = &[
    ("a handle that was never given", "(call $block (i32.const 77))", "unknown handle index 77"),
    (
        "a handle after it was dropped",
        "(local.set $p (call $subscribe (global.get $in)))
         (call $drop_pollable (local.get $p))
         (call $block (local.get $p))",
        "unknown handle index",
    ),
    (
        "a handle that is dropped twice",
        "(local.set $p (call $subscribe (global.get $in)))
         (call $drop_pollable (local.get $p))
         (call $drop_pollable (local.get $p))",
        "unknown handle index",
    ),
    ("a handle of another type", "(call $block (global.get $in))", "wrong type"),
    (
        "a stream that is dropped before its pollable",
        "(drop (call $subscribe (global.get $in))) (call $drop_input (global.get $in))",
        "children",
    ),
    (
        "a poll of nothing",
        "(call $poll (i32.const 0) (i32.const 0) (i32.const 64))",
        "empty poll list",
    ),
    (
        "a poll of one pollable ten thousand times",
        "(call $fill (call $subscribe_output (global.get $out)) (i32.const 10000))
         (call $poll (i32.const 1048576) (i32.const 10000) (i32.const 64))",
        "handle limit exceeded",
    ),
    (
        "a poll of one pollable a hundred thousand times",
        "(call $fill (call $subscribe_output (global.get $out)) (i32.const 100000))
         (call $poll (i32.const 1048576) (i32.const 100000) (i32.const 64))",
        "handle limit exceeded",
    ),
    (
        "a poll of a million handles",
        "(call $fill (call $subscribe_output (global.get $out)) (i32.const 1000000))
         (call $poll (i32.const 1048576) (i32.const 1000000) (i32.const 64))",
        "fuel",
    ),
];

const POINTERS: &[Case] = &[
    (
        "text beyond the memory",
        "(call $emit (i32.const 1) (i32.const 0x7fff0000) (i32.const 10))",
        "out of bounds",
    ),
    (
        "text longer than the memory",
        "(call $emit (i32.const 1) (i32.const 1024) (i32.const 0xffffffff))",
        "out of bounds",
    ),
    (
        "text that is no UTF-8",
        "(i32.store (i32.const 1024) (i32.const 0xfffefdfc))
         (call $emit (i32.const 1) (i32.const 1024) (i32.const 4))",
        "utf-8",
    ),
    (
        "a case that an enum does not have",
        "(call $emit (i32.const 200) (i32.const 1024) (i32.const 0))",
        "discriminant",
    ),
    (
        "a place for a result beyond the memory",
        "(call $read (global.get $in) (i64.const 10) (i32.const 0xfffffff0))",
        "out of bounds",
    ),
    (
        "a place for a result between two words",
        "(call $read (global.get $in) (i64.const 10) (i32.const 65))",
        "aligned",
    ),
    ("an outcome beyond the memory", "(return (i32.const 0xfffffff0))", "out of bounds"),
    (
        "an outcome that is neither of two",
        "(i32.store (i32.const 64) (i32.const 9)) (return (i32.const 64))",
        "discriminant",
    ),
    (
        "a refusal with a code that does not exist",
        "(i32.store (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (i32.const 99))
         (return (i32.const 64))",
        "discriminant",
    ),
    (
        "a refusal of sixty megabytes",
        "(drop (memory.grow (i32.const 900)))
         (memory.fill (i32.const 1048576) (i32.const 120) (i32.const 60000000))
         (i32.store (i32.const 64) (i32.const 1))
         (i32.store8 (i32.const 72) (i32.const 1))
         (i32.store (i32.const 76) (i32.const 1048576))
         (i32.store (i32.const 80) (i32.const 60000000))
         (return (i32.const 64))",
        "fuel",
    ),
];

const LIES: &[Case] = &[
    (
        "a realloc that traps",
        "(global.set $realloc (i32.const 1)) (call $read (global.get $in) (i64.const 1) (i32.const 64))",
        "unreachable",
    ),
    (
        "a realloc that points beyond the memory",
        "(global.set $realloc (i32.const 2)) (call $read (global.get $in) (i64.const 1) (i32.const 64))",
        "beyond end of memory",
    ),
    (
        "a realloc that does not align",
        "(global.set $realloc (i32.const 3))
         (call $fill (call $subscribe_output (global.get $out)) (i32.const 1))
         (call $poll (i32.const 1048576) (i32.const 1) (i32.const 64))",
        "aligned",
    ),
    ("a clean-up that traps", "(global.set $post (i32.const 1))", "unreachable"),
];

const AMOUNTS: &[Case] = &[
    (
        "more zeroes than are permitted",
        "(call $write_zeroes (global.get $out) (i64.const 0x7fffffffffffffff) (i32.const 64))",
        "more zeroes than",
    ),
    (
        "a write that was not permitted",
        "(call $write (global.get $out) (i32.const 0) (i32.const 70000) (i32.const 64))",
        "more than check-write permitted",
    ),
    (
        "more random bytes than a call may ask for",
        "(call $random (i64.const 1048577) (i32.const 64))",
        "exceeds limit 1048576",
    ),
    (
        "a terabyte of random bytes",
        "(call $random (i64.const 0x10000000000) (i32.const 64))",
        "exceeds limit",
    ),
    (
        "a table that grows by a million",
        "(drop (table.grow $spare (ref.null func) (i32.const 1000000)))",
        "Table maximum size exceeded",
    ),
    (
        "two memories that are too large together",
        "(drop (memory.grow $memory (i32.const 500))) (drop (memory.grow $second (i32.const 500)))",
        "67108864 bytes of memory",
    ),
];

const LOOPS: &[Case] = &[
    (
        "a realloc without end",
        "(global.set $realloc (i32.const 4)) (call $read (global.get $in) (i64.const 1) (i32.const 64))",
        "compute budget",
    ),
    ("a clean-up without end", "(global.set $post (i32.const 2))", "compute budget"),
    (
        "filling memory without end",
        "(drop (memory.grow (i32.const 500)))
         (loop $on (memory.fill (i32.const 1048576) (i32.const 1) (i32.const 32000000)) (br $on))",
        "compute budget",
    ),
    (
        "copying memory without end",
        "(drop (memory.grow (i32.const 900)))
         (loop $on
           (memory.copy (i32.const 1048576) (i32.const 31048576) (i32.const 28000000)) (br $on))",
        "compute budget",
    ),
    (
        "filling a table without end",
        "(drop (table.grow $spare (ref.null func) (i32.const 90000)))
         (loop $on
           (table.fill $spare (i32.const 0) (ref.func $nothing) (i32.const 90000)) (br $on))",
        "receiver",
    ),
    (
        "random bytes without end",
        "(loop $on
           (global.set $free (i32.const 1048576))
           (call $random (i64.const 1048576) (i32.const 64)) (br $on))",
        "kept the host busy",
    ),
    (
        "polls of what is ready without end",
        "(call $fill (call $subscribe_output (global.get $out)) (i32.const 4000))
         (loop $on
           (global.set $free (i32.const 4194304))
           (call $poll (i32.const 1048576) (i32.const 4000) (i32.const 64)) (br $on))",
        "kept the host busy",
    ),
    (
        "log lines that nobody sees without end",
        "(loop $on (call $emit (i32.const 0) (i32.const 1048576) (i32.const 100000)) (br $on))",
        "kept the host busy",
    ),
];

/// Calls that do nothing, and what grows: the first are charged for all the same, by what guest or host does then.
const IDLE_LOOPS: &[Case] = &[
    (
        "splices of nothing without end",
        "(loop $on
           (call $splice (global.get $out) (global.get $in) (i64.const 0x7fffffffffffffff) (i32.const 64))
           (br $on))",
        "300 ms",
    ),
    (
        "reads of nothing without end",
        "(loop $on (call $read (global.get $in) (i64.const 0) (i32.const 64)) (br $on))",
        "300 ms",
    ),
    (
        "questions for room without end",
        "(loop $on (call $check_write (global.get $out) (i32.const 64)) (br $on))",
        "300 ms",
    ),
    (
        "flushes of nothing without end",
        "(loop $on (call $flush (global.get $out) (i32.const 64)) (br $on))",
        "300 ms",
    ),
    (
        "pollables that are made and dropped without end",
        "(loop $on (call $drop_pollable (call $subscribe (global.get $in))) (br $on))",
        "300 ms",
    ),
    (
        "functions that call each other without end",
        "(call $case_recursion (i32.const 0))",
        "call stack exhausted",
    ),
    (
        "a second memory that grows without end",
        "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow $second (i32.const 16)))))",
        "bytes of memory",
    ),
];

/// What a receiver may do: it is no reason to cut it.
const HARMLESS: &[Case] = &[
    (
        "a read of all that there could be",
        "(call $read (global.get $in) (i64.const 0x7fffffffffffffff) (i32.const 64))",
        "",
    ),
    (
        "a poll of one pollable four thousand times",
        "(call $fill (call $subscribe_output (global.get $out)) (i32.const 4000))
         (call $poll (i32.const 1048576) (i32.const 4000) (i32.const 64))",
        "",
    ),
    ("a megabyte of random bytes", "(call $random (i64.const 1048576) (i32.const 64))", ""),
];

/// Starts a server whose receiver has these cases.
#[track_caller]
fn server(cases: &[Case]) -> Embedded {
    let bodies: Vec<&str> = cases.iter().map(|(_, body, _)| *body).collect();
    let mut limits = SandboxLimits::default();
    limits.compute_burst = BURST;
    limits.host_burst = BURST;
    Embedded::start(ReceiverSource::Bytes(misbehaving::component(&bodies)), limits)
}

/// Has the receiver misbehave in one way.
fn misbehave(server: &Embedded, number: usize) -> Connection {
    let mut connection = Connection::to(server.address());
    connection.say([u8::try_from(number).unwrap()]);
    connection
}

/// Each case is cut for its reason, one after the other. A neighbour who came before is served after it.
#[track_caller]
fn expect_cut(cases: &[Case]) {
    let server = server(cases);
    for (number, (name, _, reason)) in cases.iter().enumerate() {
        let neighbour = misbehave(&server, cases.len());
        let mut connection = misbehave(&server, number);
        let told = server.wait_trapped(name);
        assert!(told.contains(reason), "{name}: {told}");
        assert_eq!(connection.hear_all(), b"", "{name}");
        expect_served(neighbour, name);
    }
    server.stop();
}

/// A neighbour goes on.
#[track_caller]
fn expect_served(mut neighbour: Connection, beside: &str) {
    neighbour.say("x");
    neighbour.finish();
    assert_eq!(neighbour.hear_all(), b"x", "beside {beside}");
}

#[test]
fn handles_that_a_guest_does_not_hold_are_traps() {
    expect_cut(HANDLES);
}

#[test]
fn pointers_and_values_that_make_no_sense_are_traps() {
    expect_cut(POINTERS);
}

#[test]
fn functions_of_the_abi_that_lie_or_trap_are_traps() {
    expect_cut(LIES);
}

#[test]
fn amounts_beyond_what_is_permitted_are_traps() {
    expect_cut(AMOUNTS);
}

#[test]
fn loops_are_cut_wherever_they_are_also_all_at_once() {
    expect_cut(LOOPS);
    let server = server(LOOPS);
    let neighbour = misbehave(&server, LOOPS.len());
    let connections: Vec<_> = (0..LOOPS.len()).map(|number| misbehave(&server, number)).collect();
    expect_served(neighbour, "all loops at once");
    for _ in &connections {
        server.wait_trapped("one of all loops");
    }
    server.stop();
}

#[test]
fn loops_of_calls_that_do_nothing_are_cut() {
    expect_cut(IDLE_LOOPS);
}

#[test]
fn unusual_calls_that_harm_nobody_are_served() {
    let server = server(HARMLESS);
    for number in 0..HARMLESS.len() {
        let mut connection = misbehave(&server, number);
        connection.finish();
        assert_eq!(connection.hear_all(), b"");
    }
    // The next one traps, and no other did: its reason is the first.
    let _connection = misbehave(&server, HARMLESS.len() + 1);
    let reason = server.wait_trapped("a case that does not exist");
    assert!(reason.contains("undefined element"), "{reason}");
    server.stop();
}
