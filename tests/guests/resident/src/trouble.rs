//! Each way to misbehave.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Lines of a flood.
const FLOOD_LINES: u32 = 30_000;

/// Computing for each 64 KiB that arrive.
const WORK: Duration = Duration::from_millis(30);

pub(crate) fn unreachable() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

/// Computes without a call to the host.
pub(crate) fn compute_forever() {
    let mut number = 1_u64;
    loop {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Calls the host, to no purpose.
pub(crate) fn call_forever() {
    loop {
        black_box(Instant::now());
    }
}

/// Takes memory, and touches it.
pub(crate) fn grow_forever() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Holds more and more of what the host has to keep for it.
pub(crate) fn hoard_resources(inbox: &str) {
    let mut hoard = Vec::new();
    while let Ok(file) = File::open(inbox) {
        hoard.push(file);
    }
    unreachable();
}

/// Writes far more than anyone will read, some of it with tricks for a terminal.
pub(crate) fn flood() {
    for line in 0..FLOOD_LINES {
        println!("flood {line} \u{1b}[31mred\u{202e}");
        eprintln!("flood {line} \u{1b}[31mred\u{202e}");
        println!("{{\"type\":\"stored\",\"name\":\"flood\u{202e}\",\"size\":1}}");
    }
    println!("{}", "x".repeat(1 << 20));
    eprint!("{}", "y".repeat(1 << 20));
    println!("{{\"type\":\"stored\",\"name\":\"{}\",\"size\":1}}", "z".repeat(1 << 20));
}

/// Computes more for what arrives than fits into a burst, and says when it is through.
pub(crate) fn work_for_each_byte(stream: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    while let Ok(count) = stream.read(&mut buffer[filled..]) {
        if count == 0 {
            break;
        }
        filled += count;
        if filled == buffer.len() {
            filled = 0;
            let since = Instant::now();
            let mut number = 1_u64;
            while since.elapsed() < WORK {
                for _ in 0..10_000 {
                    number = black_box(number.wrapping_mul(6_364_136_223_846_793_005));
                }
            }
        }
    }
    let _ = stream.write_all(b"done\n");
}
