//! What is shown to someone who typed the name of the program alone.

use std::io::{self, Write};

use crate::exit::Exit;
use crate::failure::Failure;

const WELCOME: &str = "\
sandport: receive files from people you do not trust, and send files

Receive files:           sandport serve ./inbox
Send a file:             sandport send FILE 127.0.0.1
List received files:     sandport ls ./inbox
Show all commands:       sandport --help
";

/// Shows the next command to type.
pub(crate) fn print() -> Result<Exit, Failure> {
    io::stdout()
        .write_all(WELCOME.as_bytes())
        .map_err(|error| Failure::local("write to standard output", &error))?;
    Ok(Exit::Done)
}
