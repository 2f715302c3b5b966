//! Setting a server up.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::Limits;

use super::Server;
use super::connection::Shared;
use super::resident::ResidentServer;
use super::serving::{CONNECTIONS_MAX, Serving};
use crate::budget::{Budgets, BudgetsError, Failures, Memory, Met};
use crate::doors::Doors;
use crate::error_kind::ServerErrorKind;
use crate::event::{EventSink, ServerEvent};
use crate::net::{HostName, Origin, PeerRange, Proxies};
use crate::sandbox::{
    AnySandbox, Cache, ComponentError, Context, ReceiverSource, SandboxLimits, Sharing,
};
use crate::tls::{Tls, TlsRule};
use sandport_inbox::{AnyInbox, Inbox, Storage};

/// How long running uploads may go on after the server was asked to stop. An init system usually
/// kills after 90 seconds.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a server cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The receiver cannot be run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The budgets make no sense.
    #[error(transparent)]
    Budgets(#[from] BudgetsError),
    /// A resident component keeps files itself, in a directory: only [`Server::builder`] takes one.
    #[error(
        "the component runs resident and keeps files itself: it needs the directory of an inbox"
    )]
    NoDirectory,
    /// A resident component listens itself, so that nobody ends TLS for it.
    #[error("the component runs resident and listens itself: no TLS can be ended for it")]
    NoTls,
}

impl BuildError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ServerErrorKind {
        match self {
            Self::Component(error) => error.kind(),
            Self::Budgets(error) => error.kind(),
            Self::NoDirectory | Self::NoTls => ServerErrorKind::Usage,
        }
    }

    /// A stable word for the condition.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Component(error) => error.code(),
            Self::Budgets(_) => "usage",
            Self::NoDirectory => "sandbox",
            Self::NoTls => "tls-resident",
        }
    }
}

/// Where files are to go.
enum Place {
    Directory(Inbox),
    Storage(Box<dyn Storage>),
}

impl Server {
    /// Begins to set a server up that puts files into `inbox`.
    pub fn builder(inbox: Inbox) -> ServerBuilder {
        ServerBuilder::new(Place::Directory(inbox))
    }

    /// Begins to set a server up that puts files into a storage of its owner's. The largest file is that
    /// of the [limits](ServerBuilder::limits).
    pub fn builder_with(storage: impl Storage) -> ServerBuilder {
        ServerBuilder::new(Place::Storage(Box::new(storage)))
    }
}

/// The settings of a server; each has a default.
#[must_use]
pub struct ServerBuilder {
    place: Place,
    receiver: ReceiverSource,
    cache: Cache,
    limits: Limits,
    http_origins: Vec<Origin>,
    host_names: Vec<HostName>,
    proxies: Proxies,
    sandbox: Option<SandboxLimits>,
    max_memory_bytes: Option<usize>,
    tls: Option<Tls>,
    tls_rule: TlsRule,
    max_connections: u32,
    budgets: Budgets,
    drain_timeout: Duration,
    events: EventSink,
}

impl ServerBuilder {
    fn new(place: Place) -> Self {
        Self {
            place,
            receiver: ReceiverSource::default(),
            cache: Cache::default(),
            limits: Limits::default(),
            http_origins: Vec::new(),
            host_names: Vec::new(),
            proxies: Proxies::default(),
            sandbox: None,
            max_memory_bytes: None,
            tls: None,
            tls_rule: TlsRule::default(),
            max_connections: CONNECTIONS_MAX,
            budgets: Budgets::default(),
            drain_timeout: DRAIN_TIMEOUT,
            events: EventSink::default(),
        }
    }

    /// Which receiver to run: the embedded one by default.
    pub fn receiver(mut self, receiver: ReceiverSource) -> Self {
        self.receiver = receiver;
        self
    }

