//! How an upload into a storage ends.

use sandport_protocol::{EntryName, Receipt, Refusal};

use super::{Arrived, Incoming};
use crate::completion::{CommitHandle, Completer};

/// A file that is to be published.
pub(super) struct Complete {
    pub(super) incoming: Box<dyn Incoming>,
    pub(super) file: Arrived,
}

/// Publishes what is complete, or says why it is not.
pub(super) fn end(complete: Result<Complete, Refusal>) -> CommitHandle {
    let (completer, pending) = Completer::new();
    tokio::spawn(async move {
        let outcome = match complete {
            Ok(Complete { incoming, file }) => {
                incoming.publish(file).await.map(|name| receipt(&name, file))
            }
            Err(refusal) => Err(refusal),
        };
        completer.complete(outcome);
    });
    pending
}

pub(super) fn receipt(name: &EntryName, file: Arrived) -> Receipt {
    Receipt { name: name.as_str().to_owned(), size: file.size, digest: file.digest, proof: None }
}
