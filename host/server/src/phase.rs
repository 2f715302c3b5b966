//! How far a server is on its way down.

use tokio::sync::watch;

/// How far a server is on its way down. Connections watch it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// All is served.
    Serving,
    /// What is under way may finish.
    Draining,
    /// Everything is cut.
    Stopped,
}

/// Waits until the server is at least this far down; its end counts as stopped.
pub(super) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error says that the server is gone.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}
