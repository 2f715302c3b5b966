//! Addresses, and the sockets behind them: TCP and Unix.

mod address;
mod bind;
mod error;
mod listener;
mod origin;
mod peer;
mod proxy_header;
mod range;
mod stream;

pub use address::{Address, AddressError};
pub use error::BindError;
pub use listener::Listener;
pub use origin::{HostName, HostNameError, Origin, OriginError};
pub use peer::Peer;
pub(crate) use proxy_header::{HeaderError, Told, read_header};
pub use range::{PeerRange, PeerRangeError};
pub(crate) use range::{Place, Proxies};
pub(crate) use stream::Stream;
