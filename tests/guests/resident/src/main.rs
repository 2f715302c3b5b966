//! A resident component that misbehaves. `--classic-name` names what it does at its start, and the first
//! byte of a connection what it does then. A connection that begins with `P` is served honestly:
//! `PUT name`, a line end, the content, the end of the connection.

mod power;
mod trouble;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The arguments, as far as it cares for them.
struct Told {
    listen: Vec<SocketAddr>,
    inbox: String,
    behaviour: String,
    all: String,
}

fn main() {
    let told = told();
    match told.behaviour.as_str() {
        "panic" => panic!("a panic \u{1b}[31mon purpose"),
        "exit" => std::process::exit(1),
        "return" => return,
        "deaf" => loop {
            std::thread::sleep(Duration::from_secs(3_600));
        },
        "loop" => trouble::compute_forever(),
        _ => {}
    }
    let listeners: Vec<TcpListener> = told
        .listen
        .iter()
        .map(|address| match TcpListener::bind(address) {
            Ok(listener) => listener,
            Err(error) => {
                eprintln!("cannot listen on {address}: {error}");
                std::process::exit(1);
            }
        })
        .collect();
    println!("a line of no meaning");
    match told.behaviour.as_str() {
        "silent" => {}
        "lies" => println!("{{\"type\":\"listening\",\"addresses\":[\"203.0.113.1:80\"]}}"),
        _ => report_listening(&listeners),
    }
    // One after the other; WASI 0.2 has no threads, and this needs no more.
    for listener in listeners.iter().cycle() {
        let Ok((stream, _)) = listener.accept() else { continue };
        serve(stream, &told);
    }
}

fn told() -> Told {
    let arguments: Vec<String> = std::env::args().collect();
    let values = |name: &str| -> Vec<String> {
        arguments.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1].clone()).collect()
    };
    Told {
        listen: values("--listen").iter().filter_map(|address| address.parse().ok()).collect(),
        inbox: values("--inbox").pop().unwrap_or_default(),
        behaviour: values("--classic-name").pop().unwrap_or_default(),
        all: arguments[1..].join(" "),
    }
}

fn report_listening(listeners: &[TcpListener]) {
    let addresses: Vec<String> = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .map(|address| format!("\"{address}\""))
        .collect();
    println!("{{\"type\":\"listening\",\"addresses\":[{}]}}", addresses.join(","));
}

fn serve(mut stream: TcpStream, told: &Told) {
    let mut first = [0];
    if stream.read_exact(&mut first).is_err() {
        return;
    }
    match first[0] {
        b'P' => put(&mut stream, told),
        b'u' => trouble::unreachable(),
        b'p' => panic!("a panic on purpose"),
        b'x' => std::process::exit(0),
        b'l' => trouble::compute_forever(),
        b'c' => trouble::call_forever(),
        b'm' => trouble::grow_forever(),
        b'h' => trouble::hoard_resources(&told.inbox),
        b'g' => trouble::flood(),
        b'w' => trouble::work_for_each_byte(&mut stream),
        b'n' => answer(&mut stream, power::over_the_network),
        b'f' => answer(&mut stream, |_| power::over_files(&told.inbox)),
        b'a' => answer(&mut stream, |_| format!("{}\n", told.all)),
        _ => {}
    }
}

fn answer(stream: &mut TcpStream, answer: impl FnOnce(&str) -> String) {
    let mut question = String::new();
    let _ = stream.read_to_string(&mut question);
    let _ = stream.write_all(answer(question.trim()).as_bytes());
}

fn put(stream: &mut TcpStream, told: &Told) {
    let mut all = Vec::new();
    if stream.read_to_end(&mut all).is_err() {
        return;
    }
    let text = String::from_utf8_lossy(&all);
    let Some((name, content)) = text.strip_prefix("UT ").and_then(|rest| rest.split_once('\n'))
    else {
        println!("{{\"type\":\"refused\",\"code\":\"malformed\",\"detail\":\"no PUT\"}}");
        return;
    };
    if let Err(error) = std::fs::write(format!("{}/{name}", told.inbox), content) {
        eprintln!("cannot write: {error}");
        return;
    }
    println!("{{\"type\":\"stored\",\"name\":\"{name}\",\"size\":{}}}", content.len());
    let _ = stream.write_all(b"stored\n");
}
