//! The client, and how it is made.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::Address;

use super::connect::Target;
use super::report::Report;
use super::tls::{Connector, Protocol, Trust};
use super::transfer::Transfer;
use super::{Connections, Destination, Exclude, Options, SendError, Source};
use super::{classic, http, keys, native, plan, prepare, source, walk};

/// Sends to one server. It holds no connection: each [transfer](Transfer) makes its own.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) to: Destination,
    pub(super) options: Arc<Options>,
}

/// How a [`Client`] sends. Made by [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    to: Destination,
    options: Options,
}

impl Client {
    /// Begins with defaults that suit a person at a terminal.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use sandport_client::{Client, Destination};
    ///
    /// let server: Destination = "files.example".parse()?;
    /// let client = Client::builder(server)
    ///     .state_dir("/var/lib/backup")
    ///     .connect_timeout(Duration::from_secs(5))
    ///     .build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(to: impl Into<Destination>) -> ClientBuilder {
        ClientBuilder { to: to.into(), options: Options::default() }
    }

    /// Sends all sources over [as many connections as the builder says](ClientBuilder::connections), and over further
    /// ones where one is cut. Where there are several, files get their outcomes in any order.
    pub fn send(&self, sources: impl IntoIterator<Item = Source>) -> Transfer {
        let (to, options) = (self.to.clone(), Arc::clone(&self.options));
        let sources: Vec<Source> = sources.into_iter().collect();
        Transfer::new(|report, stop| async move {
            send(to, sources, &options, stop.notified(), &report).await?;
            Ok(report.summary())
        })
    }

    /// Finds what [`Client::send`] would send, and tells of each file as
    /// [`SendEvent::Planned`](super::SendEvent::Planned). It connects to nobody, opens each file to see that it can be
    /// read, and reads no content, but for the first byte of what is said to be empty; streams are not touched.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sandport_client::{Client, Destination, Source};
    ///
    /// let server: Destination = "files.example".parse()?;
    /// let planned = Client::builder(server).build().plan([Source::path("Cargo.toml")]).await?;
    /// assert_eq!(planned.planned, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan(&self, sources: impl IntoIterator<Item = Source>) -> Transfer {
        let options = Arc::clone(&self.options);
        let sources: Vec<Source> = sources.into_iter().collect();
        Transfer::new(|report, stop| async move {
            tokio::select! {
                biased;
                () = stop.notified() => return Err(SendError::Interrupted),
                planned = plan::plan(sources, &options, &report) => planned?,
            }
            Ok(report.summary())
        })
    }
}

impl ClientBuilder {
    /// Whether to speak the classic dialect to an [`Address`](sandport_protocol::Address): size in decimal, `ack`,
    /// bytes, with one connection for each file, and no receipt. Default: no; the native one has names, trees and
    /// receipts. To an address of HTTP it is HTTP in any case.
    pub fn classic(mut self, classic: bool) -> Self {
        self.options.classic = classic;
        self
    }

    /// Whether to encrypt connections to an [`Address`](sandport_protocol::Address) with TLS, and to believe a server whose
    /// certificate an authority has signed for the name of the host. Default: no. A destination with a
    /// [fingerprint](sandport_protocol::Fingerprint) and one of `https` are encrypted in any case.
    pub fn tls(mut self, tls: bool) -> Self {
        self.options.tls = tls;
        self
    }

