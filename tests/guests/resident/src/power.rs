//! Looks for any power beyond what a resident component is given.

// `symlink` is in no stable part of std for WASI.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

unsafe extern "C" {
    fn symlink(target: *const c_char, link: *const c_char) -> c_int;
}

/// What it can do with sockets, one `what: found` on each line. The question is the address where the
/// component was granted to listen, and that of a server that anyone on this machine could connect to.
pub(crate) fn over_the_network(question: &str) -> String {
    let (own, other) = question.split_once(' ').unwrap_or_default();
    let port = own.rsplit_once(':').map_or("", |(_, port)| port);
    let every = format!("0.0.0.0:{port}");
    let neighbour = format!("127.0.0.2:{port}");
    report([
        ("listen on a port of the system's choice", outcome(TcpListener::bind("127.0.0.1:0"))),
        ("listen on another port", outcome(TcpListener::bind("127.0.0.1:9"))),
        ("listen on the port of every network", outcome(TcpListener::bind(every))),
        ("listen on the port of another address", outcome(TcpListener::bind(neighbour))),
        ("listen on IPv6", outcome(TcpListener::bind("[::1]:0"))),
        ("connect to a server", outcome(TcpStream::connect(other))),
        ("connect to itself", outcome(TcpStream::connect(own))),
        ("datagrams", outcome(UdpSocket::bind("127.0.0.1:0"))),
        ("datagrams to a server", outcome(send_datagram(other))),
        ("look a name up", outcome("localhost:1".to_socket_addrs())),
        ("connect by name", outcome(TcpStream::connect("localhost:1"))),
    ])
}

/// What it can do with files. The test has put links that lead out into the inbox: `link-to-file` and
/// `link-to-directory`.
pub(crate) fn over_files(inbox: &str) -> String {
    let at = |path: &str| format!("{inbox}/{path}");
    let _ = fs::write(at("own"), "own");
    report([
        ("read its inbox", outcome(fs::read_dir(inbox))),
        ("read back its file", outcome(fs::read(at("own")))),
        ("environment", std::env::vars().count().to_string()),
        ("standard input", outcome(read_stdin())),
        ("directory /", outcome(fs::read_dir("/"))),
        ("directory .", outcome(fs::read_dir("."))),
        ("directory ..", outcome(fs::read_dir(at("..")))),
        ("file outside", outcome(fs::read(at("../secret")))),
        ("file outside by a detour", outcome(fs::read(at(".sandport/../../secret")))),
        ("file /etc/passwd", outcome(fs::read("/etc/passwd"))),
        ("new file outside", outcome(fs::write(at("../escaped"), "x"))),
        ("new file in /tmp", outcome(fs::write("/tmp/escaped", "x"))),
        ("read by a link", outcome(fs::read(at("link-to-file")))),
        ("write by a link", outcome(fs::write(at("link-to-file"), "x"))),
        ("directory by a link", outcome(fs::read_dir(at("link-to-directory")))),
        ("read in a directory by a link", outcome(fs::read(at("link-to-directory/secret")))),
        (
            "write in a directory by a link",
            outcome(fs::write(at("link-to-directory/escaped"), "x")),
        ),
        ("make a link to a file of the system", link(c"/etc/passwd", inbox, "own-link")),
        ("read by a link of its own", read_by_own_link(inbox)),
        ("move a file out", outcome(fs::rename(at("own"), at("../escaped")))),
        ("link a file out", outcome(fs::hard_link(at("own"), at("../escaped")))),
        ("link a file in", outcome(fs::hard_link(at("../secret"), at("secret")))),
        ("move a file in", outcome(fs::rename(at("../secret"), at("secret")))),
        ("remove a file outside", outcome(fs::remove_file(at("../secret")))),
    ])
}

fn send_datagram(to: &str) -> std::io::Result<usize> {
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", to)
}

fn read_stdin() -> std::io::Result<String> {
    let text = std::io::read_to_string(std::io::stdin())?;
    if text.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(text) }
}

/// A relative link may be made; following it must fail.
fn read_by_own_link(inbox: &str) -> String {
    let _ = link(c"../secret", inbox, "own-relative-link");
    outcome(fs::read(format!("{inbox}/own-relative-link")))
}

fn link(target: &CStr, inbox: &str, name: &str) -> String {
    let Ok(path) = std::ffi::CString::new(format!("{inbox}/{name}")) else {
        return String::from("nothing");
    };
    // SAFETY: both are C strings that outlive the call.
    let made = unsafe { symlink(target.as_ptr(), path.as_ptr()) } == 0;
    String::from(if made { "possible" } else { "nothing" })
}

fn report<const N: usize>(findings: [(&str, String); N]) -> String {
    findings.iter().map(|(what, found)| format!("{what}: {found}\n")).collect()
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => String::from("possible"),
        Err(_) => String::from("nothing"),
    }
}
