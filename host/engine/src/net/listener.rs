//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::{Address, Stream};

/// Connections that the kernel queues until they are accepted. Above the usual `somaxconn`, which
/// cuts it: a burst should wait, not be refused.
const BACKLOG: i32 = 4_096;

/// Why an address can not be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody listens there already.
    #[error("{0} is in use already")]
    InUse(Address),
    /// The host name has no address.
    #[error("{address}: the name can not be resolved: {source}")]
    Resolve {
        /// What was asked for.
        address: Address,
        /// What the resolver said.
        source: io::Error,
    },
    /// The path exists and is not a socket.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("{address}: {source}")]
    Io {
        /// What was asked for.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse(_) => "stop the other server, or choose another address with --listen",
            Self::Resolve { .. } => "give an IP address, such as 127.0.0.1 or [::1]",
            Self::NotASocket(_) => {
                "choose another path; only sockets that were left behind are replaced"
            }
            Self::Io { .. } => {
                "choose an address of this machine, and a port above 1023 unless you are root"
            }
        }
    }
}

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
    /// Listens on an address; port 0 lets the system choose.
    ///
    /// A name is resolved and its first address taken. A Unix socket that a server left behind is
    /// replaced if nobody answers on it; it is removed when the listener is dropped.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(address: &Address) -> Result<Self, BindError> {
        match address {
            Address::Unix(path) => Self::bind_unix(address, path).await,
            Address::Tcp { host, port } => {
                let resolved = resolve(address, host, *port).await?;
                bind_tcp(resolved)
                    .and_then(|socket| {
                        socket.listen(BACKLOG)?;
                        TcpListener::from_std(socket.into())
                    })
                    .map(|socket| Self { socket: Kind::Tcp(socket) })
                    .map_err(|source| bind_error(address, source))
            }
        }
    }

    /// Resolves a TCP address for somebody else who will listen there, and finds out whether that is
    /// possible.
    ///
    /// # Errors
    /// [`BindError`]. A Unix socket is none of TCP's addresses.
    pub(crate) async fn check(address: &Address) -> Result<SocketAddr, BindError> {
        let Address::Tcp { host, port } = address else {
            let source = io::ErrorKind::Unsupported.into();
            return Err(BindError::Io { address: address.clone(), source });
        };
        let resolved = resolve(address, host, *port).await?;
        // Bound and not listened on: nobody can connect to it before it is gone.
        bind_tcp(resolved).map(|_| resolved).map_err(|source| bind_error(address, source))
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
                Ok(address) => {
                    Address::Tcp { host: address.ip().to_string(), port: address.port() }
                }
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

/// The first address of a host.
async fn resolve(address: &Address, host: &str, port: u16) -> Result<SocketAddr, BindError> {
    tokio::net::lookup_host((host, port))
        .await
        .and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
        .map_err(|source| BindError::Resolve { address: address.clone(), source })
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME-WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` can then both be listened on, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_error(address: &Address, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address.clone()),
        _ => BindError::Io { address: address.clone(), source },
    }
}
