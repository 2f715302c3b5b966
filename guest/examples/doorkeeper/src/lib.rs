//! A component that sits between the host and a receiver, any receiver: it exports
//! `sandport:upload/receiver`, as one does, and imports it too. Peers whose address is in `refused.txt`
//! are refused; all others are handed on, and the connection with them.

wit_bindgen::generate!({
    inline: "
        package example:doorkeeper;

        world doorkeeper {
            import sandport:upload/log@0.2.0;
            import sandport:upload/receiver@0.2.0;
            export sandport:upload/receiver@0.2.0;
        }
    ",
    path: "sandport-upload",
    generate_all,
});

use std::net::{IpAddr, SocketAddr};

use exports::sandport::upload::receiver::{Ending, Guest, InputStream, OutputStream};
use sandport::upload::log::{self, Level};
use sandport::upload::receiver;
use sandport::upload::types::{Peer, Refusal, RefusalCode};

/// A component has no files and no environment: what it shall know has to be in it.
const REFUSED: &str = include_str!("../refused.txt");

struct Doorkeeper;

export!(Doorkeeper);

impl Guest for Doorkeeper {
    fn serve(peer: Peer, input: InputStream, output: OutputStream) -> Result<Ending, Refusal> {
        if is_refused(&peer.address) {
            log::emit(Level::Warn, "turned away at the door");
            let detail = Some(String::from("this address is not welcome here"));
            return Err(Refusal { code: RefusalCode::NotPermitted, temporary: false, detail });
        }
        // The streams themselves go on. What the receiver splices, the host moves as ever.
        Ok(match receiver::serve(&peer, input, output)? {
            receiver::Ending::Close => Ending::Close,
            receiver::Ending::Again(left) => Ending::Again(left),
        })
    }
}

/// A local socket has no address, and is let in.
fn is_refused(address: &str) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    REFUSED.lines().any(|line| line.trim().parse::<IpAddr>() == Ok(address.ip().to_canonical()))
}
