//! What comes later: a resource that a guest waits for, and takes once.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

type Coming<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The outcome of a future that makes progress by itself, or while the guest waits for it.
///
/// A pollable of it keeps it: a guest may drop the resource first.
pub(in crate::sandbox) struct Later<T>(Arc<Mutex<State<T>>>);

enum State<T> {
    Coming(Coming<T>),
    Here(T),
    Taken,
}

impl<T> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Later<T> {
    /// What is there already.
    pub(in crate::sandbox) fn here(value: T) -> Self {
        Self(Arc::new(Mutex::new(State::Here(value))))
    }

    /// What `future` comes to. It is asked at once: most of what a guest asks has its answer then.
    pub(in crate::sandbox) fn coming(future: impl Future<Output = T> + Send + 'static) -> Self {
        let mut state = State::Coming(Box::pin(future));
        state.ask();
        Self(Arc::new(Mutex::new(state)))
    }

    /// The outcome, once.
    pub(in crate::sandbox) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        state.ask();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Here(value) => Some(value),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Ready when there is something to take, or was.
    pub(in crate::sandbox) fn subscribe(
        &self,
        table: &mut ResourceTable,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let ready = table.push(Ready(self.clone()))?;
        subscribe(table, ready)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Nobody waits: who does asks by [`Self::poll`].
    fn ask(&mut self) {
        let _ = self.poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Asks the future, if nobody knows what it comes to.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Coming(future) = self {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *self = Self::Here(value),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

struct Ready<T>(Later<T>);

#[async_trait]
impl<T: Send + 'static> Pollable for Ready<T> {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.lock().poll(context)).await;
    }
}
