//! Servers of others that take uploads over HTTP, which lane `http-clients` of `.ci/run` installs.

use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use crate::connection::connect;
use crate::deadline::until;
use crate::http_clients::installed;
use crate::process::Running;

/// Where SeaweedFS has its uploads of tus.
const TUS: &str = "/.tus/";

/// A filer of SeaweedFS. It speaks tus, with the name of a file in the address where others have metadata.
#[derive(Debug)]
pub struct SeaweedFs {
    address: String,
    _process: Running,
    _directory: TempDir,
}

impl SeaweedFs {
    /// Starts one, and waits until it listens.
    #[track_caller]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // It takes no socket that is open already, nor says which port it has found.
        let listeners: Vec<TcpListener> =
            (0..6).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free")).collect();
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().expect("it listens").port())
            .collect();
        drop(listeners);
        let mut command = Command::new(installed("python/bin/weed"));
        command.current_dir(directory.path()).args(["server", "-filer", "-dir=.", "-volume.max=5"]);
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        let names = ["master", "volume", "filer"];
        for (name, ports) in names.iter().zip(ports.chunks(2)) {
            command.arg(format!("-{name}.port={}", ports[0]));
            command.arg(format!("-{name}.port.grpc={}", ports[1]));
        }
        let mut process = Running::start_leader(&mut command);
        let address = format!("127.0.0.1:{}", ports[4]);
        until("SeaweedFS to listen", || {
            assert!(!process.has_ended(), "SeaweedFS has ended");
            connect(&address).is_ok()
        });
        Self { address, _process: process, _directory: directory }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The path of a request that begins an upload of this name.
    pub fn upload(name: &str) -> String {
        format!("{TUS}{name}")
    }
}
