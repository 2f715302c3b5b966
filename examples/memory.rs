//! A server whose files go into memory: a back end of one's own.
//!
//! `cargo run --example memory` keeps what it receives until Ctrl-C, and says then what that was.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a program, and no library"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use sandport_inbox::Identity;
use sandport_inbox::{Announced, Arrived, Found, Incoming, Lookup, Publishing, Storage};
use sandport_protocol::{Digest, EntryName, Limits, Refusal, RefusalCode};
use sandport_server::Server;

/// Most bytes of all files together.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Files>>);

#[derive(Default)]
struct Files {
    stored: BTreeMap<EntryName, Kept>,
    /// Of all files, those on their way among them.
    bytes: u64,
}

/// A file that is here.
struct Kept {
    owner: Identity,
    file: Arrived,
    content: Vec<u8>,
}

/// One file on its way.
struct Arriving {
    memory: Memory,
    owner: Identity,
    name: EntryName,
    content: Vec<u8>,
}

impl Memory {
    fn files<T>(&self, work: impl FnOnce(&mut Files) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for Memory {
    fn begin(&self, file: &Announced) -> Result<Box<dyn Incoming>, Refusal> {
        Ok(Box::new(Arriving {
            memory: self.clone(),
            owner: file.identity.clone(),
            name: file.name.clone(),
            content: Vec::new(),
        }))
    }

    fn lookup(&self) -> Option<&dyn Lookup> {
        Some(self)
    }
}

impl Incoming for Arriving {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.memory.files(|files| {
            let bytes_after = files.bytes + bytes.len() as u64;
            if bytes_after > BYTES_MAX {
                return Err(Refusal::new(RefusalCode::QuotaExceeded, "the memory is full"));
            }
            files.bytes = bytes_after;
            Ok(())
        })?;
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn publish(mut self: Box<Self>, file: Arrived) -> Publishing {
        Box::pin(async move {
            let (owner, name) = (self.owner.clone(), self.name.clone());
            let kept = Kept { owner, file, content: std::mem::take(&mut self.content) };
            self.memory.files(|files| {
                // The last one of a name stays.
                if let Some(before) = files.stored.insert(name.clone(), kept) {
                    files.bytes -= before.content.len() as u64;
                }
            });
            Ok(name)
        })
    }
}

impl Drop for Arriving {
    /// What was published is not here any more.
    fn drop(&mut self) {
        self.memory.files(|files| files.bytes -= self.content.len() as u64);
    }
}

impl Lookup for Memory {
    fn find(
        &self,
        identity: &Identity,
        name: &EntryName,
        size: Option<u64>,
        digest: Option<Digest>,
    ) -> Option<Found> {
        self.files(|files| {
            let Kept { owner, file, .. } = files.stored.get(name)?;
            let fits = owner == identity
                && size.is_none_or(|size| size == file.size)
                && digest.is_none_or(|digest| digest == file.digest);
            fits.then(|| Found::new(name.clone(), *file))
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let memory = Memory::default();
    let limits = Limits { max_file_size: Some(BYTES_MAX), ..Limits::default() };
    let server = Server::builder_with(memory.clone()).limits(limits).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("ready on {}", listener.local_addr()?);
    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    server.run(vec![listener.into()], shutdown).await?;
    memory.files(|files| {
        for (name, Kept { file, .. }) in &files.stored {
            println!("{name} {}", file.size);
        }
    });
    Ok(())
}
