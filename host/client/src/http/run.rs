//! What the connections of one run share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::sender::http::{HttpUrl, Request, Server};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::line::Line;
use super::urls::Urls;
use crate::connect::Target;
use crate::prepare::Item;
use crate::report::Report;
use crate::shared::Shared;
use crate::{Options, SendEvent, SendFile};

/// How long a server is told at the end that something is given up. A person who has typed Ctrl-C waits for it.
const GOODBYE: Duration = Duration::from_secs(1);

/// The work of one run. All connections are driven by one task, so nothing here is locked, and nothing of it
/// may be borrowed across an await.
pub(super) struct Run<'a> {
    pub(super) url: &'a HttpUrl,
    pub(super) to: &'a Target<'a>,
    pub(super) server: &'a Server,
    pub(super) options: &'a Options,
    pub(super) report: &'a Report,
    pub(super) urls: Urls,
    prepared: Mutex<mpsc::Receiver<Vec<Item>>>,
    queue: Shared<VecDeque<Item>>,
    /// Uploads that were begun and have no outcome, by the numbers of their files.
    open: Shared<BTreeMap<u64, Open>>,
}

/// An upload without an outcome.
pub(super) struct Open {
    pub(super) file: Arc<SendFile>,
    /// Whether a later run goes on with it.
    pub(super) resumable: bool,
    /// Else, what ends it at the server.
    pub(super) cancel: Option<Request>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        url: &'a HttpUrl,
        to: &'a Target<'a>,
        server: &'a Server,
        options: &'a Options,
        report: &'a Report,
        prepared: mpsc::Receiver<Vec<Item>>,
    ) -> Self {
        let dir = options.state_dir.clone().filter(|_| options.resume);
        Self {
            url,
            to,
            server,
            options,
            report,
            urls: Urls::new(dir, url.to_string(), server.protocol),
            prepared: Mutex::new(prepared),
            queue: Shared::default(),
            open: Shared::default(),
        }
    }

    /// The next item. `None`: there is none left.
    pub(super) async fn next(&self) -> Option<Item> {
        let mut prepared = self.prepared.lock().await;
        loop {
            let next = self.queue.lock().pop_front();
            if next.is_some() {
                return next;
            }
            let batch = prepared.recv().await?;
            self.queue.lock().extend(batch);
        }
    }

    /// Notes how an upload stands that has no outcome.
    pub(super) fn note(&self, open: Open) {
        self.open.lock().insert(open.file.number, open);
    }

    /// An upload has its outcome.
    pub(super) fn ended(&self, number: u64) {
        self.open.lock().remove(&number);
    }

    /// Reports what was begun and has no outcome, and tells the server what of it is not gone on with.
    pub(super) async fn give_up(&self) {
        let open = self.open.take();
        let mut cancels = Vec::new();
        for Open { file, resumable, cancel } in open.into_values() {
            self.report.emit(SendEvent::Unanswered { file, resumable });
            cancels.extend(cancel);
        }
        // What does not come through expires there.
        let _ = timeout(GOODBYE, self.cancel(&cancels)).await;
    }

    /// Ends uploads of which nothing is to stay.
    pub(super) async fn cancel(&self, requests: &[Request]) {
        if requests.is_empty() {
            return;
        }
        let Ok(mut line) = Line::open(self.to, self.options).await else { return };
        for request in requests {
            let sent = line.send(request, &self.url.authority(), None, self.options).await;
            if sent.is_err() || !line.is_usable().await {
                return;
            }
        }
    }
}