    /// Where the compiled receiver is kept: nowhere by default.
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// The limits of each connection. The largest file is that of the
    /// [inbox](sandport_inbox::InboxOptions::max_file_size), whatever `max_file_size` is here; that one is for a
    /// [storage of one's own](Server::builder_with).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Origins whose pages may send requests from a browser, besides the pages of this server; none by default.
    /// They are added to those of the [limits](Self::limits), and their names to the host names.
    pub fn http_origins(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.http_origins.extend(origins);
        self
    }

    /// Names of this server that a browser's request may have in `Host`, besides IP addresses and `localhost`; none
    /// by default. They are added to those of the [limits](Self::limits).
    pub fn host_names(mut self, names: impl IntoIterator<Item = HostName>) -> Self {
        self.host_names.extend(names);
        self
    }

    /// Peers that are believed where a sender is, by what they say in a request (`X-Forwarded-For`); nobody by default.
    ///
    /// With the PROXY protocol, what counts is the address in its header.
    pub fn trusted_proxies(mut self, peers: impl IntoIterator<Item = PeerRange>) -> Self {
        self.proxies.trusted.extend(peers);
        self
    }

    /// Peers whose connections begin with a header of the PROXY protocol, version 1 or 2, that says where they come
    /// from; nobody by default. A connection of theirs without one is refused.
    pub fn proxy_protocol(mut self, peers: impl IntoIterator<Item = PeerRange>) -> Self {
        self.proxies.announcing.extend(peers);
        self
    }

    /// What each sandbox may use; by default [`SandboxLimits::of_mode`].
    pub fn sandbox(mut self, limits: SandboxLimits) -> Self {
        self.sandbox = Some(limits);
        self
    }

    /// The linear memory of one instance, whatever its mode: in place of that of the limits.
    pub fn max_memory_bytes(mut self, bytes: usize) -> Self {
        self.max_memory_bytes = Some(bytes);
        self
    }

    /// The certificate for connections that begin with TLS. By default there is none: the receiver gets every byte, and
    /// ours refuses what it cannot read.
    ///
    /// Connections that the caller [hands over](Server::serve_connection) may begin with TLS too, and never have to.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Which connections have to be encrypted, where there is a [certificate](Self::tls); by default all that come to
    /// an address that other machines reach. A sender who does not encrypt is told so, and refused.
    pub fn tls_rule(mut self, rule: TlsRule) -> Self {
        self.tls_rule = rule;
        self
    }

    /// Connections by TCP at once, at least 1; 1,000 by default. Where more come, some [give way](Self::budgets), and
    /// others wait.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How the server is shared out among those who use it.
    pub fn budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// Peers whose address many senders share, such as a proxy that does not say whose connections it passes on; nobody
    /// by default. Each of their connections counts like an address of its own.
    pub fn shared_addresses(mut self, peers: impl IntoIterator<Item = PeerRange>) -> Self {
        self.proxies.shared.extend(peers);
        self
    }

    /// How long connections may go on after the shutdown; 30 seconds by default.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Called for each event, on the runtime's threads: it should not block.
    pub fn on_event(mut self, sink: impl Fn(ServerEvent) + Send + Sync + 'static) -> Self {
        self.events.callback = Some(Box::new(sink));
        self
    }

