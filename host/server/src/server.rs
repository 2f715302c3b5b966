//! A server that was built, and its run.

use std::sync::Arc;

use sandport_inbox::InboxError;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::accept::accept_until;
use crate::budget::{Limit, Met};
use crate::event::{Events, ServerEvent};
use crate::net::{Listener, Peer, Stream};
use crate::serving::Serving;

/// A server that was built. Cloning gives another handle to the same one.
///
/// It owns no listener and no signal. A program hands both to [`Server::run`], or accepts connections itself and hands
/// over each with [`Server::serve_connection`]. It may do both: there are never more connections at once than
/// [`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections) says.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sandport_inbox::{Inbox, InboxOptions};
/// use sandport_server::net::Listener;
/// use sandport_server::Server;
///
/// let inbox = Inbox::open("inbox".as_ref(), InboxOptions::default())?;
/// let server = Server::builder(inbox).build()?;
/// let listeners = Listener::bind(&"127.0.0.1:0".parse()?).await?;
/// server.run(listeners, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    pub(crate) serving: Arc<Serving>,
}

/// How often connections met each limit of a [`Server`], while it runs and after that. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct LimitsMet(Arc<Met>);

impl LimitsMet {
    /// The limits that were met since the server was built, and how often.
    pub fn counts(&self) -> Vec<(Limit, u64)> {
        self.0.counts()
    }
}

impl Server {
    /// How often connections meet each limit.
    pub fn limits_met(&self) -> LimitsMet {
        LimitsMet(Arc::clone(&self.serving.shared.met))
    }

    /// Serves until `shutdown` is ready. Then nothing more is accepted, connections that are under
    /// way get the drain timeout to finish, and what is left is cut.
    ///
    /// A server whose inbox is lost stops in the same way, and says so by [`ServerEvent::InboxLost`] first.
    ///
    /// Dropping the future cuts all connections at once, and so does its end: other handles to the server serve no
    /// more connections then.
    ///
    /// # Errors
    /// What [`Inbox::loss`](sandport_inbox::Inbox::loss) says at the end: the inbox was removed, unmounted, or cannot
    /// be written any more, or a thread of it has panicked.
    pub async fn run(
        self,
        listeners: Vec<Listener>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), InboxError> {
        let context = &self.serving.shared.context;
        let end = async {
            tokio::select! {
                () = shutdown => {}
                error = context.inbox.lost() => context.events.emit(ServerEvent::InboxLost {
                    code: error.code(),
                    reason: error.to_string(),
                }),
            }
        };
        let _cut = self.serving.cut();
        accept_until(&self.serving, listeners, end).await;
        self.serving.stop().await;
        context.inbox.loss().map_or(Ok(()), Err)
    }

    /// Serves a connection that the caller has accepted, with a sandbox of its own: over TCP, a local socket, TLS, or
    /// whatever else can be read and written. It waits while there are as many connections as there may be and nobody
    /// [gives way](crate::Budgets), and ends with the connection; events say what comes by it.
    ///
    /// `peer` is what events, the inbox and the receiver are told of the other end: the identity in it is believed, and
    /// its files and quota are those of that identity. Proxies that the server was told of are recognised by its
    /// address.
    ///
    /// A [`TcpStream`](tokio::net::TcpStream) or a [`UnixStream`](tokio::net::UnixStream) is used as the socket that it
    /// is, which is faster than the same in a wrapper.
    ///
    /// Dropping the future cuts the connection. After [`shutdown`](Self::shutdown) it ends at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sandport_inbox::{Identity, Inbox, InboxOptions};
    /// use sandport_server::net::Peer;
    /// use sandport_server::{Server, ServerEvent};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let dir = directory.path().join("inbox");
    /// let server = Server::builder(Inbox::open(&dir, InboxOptions::default())?).build()?;
    /// let (mut client, io) = tokio::io::duplex(4_096);
    /// let peer = Peer::new("192.0.2.7:52114", Identity::named("alice")?);
    /// let serving = tokio::spawn(server.serve_connection(io, peer));
    ///
    /// client.write_all(b"PUT /hello.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello").await?;
    /// let mut answer = [0; 12];
    /// client.read_exact(&mut answer).await?;
    /// assert_eq!(&answer, b"HTTP/1.1 201");
    /// assert_eq!(std::fs::read(dir.join("hello.txt"))?, b"hello");
    /// server.shutdown().await;
    /// serving.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve_connection<T>(&self, io: T, peer: Peer) -> impl Future<Output = ()> + Send + use<T>
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let serving = Arc::clone(&self.serving);
        let stream = Stream::accepted(io, peer);
        async move {
            let arrival = serving.arrive(&stream);
            serving.serve(stream, arrival).await;
        }
    }

    /// Serves no further connection. Those that are under way get the drain timeout to finish, and what is left is cut;
    /// returns when all have ended.
    ///
    /// Only for who accepts connections by themselves: [`run`](Self::run) ends with this. Who does so also looks after
    /// the inbox: see [`Inbox::lost`](sandport_inbox::Inbox::lost).
    pub async fn shutdown(&self) {
        self.serving.stop().await;
    }

    /// The events from now on: see [`Events`]. Each call gives a stream of its own. Those of
    /// [`build`](crate::ServerBuilder::build) are over by then; [`on_event`](crate::ServerBuilder::on_event) has them.
    pub fn events(&self) -> Events {
        self.serving.shared.context.events.subscribe()
    }
}
