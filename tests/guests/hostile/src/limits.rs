//! What a receiver of HTTP is told of the settings.

use crate::bindings::exports::sandport::upload::receiver::OutputStream;
use crate::bindings::sandport::upload::gate::{self, Limits};

/// Says it in three lines: whether HTTP is served, the origins, and the names of the server.
pub(crate) fn tell(output: &OutputStream) {
    let Limits { http, http_origins, hosts, .. } = gate::get_limits();
    let text = format!("{http}\n{}\n{}\n", http_origins.join(" "), hosts.join(" "));
    let _ = output.blocking_write_and_flush(text.as_bytes());
}
