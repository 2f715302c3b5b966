//! Addresses, and the sockets behind them: TCP and Unix.

mod bind;
mod error;
mod listener;
mod origin;
mod peer;
mod proxy_header;
mod range;
mod stream;
mod zone;

pub use error::BindError;
pub use listener::Listener;
pub use origin::{HostName, HostNameError, Origin, OriginError};
pub use peer::Peer;
pub(crate) use proxy_header::{HeaderError, Told, read_header};
pub use range::{PeerRange, PeerRangeError};
pub(crate) use range::{Place, Proxies};
pub use sandport_protocol::{Address, AddressError};
pub(crate) use stream::{Session, Stream};
pub(crate) use zone::named;
