//! Results of a command, as somebody or another program reads them.

use std::io::{self, Write};

use crate::failure::Failure;

/// Results on standard output, line by line, until nobody reads them.
pub(crate) struct Results {
    stdout: io::BufWriter<io::Stdout>,
}

impl Results {
    pub(crate) fn new() -> Self {
        Self { stdout: io::BufWriter::new(io::stdout()) }
    }

    /// Writes a line; whether anybody reads on.
    pub(crate) fn line(&mut self, line: &str) -> Result<bool, Failure> {
        Self::judge(writeln!(self.stdout, "{line}"))
    }

    /// Writes what is held back.
    pub(crate) fn flush(&mut self) -> Result<bool, Failure> {
        Self::judge(self.stdout.flush())
    }

    fn judge(written: io::Result<()>) -> Result<bool, Failure> {
        match written {
            Ok(()) => Ok(true),
            // `sandport ls | head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::local("write to standard output", &error)),
        }
    }
}
