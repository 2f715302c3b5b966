//! A receiver in WebAssembly's own text that breaks what a compiler would keep to.

use crate::components;

/// The honest one: it says the next byte of the connection again.
const NEIGHBOUR: &str = "(call $blocking_read (global.get $in) (i64.const 1) (i32.const 64))
     (call $say (global.get $out) (i32.load (i32.const 68)) (i32.load (i32.const 72)) (i32.const 80))";

/// A receiver that misbehaves in the way whose number is the first byte of a connection: each is the body of a
/// function, which finds `$in` and `$out`, the streams of the connection, and the functions that are imported below.
/// The number behind the last is an honest one: it says the next byte of the connection again.
pub fn component(cases: &[&str]) -> Vec<u8> {
    let cases = &[cases, &[NEIGHBOUR]].concat();
    let functions: String = (0..)
        .zip(cases)
        .map(|(number, body)| {
            format!("(func $case{number} (result i32) (local $p i32) {body} (i32.const 0))\n")
        })
        .collect();
    let table: String = (0..cases.len()).map(|number| format!(" $case{number}")).collect();
    let module = format!(
        r#"(module
        (import "sandport:upload/log@0.2.0" "emit" (func $emit (param i32 i32 i32)))
        (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
        (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
        (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop_pollable (param i32)))
        (import "wasi:io/streams@0.2.0" "[method]input-stream.read"
          (func $read (param i32 i64 i32)))
        (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read"
          (func $blocking_read (param i32 i64 i32)))
        (import "wasi:io/streams@0.2.0" "[method]input-stream.subscribe"
          (func $subscribe (param i32) (result i32)))
        (import "wasi:io/streams@0.2.0" "[resource-drop]input-stream"
          (func $drop_input (param i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.subscribe"
          (func $subscribe_output (param i32) (result i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.write"
          (func $write (param i32 i32 i32 i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.write-zeroes"
          (func $write_zeroes (param i32 i64 i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.check-write"
          (func $check_write (param i32 i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.flush" (func $flush (param i32 i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.splice"
          (func $splice (param i32 i32 i64 i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
          (func $say (param i32 i32 i32 i32)))
        (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
        (memory $memory (export "memory") 100)
        (memory $second 1)
        (global $in (mut i32) (i32.const 0))
        (global $out (mut i32) (i32.const 0))
        (global $free (mut i32) (i32.const 65536))
        (global $realloc (mut i32) (i32.const 0))
        (global $post (mut i32) (i32.const 0))
        (table $cases funcref (elem{table}))
        (table $spare 10 funcref)
        (elem declare func $nothing)
        (func $nothing)
        (func $case_recursion (param i32)
          (call $case_recursion (i32.add (local.get 0) (i32.const 1))))
        (func $fill (param $handle i32) (param $count i32)
          (local $at i32)
          (local.set $at (i32.const 1048576))
          (loop $on
            (i32.store (local.get $at) (local.get $handle))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $count (i32.sub (local.get $count) (i32.const 1)))
            (br_if $on (local.get $count))))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
          (if (i32.eq (global.get $realloc) (i32.const 1)) (then unreachable))
          (if (i32.eq (global.get $realloc) (i32.const 2)) (then (return (i32.const 0xffffff00))))
          (if (i32.eq (global.get $realloc) (i32.const 3)) (then (return (i32.const 65537))))
          (if (i32.eq (global.get $realloc) (i32.const 4)) (then (loop $on (br $on))))
          (global.get $free)
          (global.set $free (i32.and
            (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8))))
        (func (export "sandport:upload/receiver@0.2.0#serve")
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
          (global.set $in (local.get 11))
          (global.set $out (local.get 12))
          (call $blocking_read (local.get 11) (i64.const 1) (i32.const 64))
          (call_indirect $cases (result i32) (i32.load8_u (i32.load (i32.const 68)))))
        (func (export "cabi_post_sandport:upload/receiver@0.2.0#serve") (param i32)
          (if (i32.eq (global.get $post) (i32.const 1)) (then unreachable))
          (if (i32.eq (global.get $post) (i32.const 2)) (then (loop $on (br $on)))))
        {functions})"#
    );
    let random = "package wasi:random@0.2.0;
        interface random { get-random-bytes: func(len: u64) -> list<u8>; }";
    let world = "package acme:tools; world made {
        import sandport:upload/log@0.2.0;
        import wasi:io/poll@0.2.0;
        import wasi:io/streams@0.2.0;
        import wasi:random/random@0.2.0;
        export sandport:upload/receiver@0.2.0;
    }";
    components::of_module(&[random, world], &module)
}
