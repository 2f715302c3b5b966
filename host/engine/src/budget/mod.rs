//! How a server is shared out among those who use it.
//!
//! The rules are machines: they own no socket, no clock and no thread, take what happens and the reading of a clock
//! that is never set back, and return what to do.

#[cfg(test)]
mod chance;
mod deadlines;
mod places;
mod source;
