//! By which door a connection comes in, and where it counts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use sandport_inbox::Identity;

use crate::budget::{Arrived, Budgets, Capacity, Door, Failures, Met, Source};
use crate::net::{Place, Proxies, Stream};

/// The places of a server: those for the network, and those for local sockets.
pub(crate) struct Doors {
    network: Arc<Door>,
    local: Arc<Door>,
    failures: Arc<Failures>,
}

impl Doors {
    pub(crate) fn new(
        budgets: &Budgets,
        max_connections: u32,
        failures: &Arc<Failures>,
        met: &Arc<Met>,
    ) -> Self {
        let door = |places: u32| {
            let per_source = budgets.max_address_connections.unwrap_or(places);
            let [places, per_source, waiting] =
                [places, per_source, budgets.max_waiting].map(|it| it as usize);
            let capacity = Capacity { places, per_source, waiting };
            Arc::new(Door::new(capacity, budgets.min_bytes_per_minute, Arc::clone(met)))
        };
        let local = door(budgets.local_connections(max_connections));
        Self { network: door(max_connections), local, failures: Arc::clone(failures) }
    }

    /// A connection arrives.
    pub(crate) fn arrive(&self, stream: &Stream, proxies: &Proxies) -> Arrived {
        let place = stream.place();
        let identity = &stream.peer().identity;
        let door = match place {
            Place::Local => &self.local,
            Place::Ip(_) | Place::Unknown => &self.network,
        };
        // Whose it is, such a proxy says in a moment.
        let is_announced = proxies.expect_header(place);
        let source = |number| match source(place, identity, proxies, number) {
            Source::Single(number) => Source::Single(number),
            _ if is_announced => proxy(place),
            source => source,
        };
        door.arrive(source, |source| self.failures.before_place(source))
    }

    /// Somebody waits, and others may have become idle.
    pub(crate) fn reconsider(&self, stream: &Stream) {
        match stream.place() {
            Place::Local => self.local.reconsider(),
            Place::Ip(_) | Place::Unknown => self.network.reconsider(),
        }
    }

    /// Connections that are served.
    pub(crate) fn served(&self) -> usize {
        self.network.served() + self.local.served()
    }
}

/// Where a connection from this place counts, after what a PROXY header said.
pub(crate) fn source(place: Place, identity: &Identity, proxies: &Proxies, number: u64) -> Source {
    if proxies.is_shared(place) {
        return Source::Single(number);
    }
    if proxies.trust(place) {
        return proxy(place);
    }
    match place {
        Place::Ip(address) => Source::at(address),
        Place::Local => identity.name().map_or(Source::Local, |name| Source::User(number_of(name))),
        Place::Unknown => Source::Unknown,
    }
}

/// A number that stands for a name. Whose name it is, the host has found out: nobody chooses one to be taken for
/// another.
fn number_of(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn proxy(place: Place) -> Source {
    Source::Proxy(match place {
        Place::Ip(address) => Some(address),
        Place::Local | Place::Unknown => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_connection_counts_at_its_address_unless_others_share_it() {
        let range = |text: &str| vec![text.parse().unwrap()];
        let proxies = Proxies {
            trusted: range("10.0.0.1"),
            announcing: Vec::new(),
            shared: range("10.1.0.0/16"),
        };
        let at = |text: &str| {
            let address: std::net::IpAddr = text.parse().unwrap();
            source(Place::of(address), &Identity::user(1_000), &proxies, 7)
        };
        assert_eq!(at("192.0.2.1"), Source::at("192.0.2.1".parse().unwrap()));
        assert_eq!(at("10.0.0.1"), Source::Proxy(Some("10.0.0.1".parse().unwrap())));
        assert_eq!(at("10.1.2.3"), Source::Single(7));
        assert_eq!(at("::ffff:10.1.2.3"), Source::Single(7));
        let local = |identity: Identity| source(Place::Local, &identity, &proxies, 7);
        assert_eq!(local(Identity::user(1_000)), local(Identity::user(1_000)));
        assert_ne!(local(Identity::user(1_000)), local(Identity::user(1_001)));
        assert_eq!(local(Identity::ANONYMOUS), Source::Local);
        let local_proxy = Proxies { trusted: range("unix"), ..Proxies::default() };
        assert_eq!(source(Place::Local, &Identity::user(0), &local_proxy, 7), Source::Proxy(None));
    }
}
