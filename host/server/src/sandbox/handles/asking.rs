//! Questions about uploads, and their ends, by their keys.

use std::sync::Arc;

use sandport_inbox::UploadStatus;
use sandport_protocol::{Refusal, RefusalCode};

use super::later::Later;
use crate::sandbox::connection::Connection;

/// A question that the inbox looks into.
pub struct LookingHandle(pub(in crate::sandbox) Later<Result<Option<UploadStatus>, Refusal>>);

/// An upload on its way out.
pub struct AbandoningHandle(pub(in crate::sandbox) Later<Result<bool, Refusal>>);

impl LookingHandle {
    pub(in crate::sandbox) fn new(
        connection: &Arc<Connection>,
        key: Vec<u8>,
        settle: bool,
    ) -> Self {
        let connection = Arc::clone(connection);
        Self(Later::coming(async move {
            let _waits = connection.wait_for_disk();
            let inbox = &connection.context.inbox;
            let found = inbox.look(connection.sender.identity(), &key, settle).await;
            there(found)
        }))
    }
}

impl AbandoningHandle {
    pub(in crate::sandbox) fn new(connection: &Arc<Connection>, key: Vec<u8>) -> Self {
        let connection = Arc::clone(connection);
        Self(Later::coming(async move {
            let _waits = connection.wait_for_disk();
            let ended = connection.context.inbox.abandon(connection.sender.identity(), &key).await;
            there(ended).map(|ended| ended.is_some())
        }))
    }
}

/// `None`: the sender has no upload with this key.
fn there<T>(outcome: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match outcome {
        Ok(there) => Ok(Some(there)),
        Err(refusal) if refusal.code == RefusalCode::InvalidState => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
