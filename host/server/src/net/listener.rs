//! Listening sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use socket2::Socket;
use tokio::net::{TcpListener, UnixListener};

use super::bind::{bind_all, resolve};
use super::{Address, BindError, Stream, zone};

/// Connections that the kernel queues until they are accepted. Above the usual `somaxconn`, which
/// cuts it: a burst should wait, not be refused.
const BACKLOG: i32 = 4_096;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens on an address: on each address that it has, where it is the name of a host. Port 0 lets
    /// the system choose, one port for all addresses of a name.
    ///
    /// An address of a name whose family (IPv6, say) this machine does not have is passed over as long as
    /// there is another, with a warning in the log. A Unix socket that a server left behind is replaced if
    /// nobody answers on it; it is removed when the listener is dropped.
    ///
    /// # Errors
    /// [`BindError`], for the first address that cannot be listened on; then none is.
    pub async fn bind(address: &Address) -> Result<Vec<Self>, BindError> {
        if let Address::Unix(path) = address {
            return Ok(vec![Self::bind_unix(address, path).await?]);
        }
        let sockets = bind_all(&resolve(address).await?)?;
        let listen = |socket: Socket| {
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into())
        };
        sockets
            .into_iter()
            .map(|socket| Ok(Self { socket: Kind::Tcp(listen(socket)?) }))
            .collect::<io::Result<_>>()
            .map_err(|source| bind_error(address, source))
    }

    /// The addresses of a TCP address for somebody else who will listen there, after finding out whether
    /// that is possible. With port 0, each gets a port of its own.
    ///
    /// # Errors
    /// [`BindError`]. A Unix socket is none of TCP's addresses.
    pub(crate) async fn check(address: &Address) -> Result<Vec<SocketAddr>, BindError> {
        let mut resolved = resolve(address).await?;
        // Bound and not listened on: nobody can connect to it before it is gone.
        let sockets = bind_all(&resolved)?;
        let bound: Vec<IpAddr> = sockets
            .iter()
            .filter_map(|socket| Some(socket.local_addr().ok()?.as_socket()?.ip()))
            .collect();
        resolved.retain(|address| bound.contains(&address.ip()));
        Ok(resolved)
    }

    async fn bind_unix(address: &Address, path: &Path) -> Result<Self, BindError> {
        if let Ok(metadata) = path.symlink_metadata() {
            if !metadata.file_type().is_socket() {
                return Err(BindError::NotASocket(path.to_owned()));
            }
            if tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(BindError::InUse(address.clone()));
            }
            std::fs::remove_file(path).map_err(|source| bind_error(address, source))?;
        }
        let socket = UnixListener::bind(path).map_err(|source| bind_error(address, source))?;
        Ok(Self { socket: Kind::Unix(socket, path.to_owned()) })
    }

    /// The address that is listened on, with the port that the system chose.
    pub fn local_address(&self) -> Address {
        match &self.socket {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => zone::named(address),
                Err(_) => Address::Tcp { host: String::from("unknown"), port: 0 },
            },
            Kind::Unix(_, path) => Address::Unix(path.clone()),
        }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// The system's; out of descriptors, say.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        Ok(match &self.socket {
            Kind::Tcp(listener) => listener.accept().await?.0.into(),
            Kind::Unix(listener, _) => listener.accept().await?.0.into(),
        })
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self { socket: Kind::Tcp(listener) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix(_, path) = &self.socket {
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_error(address: &Address, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address.clone()),
        _ => BindError::Io { address: address.clone(), source },
    }
}
