//! A server whose files go into memory: a storage of one's own. At Ctrl-C it says what it has received.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_inbox::{Announced, Arrived, Incoming, Publishing, Storage};
use sandport_inbox::{EntryName, Refusal, RefusalCode};
use sandport_server::{Limits, Server};

const MAX_BYTES: usize = 64 << 20; // of one file, together with all that are stored

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<EntryName, Vec<u8>>>>);

/// A file on its way. Dropped before it is published, it was never there.
struct Arriving(Memory, EntryName, Vec<u8>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, BTreeMap<EntryName, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn begin(&self, file: &Announced) -> Result<Box<dyn Incoming>, Refusal> {
        Ok(Box::new(Arriving(self.clone(), file.name.clone(), Vec::new())))
    }
}

impl Incoming for Arriving {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let stored: usize = self.0.files().values().map(Vec::len).sum();
        if stored + self.2.len() + bytes.len() > MAX_BYTES {
            return Err(Refusal::new(RefusalCode::QuotaExceeded, "the memory is full"));
        }
        self.2.extend_from_slice(bytes);
        Ok(())
    }

    fn publish(self: Box<Self>, _file: Arrived) -> Publishing {
        let Self(memory, name, content) = *self;
        memory.files().insert(name.clone(), content);
        Box::pin(async { Ok(name) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let memory = Memory::default();
    let limits = Limits { max_file_size: Some(MAX_BYTES as u64), ..Limits::default() };
    let server = Server::builder_with(memory.clone()).limits(limits).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("ready on {}", listener.local_addr()?);
    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    server.run(vec![listener.into()], shutdown).await?;
    memory.files().iter().for_each(|(name, content)| println!("{name} {}", content.len()));
    Ok(())
}
