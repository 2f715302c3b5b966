//! One connection: a request after the other, and their answers.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderValue};
use sandport_protocol::sender::http::{ANSWER_BYTES_MAX, HttpAnswer, Request};

use super::body::{RequestBody, State};
use super::payload::Payload;
use super::wire::{Moved, Wire};
use crate::clock::millis;
use crate::connect::Target;
use crate::shared::Shared;
use crate::{Options, SendError};

/// A connection that is kept for more than one request.
pub(super) struct Line {
    requests: SendRequest<RequestBody>,
    connection: Pin<Box<http1::Connection<Wire, RequestBody>>>,
    /// The library has nothing more to do for it.
    has_ended: bool,
    moved: Arc<Moved>,
}

/// What is sent with a request, and told of it.
pub(super) struct Load<'a> {
    pub(super) payload: &'a Arc<Shared<Payload>>,
    pub(super) state: &'a Arc<State>,
    /// Called with the bytes of the content that the connection has taken.
    pub(super) sent: &'a mut (dyn FnMut(u64) + Send),
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// What keeps the connection from being made.
    pub(super) async fn open(to: &Target<'_>, options: &Options) -> Result<Self, SendError> {
        let connection = to.connect(options).await?;
        let moved = Moved::new();
        let wire = Wire::new(connection, Arc::clone(&moved));
        let made = http1::handshake(wire).await;
        let (requests, connection) = made.map_err(|error| broken(&error))?;
        Ok(Self { requests, connection: Box::pin(connection), has_ended: false, moved })
    }

    /// Whether the server still has it open, as far as is known.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_connection(cx);
            Poll::Ready(
                !self.has_ended && matches!(self.requests.poll_ready(cx), Poll::Ready(Ok(()))),
            )
        })
        .await
    }

    /// Sends a request and gives its answer. Dropped before that, the connection has to be dropped too.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub(super) async fn send(
        &mut self,
        request: &Request,
        authority: &str,
        load: Option<Load<'_>>,
        options: &Options,
    ) -> Result<HttpAnswer, SendError> {
        let moved = Arc::clone(&self.moved);
        moved.set_ours(false);
        moved.now();
        let (body, mut load) = match load {
            Some(load) => {
                let body = RequestBody::new(request.content, load.payload, load.state, &moved);
                (body, Some(load))
            }
            None => (RequestBody::empty(&moved), None),
        };
        let request = head(request, authority, &options.agent, body)?;
        let mut answering = pin!(self.requests.send_request(request));
        let patience = options.stall_timeout;
        let mut stalled = pin!(moved.stalled(patience));
        let mut told = 0;
        let connection = &mut self.connection;
        let has_ended = &mut self.has_ended;
        let response = poll_fn(|cx| {
            if !*has_ended {
                *has_ended = connection.as_mut().poll(cx).is_ready();
            }
            if let Some(load) = &mut load {
                let sent = load.state.sent();
                if sent > told {
                    told = sent;
                    (load.sent)(sent);
                }
            }
            if let Poll::Ready(response) = answering.as_mut().poll(cx) {
                return Poll::Ready(response.map_err(|error| broken(&error)));
            }
            stalled.as_mut().poll(cx).map(|()| Err(SendError::Stalled(millis(patience))))
        })
        .await?;
        let (parts, mut body) = response.into_parts();
        let mut content = Some(Vec::new());
        loop {
            let frame = poll_fn(|cx| {
                if !*has_ended {
                    *has_ended = connection.as_mut().poll(cx).is_ready();
                }
                if let Poll::Ready(frame) = poll_body(&mut body, cx) {
                    return Poll::Ready(frame);
                }
                stalled.as_mut().poll(cx).map(|()| Some(Err(SendError::Stalled(millis(patience)))))
            })
            .await;
            match frame.transpose()? {
                None => break,
                Some(bytes) => {
                    content = content.filter(|have| have.len() + bytes.len() <= ANSWER_BYTES_MAX);
                    if let Some(content) = &mut content {
                        content.extend_from_slice(&bytes);
                    }
                }
            }
        }
        let fields = parts.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(HttpAnswer {
            status: parts.status.as_u16(),
            fields: fields.collect(),
            content: content.unwrap_or_default(),
        })
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) {
        if !self.has_ended {
            self.has_ended = self.connection.as_mut().poll(cx).is_ready();
        }
    }
}

/// The next bytes of an answer.
fn poll_body(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<bytes::Bytes, SendError>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(broken(&error)))),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

/// A request as the library sends it.
fn head(
    request: &Request,
    authority: &str,
    agent: &str,
    body: RequestBody,
) -> Result<hyper::Request<RequestBody>, SendError> {
    let mut builder = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(&request.target)
        .header(header::HOST, authority);
    if let Ok(agent) = HeaderValue::from_str(agent) {
        builder = builder.header(header::USER_AGENT, agent);
    }
    for (name, value) in &request.fields {
        builder = builder.header(*name, value);
    }
    if let Some(length) = request.content.length()
        && request.method.has_content()
    {
        builder = builder.header(header::CONTENT_LENGTH, length);
    }
    // Targets and values are made of what can stand there.
    builder.body(body).map_err(|error| SendError::NotHttp(error.to_string()))
}

/// Why a connection is of no use any more.
fn broken(error: &hyper::Error) -> SendError {
    if error.is_parse() { SendError::NotHttp(error.to_string()) } else { SendError::Cut }
}
