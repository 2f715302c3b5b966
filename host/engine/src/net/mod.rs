//! Addresses, and the sockets behind them: TCP and Unix.

mod address;
mod listener;
mod stream;

pub use address::{Address, AddressError};
pub use listener::{BindError, Listener};
pub(crate) use stream::Stream;
