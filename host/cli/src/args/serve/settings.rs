//! What the arguments of `sandport serve` set in the libraries.

use sandport_inbox::{Conflict, Durability, InboxOptions, Quota, Records};
use sandport_protocol::Limits;
use sandport_server::Budgets;
use sandport_server::net::Address;

use super::{ConflictRule, DurabilityRule, RecordsRule, ServeArgs, Switch};
use crate::args::values::millis;

impl ServeArgs {
    /// What the inbox has to know.
    pub(crate) fn inbox_options(&self) -> InboxOptions {
        let mut options = InboxOptions::default();
        options.conflict = match self.conflict {
            ConflictRule::Rename => Conflict::Rename,
            ConflictRule::Refuse => Conflict::Refuse,
            ConflictRule::Replace => Conflict::Replace,
        };
        options.durability = match self.durability {
            DurabilityRule::Full => Durability::Full,
            DurabilityRule::Commit => Durability::Commit,
            DurabilityRule::None => Durability::None,
        };
        options.records = match self.records {
            RecordsRule::Log => Records::Log,
            RecordsRule::Memory => Records::Memory,
        };
        options.watermark_bytes = self.watermark_size;
        options.watermark_interval = self.watermark_time;
        options.max_file_size = self.max_file;
        options.quota = Quota::new(self.quota_bytes, self.quota_files);
        options.identity_quota = Quota::new(self.identity_quota_bytes, self.identity_quota_files);
        options.max_place_bytes = self.max_address_staged;
        options.min_free = self.min_free.unwrap_or(0);
        options.partial_expiry = Some(self.expire_partial);
        options.allow_executable = self.allow_executable;
        options.classic_name = self.classic_name.clone();
        options
    }

    /// How the server is to be shared out.
    pub(crate) fn budgets(&self) -> Budgets {
        let mut budgets = Budgets::default();
        budgets.max_local_connections = Some(self.local_connections());
        budgets.max_address_connections = self.max_address_connections;
        budgets.max_waiting = self.max_waiting;
        budgets.first_byte_timeout = self.first_byte_timeout;
        budgets.hello_timeout = self.hello_timeout;
        budgets.offer_timeout = self.offer_timeout;
        budgets.min_bytes_per_minute = self.min_per_minute;
        budgets.unearned_percent = self.unearned_percent;
        budgets.free_failures = self.free_failures;
        budgets.max_delay = self.max_delay;
        budgets.max_upload_memory = self.max_upload_memory;
        budgets.max_address_memory = self.max_address_memory;
        budgets.max_connection_memory = self.max_connection_memory;
        budgets
    }

    /// Connections at once by Unix sockets.
    pub(crate) fn local_connections(&self) -> u32 {
        let usual = if self.listens_to_network() {
            Budgets::default().local_connections(self.max_connections)
        } else {
            self.max_connections
        };
        self.max_local_connections.unwrap_or(usual)
    }

    /// Whether it listens on an address of TCP.
    pub(crate) fn listens_to_network(&self) -> bool {
        self.listen.iter().any(|it| !matches!(it, Address::Unix(_)))
    }

    /// Whether it listens on a Unix socket.
    pub(crate) fn listens_locally(&self) -> bool {
        self.listen.iter().any(|it| matches!(it, Address::Unix(_)))
    }

    /// What was set and concerns the native inbox alone.
    pub(crate) fn ignored_by_resident(&self) -> Vec<&'static str> {
        let set = [
            ("--allow-executable", self.allow_executable),
            ("--records", self.records != RecordsRule::Log),
            ("--http-origin", !self.http_origin.is_empty()),
            ("--max-local-connections", self.max_local_connections.is_some()),
            ("--max-address-connections", self.max_address_connections.is_some()),
            ("--max-address-memory", self.max_address_memory.is_some()),
            ("--max-connection-memory", self.max_connection_memory.is_some()),
            ("--shared-address", !self.shared_address.is_empty()),
            ("--trusted-proxy", !self.trusted_proxy.is_empty()),
            ("--proxy-protocol", !self.proxy_protocol.is_empty()),
        ];
        set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect()
    }

    /// What receivers have to know.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            classic: !self.no_classic,
            http: self.http == Switch::On,
            settle_ms: self.settle_ms,
            idle_timeout_ms: millis(self.idle_timeout),
            ..Limits::default()
        }
    }
}
