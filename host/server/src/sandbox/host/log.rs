//! `sandport:upload/log`: lines of the receiver in the operator's log.

use crate::sandbox::bindings::sandport::upload::log::{Host, Level};
use crate::sandbox::state::State;

impl Host for State {
    fn emit(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.console.log(level, &message);
        Ok(())
    }
}
