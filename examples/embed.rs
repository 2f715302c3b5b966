//! A server in somebody else's program: their listener, their shutdown, their way to hear of files.
//!
//! `cargo run --example embed` receives into `./inbox` until Ctrl-C.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use std::error::Error;
use std::time::Duration;

use sandport_inbox::{Inbox, InboxOptions};
use sandport_server::{Server, ServerEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut options = InboxOptions::default();
    options.max_file_size = Some(1 << 30);
    let inbox = Inbox::open("inbox".as_ref(), options)?;
    let server = Server::builder(inbox)
        .max_connections(100)
        .drain_timeout(Duration::from_secs(5))
        .build()?;
    let mut events = server.events();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("ready on {}", listener.local_addr()?);
    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    let running = tokio::spawn(server.run(vec![listener.into()], shutdown));
    while let Some(event) = events.next().await {
        if let ServerEvent::Stored { peer, receipt } = event {
            println!("{} from {peer}, {} bytes", receipt.name.escape_debug(), receipt.size);
        }
    }
    Ok(running.await??)
}
