//! A server that runs a receiver of somebody else's, such as one of `guest/examples`.
//!
//! `cargo run -p sandport-server --example receiver -- put.wasm` says what the component could reach, and receives into
//! `./inbox` by it until Ctrl-C.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use std::error::Error;
use std::path::PathBuf;

use sandport_inbox::{Inbox, InboxOptions};
use sandport_server::{Cache, ReceiverSource, Server, ServerEvent, inspect};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args().nth(1).ok_or("usage: receiver COMPONENT.wasm")?);
    let receiver = ReceiverSource::File(path);
    let found = inspect(&receiver, &Cache::Off, None, || println!("compiling"))?;
    for import in found.imports {
        println!("{}: {}", import.name, import.reach.unwrap_or("not given"));
    }
    if let Some(refusal) = found.refusal {
        return Err(refusal.into());
    }

    let inbox = Inbox::open("inbox".as_ref(), InboxOptions::default())?;
    let server = Server::builder(inbox)
        .receiver(receiver)
        .max_memory_bytes(32 << 20)
        .on_event(|event| match event {
            ServerEvent::Stored { receipt, .. } => println!("{}", receipt.name.escape_debug()),
            // It was cut, and all of its uploads with it. Others were not.
            ServerEvent::Trapped { peer, reason, .. } => println!("{peer} trapped: {reason}"),
            _ => {}
        })
        .build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("ready on {}", listener.local_addr()?);
    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    Ok(server.run(vec![listener.into()], shutdown).await?)
}
