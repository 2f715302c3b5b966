//! What holds the connections of a middlebox back until they are where a test wants them.

/// A gate across the connections from the sender: behind it nothing passes until it is open, and from then
/// on everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// So many bytes of each connection pass before it.
    pub(crate) bytes: u64,
    /// It opens when so many of the first connections have come to it, or are over; `None`: when it is
    /// opened.
    pub(crate) connections: Option<usize>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Bytes that have passed.
    pub(crate) bytes: u64,
    /// Whether no more will come.
    pub(crate) is_over: bool,
}

impl Gate {
    /// Whether it opens, where connections have come so far, in the order in which they were made.
    pub(crate) fn opens(&self, connections: impl Iterator<Item = Progress>) -> bool {
        let has_come = |it: &Progress| it.is_over || it.bytes >= self.bytes;
        self.connections
            .is_some_and(|number| connections.take(number).filter(has_come).count() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(connections: Option<usize>, progress: &[(u64, bool)]) -> bool {
        let progress = progress.iter().map(|&(bytes, is_over)| Progress { bytes, is_over });
        Gate { bytes: 10, connections }.opens(progress)
    }

    #[test]
    fn a_gate_opens_when_all_that_it_waits_for_have_come() {
        assert!(!opens(Some(2), &[]));
        assert!(!opens(Some(2), &[(10, false)]));
        assert!(!opens(Some(2), &[(10, false), (9, false)]));
        assert!(opens(Some(2), &[(10, false), (10, false)]));
        assert!(opens(Some(2), &[(10, false), (3, true)]), "one that is over is not waited for");
        assert!(
            !opens(Some(2), &[(9, false), (10, false), (10, false)]),
            "it is for the first two"
        );
        assert!(!opens(None, &[(10, true)]));
    }
}