    /// Authorities whose certificates are believed, in PEM, in place of those that the system knows. A certificate
    /// that has signed itself counts as an authority.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.options.authorities = Some(pem.into());
        self
    }

    /// How long to try to connect, name resolution and all addresses of the host included. Default: 15 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// How long nothing may move in either direction, while the server owes an answer or has to take bytes, before it
    /// counts as stalled. Default: 60 s.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.options.stall_timeout = timeout;
        self
    }

    /// How many connections to the server there are at once. Files are spread over them, and a large one that can be
    /// resumed is divided among those that have nothing else to do. The classic dialect has one for each file, and one
    /// after the other. Over HTTP no file is divided, and [`Connections::Auto`], the default, means 4 at most.
    pub fn connections(mut self, connections: Connections) -> Self {
        self.options.connections = connections;
        self
    }

    /// How often to connect again after a connection that was cut, without anything having come further in between.
    /// 0: a cut is the end. A first connection that fails is never tried again. Default: 8, which takes some two
    /// minutes.
    pub fn retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// Whether files of more than a mebibyte and streams are offered so that they can be resumed. Default: they are.
    pub fn resume(mut self, resume: bool) -> Self {
        self.options.resume = resume;
        self
    }

    /// Where resume keys are kept, so that a later transfer, also of another process, resumes what this one began.
    /// Default: nowhere, and only cuts within a transfer are mended.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.state_dir = Some(dir.into());
        self
    }

    /// What of trees is left out. Default: nothing.
    pub fn exclude(mut self, exclude: Exclude) -> Self {
        self.options.selection.exclude = exclude;
        self
    }

    /// Whether to send what symbolic links in trees lead to. Default: they are
    /// [skipped](super::SkipReason::SymbolicLink).
    pub fn follow_links(mut self, follow_links: bool) -> Self {
        self.options.selection.follow_links = follow_links;
        self
    }

    /// Whether to count all files first, beside sending, for [`SendEvent::Totals`](super::SendEvent::Totals). It walks
    /// each tree a second time. Default: no.
    pub fn count_totals(mut self, count_totals: bool) -> Self {
        self.options.count_totals = count_totals;
        self
    }

    /// Name and version of the program, for the server's log. Default: those of this crate.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.options.agent = agent.into();
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        Client { to: self.to, options: Arc::new(self.options) }
    }
}

/// Sends all sources, until `stop` completes: then the server is told that the sender gave up.
async fn send(
    to: Destination,
    sources: Vec<Source>,
    options: &Options,
    stop: impl Future<Output = ()>,
    report: &Report,
) -> Result<(), SendError> {
    let selection = options.selection.clone();
    let totals =
        options.count_totals.then(|| walk::count_in_background(&sources, &selection)).flatten();
    let stop = pin!(stop);
    let address = match &to {
        Destination::Sandport(address) | Destination::Pinned(address, _) => address.clone(),
        Destination::Http(url) => Address::Tcp { host: url.host().to_owned(), port: url.port() },
    };
    let tls = connector(&to, &address, options).await?;
    let target = &Target::new(&address, tls.as_ref());
    if let Destination::Http(url) = &to {
        return http::send(url, target, sources, totals, options, stop, report).await;
    }
    if options.classic {
        source::require_files(&sources)?;
        let items = prepare::start(sources, selection, prepare::Contents::ReadSmall, None);
        return classic::send(target, items, totals, options, stop, report).await;
    }
    let dir = options.state_dir.clone();
    let keys = options.resume.then(|| keys::Keys::new(dir, address.to_string()));
    let items = prepare::start(sources, selection, prepare::Contents::ReadSmall, keys);
    let far = native::ROUND_TRIP_MIN;
    native::send(target, items, totals, options, far, stop, report).await
}

/// What encrypts the connections of a run, where they are to be.
async fn connector(
    to: &Destination,
    address: &Address,
    options: &Options,
) -> Result<Option<Connector>, SendError> {
    let authorities = || Trust::Authorities(options.authorities.clone());
    let (trust, protocol) = match to {
        Destination::Http(url) if url.is_secure() => (authorities(), Protocol::Http),
        Destination::Http(_) => return Ok(None),
        Destination::Pinned(_, fingerprint) => (Trust::Pin(*fingerprint), Protocol::Native),
        Destination::Sandport(Address::Unix(_)) if options.tls => return Err(SendError::TlsOnUnix),
        Destination::Sandport(_) if options.tls => (authorities(), Protocol::Native),
        Destination::Sandport(_) => return Ok(None),
    };
    let protocol = if options.classic { Protocol::Classic } else { protocol };
    Connector::new(&address.to_string(), trust, protocol).await.map(Some)
}
