//! What a server tells its owner: what happened ([`ServerEvent`]), and where it goes, a function or a stream of
//! bounded length ([`Events`]).

mod claim;
mod server;
mod sink;
mod stream;

pub use claim::Claim;
pub use server::ServerEvent;
pub(crate) use sink::EventSink;
pub use stream::Events;
