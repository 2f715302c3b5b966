//! The `wasi:io` streams that a guest holds: the two directions of its connection, and the bodies of
//! its uploads. With `splice` payload goes from one to the other without entering the guest.

mod body;
mod connection;

pub(super) use body::{BodyEnd, BodyStream, WritesUnderWay, body};
pub(super) use connection::{ConnectionInput, ConnectionOutput};