    /// How many events each stream of [`Server::events`] holds, at least 1; 1,024 by default. What finds no room is
    /// counted, and the stream says how many it were.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.events.capacity = events;
        self
    }

    /// Compiles the receiver, or loads it from the cache, and checks that it can run for each
    /// connection.
    ///
    /// # Errors
    /// [`BuildError`]; among others where the component runs resident.
    pub fn build(self) -> Result<Server, BuildError> {
        match self.build_any()? {
            AnyServer::PerConnection(server) => Ok(server),
            AnyServer::Resident(_) => Err(ComponentError::Resident.into()),
        }
    }

    /// Compiles the receiver, or loads it from the cache, and checks that it can run in the mode that
    /// its exports decide: see [`Mode`](crate::Mode).
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build_any(self) -> Result<AnyServer, BuildError> {
        self.budgets.check(self.max_connections)?;
        let local = self.budgets.local_connections(self.max_connections);
        let all_connections = self.max_connections.saturating_add(local);
        let limits = |mode| {
            let usual = SandboxLimits::of_mode(mode, self.max_connections);
            let mut limits = self.sandbox.unwrap_or(usual);
            limits.max_memory_bytes = self.max_memory_bytes.unwrap_or(limits.max_memory_bytes);
            limits
        };
        let slow = |name: &str| self.events.emit(ServerEvent::Compiling { name: name.to_owned() });
        let sandbox = AnySandbox::load(&self.receiver, &self.cache, limits, all_connections, slow)?;
        let mut limits = for_browsers(self.limits, &self.http_origins, &self.host_names);
        if let Place::Directory(inbox) = &self.place {
            limits.max_file_size = inbox.options().max_file_size;
        }
        let max_file_size = limits.max_file_size;
        let (proxies, events) = (self.proxies, self.events);
        let met = Arc::new(Met::default());
        let sharing = Sharing::new(self.budgets.unearned_percent, &met);
        let failures = Arc::new(Failures::new(&self.budgets, &met));
        let memory = Memory::new(&self.budgets, &met);
        let context = |inbox| {
            Arc::new(
                Context::new(inbox, limits, events)
                    .behind(proxies)
                    .counting(&met)
                    .sharing(sharing)
                    .delaying(&failures)
                    .holding(memory),
            )
        };
        let max_connections = self.max_connections;
        match (sandbox, self.place) {
            (AnySandbox::PerConnection(sandbox), place) => {
                let context = context(match place {
                    Place::Directory(inbox) => AnyInbox::from(inbox),
                    Place::Storage(storage) => AnyInbox::over(storage, max_file_size),
                });
                let budgets = self.budgets;
                let doors = Doors::new(&budgets, max_connections, &failures, &met);
                let (tls, tls_rule) = (self.tls, self.tls_rule);
                let shared = Shared { sandbox, context, doors, budgets, met, tls, tls_rule };
                let shared = Arc::new(shared);
                let serving = Serving::new(shared, self.drain_timeout);
                Ok(AnyServer::PerConnection(Server { serving: Arc::new(serving) }))
            }
            (AnySandbox::Resident(_), _) if self.tls.is_some() => Err(BuildError::NoTls),
            (AnySandbox::Resident(sandbox), Place::Directory(inbox)) => {
                let context = context(AnyInbox::from(inbox.clone()));
                Ok(AnyServer::Resident(ResidentServer::new(
                    sandbox,
                    inbox,
                    context,
                    max_connections,
                )))
            }
            (AnySandbox::Resident(_), Place::Storage(_)) => Err(BuildError::NoDirectory),
        }
    }
}

/// The limits with what browsers are allowed, each once.
fn for_browsers(mut limits: Limits, origins: &[Origin], names: &[HostName]) -> Limits {
    let add = |list: &mut Vec<String>, text: String| {
        if !list.contains(&text) {
            list.push(text);
        }
    };
    for origin in origins {
        add(&mut limits.http_origins, origin.to_string());
    }
    for name in names.iter().chain(origins.iter().filter_map(Origin::name)) {
        add(&mut limits.hosts, name.as_str().to_owned());
    }
    limits
}

/// A server for whatever the receiver is.
pub enum AnyServer {
    /// Each connection gets a sandbox.
    PerConnection(Server),
    /// The component listens and serves by itself.
    Resident(ResidentServer),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn browsers_may_use_names_of_the_server_and_allowed_origins() {
        let limits = Limits { hosts: vec![String::from("box")], ..Limits::default() };
        let origins = ["https://Files.Example", "http://[::1]:99", "https://files.example:443"];
        let origins = origins.map(|text| text.parse().unwrap());
        let names = ["box", "box.local"].map(|text| text.parse().unwrap());
        let limits = for_browsers(limits, &origins, &names);
        assert_eq!(limits.http_origins, ["https://files.example", "http://[::1]:99"]);
        assert_eq!(limits.hosts, ["box", "box.local", "files.example"]);
    }
}
