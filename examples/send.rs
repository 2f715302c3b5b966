//! A sender in somebody else's program, with its progress.
//!
//! `cargo run -p sandport-client --example send -- PATH... SERVER` sends files and directories. What is cut, the same
//! command goes on with.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use std::error::Error;
use std::path::PathBuf;

use sandport_client::{Client, Destination, SendEvent, Source};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let server: Destination = paths.pop().ok_or("usage: send PATH... SERVER")?.parse()?;
    let client = Client::builder(server).state_dir(state_dir()).count_totals(true).build();

    let mut transfer = client.send(paths.iter().map(Source::path));
    while let Some(event) = transfer.next().await {
        match event {
            SendEvent::Totals { files, bytes } => println!("{files} files, {bytes} bytes"),
            SendEvent::Progress { file, sent } => {
                // A stream has no size.
                let size = file.size.map_or_else(String::new, |size| format!(" of {size}"));
                println!("{}: {sent}{size} bytes", file.path.display());
            }
            SendEvent::Resumed { file, kept } => {
                println!("{}: the server has {kept} bytes already", file.path.display());
            }
            SendEvent::Stored { file, receipt } | SendEvent::AlreadyStored { file, receipt } => {
                println!("{} is stored as {}", file.path.display(), receipt.name.escape_debug());
            }
            SendEvent::Refused { file, refusal } => {
                println!("{} is refused: {}", file.path.display(), refusal.code);
            }
            SendEvent::Failed { path, error, .. } => println!("{}: {error}", path.display()),
            SendEvent::Reconnecting { error, delay, .. } => {
                println!("{error}; next try in {} ms", delay.as_millis());
            }
            _ => {}
        }
    }
    let summary = transfer.await?;
    if summary.is_complete() { Ok(()) } else { Err("not everything arrived".into()) }
}

/// Where this program keeps what it needs to go on with an upload.
fn state_dir() -> PathBuf {
    std::env::temp_dir().join("sandport-example")
}
