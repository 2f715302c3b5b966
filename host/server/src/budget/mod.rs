//! How a server is shared out among those who use it.
//!
//! The rules are machines: they own no socket, no clock and no thread, take what happens and the reading of a clock
//! that is never set back, and return what to do. [`Places`](places::Places) says who is served where connections are
//! scarce, [`Deadlines`] how long a connection may take, [`Computing`] when it may go on that has computed,
//! [`Delays`](delays::Delays) how long an address waits of which much came to nothing, and
//! [`Holdings`](holdings::Holdings) who may hold more of what there is only so much of. [`Door`], [`Failures`] and
//! [`Memory`] carry out what they say, and [`Pulse`] has what they judge by.

#[cfg(test)]
mod chance;
mod computing;
mod deadlines;
mod delays;
mod door;
mod failures;
mod holdings;
mod limit;
mod lines;
mod memory;
mod places;
mod pulse;
mod settings;
mod source;

pub(crate) use computing::{
    Account, Computing, EARNED_PER_ANSWER_NS, EARNED_PER_BYTE_NS, EARNED_PER_FILE_NS, Used,
};
pub(crate) use deadlines::{Deadlines, Overdue};
pub(crate) use delays::Futile;
pub(crate) use door::{Arrived, Busy, Door, Fate, Seat};
pub(crate) use failures::Failures;
pub use limit::Limit;
pub(crate) use limit::Met;
pub(crate) use lines::{LineAccount, Lines};
pub(crate) use memory::{Charge, Memory, MemoryAccount};
pub(crate) use places::Capacity;
pub use settings::{Budgets, BudgetsError};
pub(crate) use source::Source;
