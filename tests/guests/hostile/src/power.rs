//! Looks for any power that a receiver was not handed, through the interfaces of WASI that std imports.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};

use crate::bindings::exports::sandport::upload::receiver::{InputStream, OutputStream};
use crate::bindings::sandport::upload::log;

/// Reports what it finds, one `what: found` on each line, on the connection and in the log. The rest of
/// the first line is the address of a server that anyone on this machine could connect to.
pub(crate) fn report(input: &InputStream, output: &OutputStream) {
    let address = input.blocking_read(256).unwrap_or_default();
    let address = String::from_utf8_lossy(&address).trim().to_owned();
    // Lines for the log, if the operator wants to see them.
    println!("a line on standard output");
    eprintln!("a line on standard error");

    let findings = [
        ("environment", std::env::vars().count().to_string()),
        ("arguments", std::env::args().count().to_string()),
        ("directory /", outcome(fs::read_dir("/"))),
        ("directory .", outcome(fs::read_dir("."))),
        ("file /etc/passwd", outcome(fs::read("/etc/passwd"))),
        ("new file", outcome(fs::write("escaped", b"x"))),
        ("new file in /tmp", outcome(fs::write("/tmp/escaped", b"x"))),
        ("connect", outcome(TcpStream::connect(&address))),
        ("listen", outcome(TcpListener::bind("127.0.0.1:0"))),
        (
            "datagrams",
            outcome(
                UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", &address)),
            ),
        ),
        ("resolve", outcome(TcpStream::connect("localhost:1"))),
        (
            "standard input",
            outcome(std::io::read_to_string(std::io::stdin()).and_then(|text| {
                if text.is_empty() {
                    Err(std::io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(text)
                }
            })),
        ),
    ];
    let mut text = String::new();
    for (what, found) in findings {
        text.push_str(&format!("{what}: {found}\n"));
    }
    log::emit(log::Level::Error, &text);
    let _ = output.blocking_write_and_flush(text.as_bytes());
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => String::from("possible"),
        Err(_) => String::from("nothing"),
    }
}
