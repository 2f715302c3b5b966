//! What a receiver writes to its standard streams before its end.

use std::io::Write;

use crate::trouble;

/// Lines of a burst: more than an operator reads.
const BURST_LINES: u32 = 1_000;

/// Writes without an end, and without the end of a line.
pub(crate) fn write_forever() {
    loop {
        print!("more and more ");
        // std keeps what is no whole line.
        let _ = std::io::stdout().flush();
    }
}

/// Writes what is no text, tricks for a terminal and a line that does not end, and traps.
pub(crate) fn write_tricks() {
    let mut stderr = std::io::stderr();
    let _ = stderr.write_all(b"\x1b[2Jerror[forged]: \xff\xfe\x80 is no text\r\n");
    let _ = stderr.write_all("gpj\u{202e}exe\u{200b}\n".as_bytes());
    let _ = stderr.write_all(b"this line has no end");
    trouble::unreachable();
}

/// Writes far more lines than anyone will read, and the one that matters last.
pub(crate) fn write_burst() {
    for line in 0..BURST_LINES {
        println!("burst {line}");
    }
    eprintln!("the reason for all this");
    trouble::unreachable();
}
