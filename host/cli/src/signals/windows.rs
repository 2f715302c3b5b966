//! What Windows has instead of signals: events of the console.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

/// Ctrl-C, Ctrl-Break, and the end of the console window. They do nothing else from now on.
pub(crate) struct Signals {
    interrupt: CtrlC,
    terminate: CtrlBreak,
    /// Windows ends the process some seconds after it, whatever it does: time enough to tell the server.
    close: CtrlClose,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()?, close: ctrl_close()? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}

/// Windows has no limit on the size of files for a process.
#[expect(clippy::unnecessary_wraps, reason = "there is something to do on other systems")]
pub(crate) fn survive_large_files() -> io::Result<()> {
    Ok(())
}
