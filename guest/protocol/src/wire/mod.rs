//! The native dialect on the wire: the interface `wire` of the WIT package as Rust types, and their
//! bytes. `wit/wire.wit` is the specification.

mod codec;
mod frame;
mod message;

pub(crate) use codec::cut;
pub use codec::{DecodeError, MessageTooLong};
pub use frame::{FrameDecoder, FrameError, PrefaceMatcher};
pub use message::{
    Accepted, Cancel, Data, Finish, Hello, NumberedOffer, Progress, ReceiverMessage, Refused,
    SenderMessage, Stored, Welcome,
};

/// The first bytes of each side. The eighth bit, both line ends and the end-of-file mark of DOS show
/// what a channel for text does to them, as in PNG's signature.
pub const PREFACE: [u8; 8] = [0x89, b'S', b'P', b'T', b'\r', b'\n', 0x1a, b'\n'];

/// The one version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;
