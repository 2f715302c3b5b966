//! The one function of WASI that a resident component gets from here: `accept`, whose streams count
//! what arrives, because that is what earns compute time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::{network, tcp};
use wasmtime_wasi::p2::pipe::ClosedInputStream;
use wasmtime_wasi::p2::{SocketResult, TcpSocket};
use wasmtime_wasi::sockets::WasiSocketsView;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, InputStream, StreamResult};

use super::state::State;

/// The interface as wasmtime-wasi names it; a component that names another 0.2 gets the same.
const TCP: &str = "wasi:sockets/tcp@0.2.12";

/// What a connection counts for when it is accepted. Bytes. A tenth of a second of computing, at what a
/// resident instance earns with a MiB: a connection costs it something before its first byte.
const CONNECTION_BYTES: u64 = 100 * 1024;

type Accepted = (Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>);

/// Replaces `accept` in a linker that has all of WASI.
pub(super) fn count_arrivals(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(TCP)?.func_wrap(
        "[method]tcp-socket.accept",
        |mut store, (socket,): (Resource<TcpSocket>,)| {
            let state: &mut State = store.data_mut();
            Ok((match accept(state, socket) {
                Ok(accepted) => Ok(accepted),
                Err(error) => Err(network::Host::convert_error_code(&mut state.sockets(), error)?),
            },))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

fn accept(state: &mut State, socket: Resource<TcpSocket>) -> SocketResult<Accepted> {
    let accepted = tcp::HostTcpSocket::accept(&mut state.sockets(), socket)?;
    state.arrived.fetch_add(CONNECTION_BYTES, Ordering::Relaxed);
    let stream = state.table.get_mut(&accepted.1)?;
    let inner = std::mem::replace(stream, Box::new(ClosedInputStream));
    *stream = Box::new(Counted { inner, arrived: Arc::clone(&state.arrived) });
    Ok(accepted)
}

/// The receiving direction of a connection.
struct Counted {
    inner: DynInputStream,
    arrived: Arc<AtomicU64>,
}

impl Counted {
    fn count(&self, bytes: usize) {
        self.arrived.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait]
impl InputStream for Counted {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.read(size)?;
        self.count(bytes.len());
        Ok(bytes)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.blocking_read(size).await?;
        self.count(bytes.len());
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
