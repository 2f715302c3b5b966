//! A receiver that misbehaves in the way that the first byte of a connection names. A connection that
//! begins with `P` is served honestly: so one server shows that what happens on one connection harms no
//! other.

// The bindings that wit-bindgen generates need unsafe.
#![allow(unsafe_code)]

mod again;
mod bindings;
mod honest;
mod keys;
mod limits;
mod parts;
mod power;
mod proxy;
mod refusal;
mod resources;
mod sums;
mod trouble;
mod turns;
mod words;

use bindings::exports::sandport::upload::receiver::{Ending, Guest, InputStream, OutputStream};
use bindings::sandport::upload::types::{Peer, Refusal};

struct Component;

impl Guest for Component {
    fn serve(peer: Peer, input: InputStream, output: OutputStream) -> Result<Ending, Refusal> {
        let begun = input.blocking_read(1).unwrap_or_default();
        match begun.first() {
            Some(b'P') => honest::serve(&input, &output, begun)?,
            Some(b'u') => trouble::unreachable(),
            Some(b'p') => panic!("a panic on purpose"),
            Some(b'x') => std::process::exit(0),
            Some(b'l') => trouble::compute_forever(),
            Some(b'c') => trouble::call_forever(),
            Some(b'y') => trouble::yield_forever(),
            Some(b'm') => trouble::grow_forever(),
            Some(b's') => trouble::recurse(0),
            Some(b'h') => trouble::hoard_resources(),
            Some(b'n') => trouble::never_read(),
            Some(b'k') => trouble::never_ask(),
            Some(b'b') => trouble::bring_much(),
            Some(b'f') => trouble::forge(&output),
            Some(b'a') => trouble::abandon(),
            Some(b'w') => trouble::overwrite_limits(&output),
            Some(b'g') => trouble::flood_log(&output),
            Some(b'o') => words::write_forever(),
            Some(b'i') => words::write_tricks(),
            Some(b't') => words::write_burst(),
            Some(b'd') => trouble::misuse_digests(&output),
            Some(b'z') => trouble::write_after_commit(&output),
            Some(b'q') => trouble::open_thousands(&output),
            Some(b'v') => trouble::make_directories_forever(),
            Some(b'O') => trouble::offer_and_forget(&output),
            Some(b'A') => trouble::authenticate_twice(&output, false),
            Some(b'B') => trouble::authenticate_twice(&output, true),
            Some(b'R') => trouble::use_released(),
            Some(b'L') => limits::tell(&output),
            Some(b'S') => sums::go_through(&output)?,
            Some(b'T') => sums::read_forever()?,
            Some(b'U') => sums::write_forever()?,
            Some(b'J') => parts::misuse(&output)?,
            Some(b'V') => parts::copy_forever()?,
            Some(b'F') => proxy::lie(&peer, &output),
            Some(b'G') => proxy::lie_late(&peer, &output),
            Some(b'H') => {
                proxy::lie_and_go(&peer, &output);
                return Ok(Ending::Again(0));
            }
            Some(b'e') => power::report(&input, &output),
            Some(b'K') => keys::go_through(&input, &output)?,
            Some(b'%') => turns::trap_after_calls(&input, &output),
            Some(b'&') => turns::cross_streams(&input, &output)?,
            Some(b'=') => turns::shrink_sizes(&output)?,
            Some(b'r') => return again::serve(&peer, &input, &output),
            Some(b'j') => return again::leave_more_than_was_read(&input),
            Some(b'!') => return again::leave_what_was_spliced(&input),
            Some(b'#') => return again::compute_in_turns(),
            _ => return Err(refusal::malformed(None)),
        }
        Ok(Ending::Close)
    }
}

bindings::export!(Component with_types_in bindings);
