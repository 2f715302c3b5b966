//! Servers of others that take files over HTTP and may be installed on this machine.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{Server, installed};

/// The largest body that rustus is to take. It answers what is larger and reads no further. Bytes.
const BODY_BYTES_MAX: u64 = 1 << 40;

/// Where a server takes uploads of tus. SeaweedFS has the name of the file in the address.
pub(super) struct Tus {
    pub(super) server: Server,
    pub(super) target: &'static str,
    /// Whether its directory holds files, which may be removed, and no store of its own.
    pub(super) has_files: bool,
}

/// A file server in Rust; it hashes nothing and syncs nothing.
pub(super) fn dufs(dir: &Path) -> Result<Option<Server>> {
    start("dufs", |command, address| {
        command.args(["--bind", "127.0.0.1", "--port"]).arg(address.port().to_string());
        command.arg("--allow-all").arg(dir);
        Ok(())
    })
}

/// Another one, which takes forms.
pub(super) fn miniserve(dir: &Path) -> Result<Option<Server>> {
    start("miniserve", |command, address| {
        command.args(["--interfaces", "127.0.0.1", "--port"]).arg(address.port().to_string());
        command.args(["--upload-files", "--on-duplicate-files", "overwrite"]).arg(dir);
        Ok(())
    })
}

/// rclone, which serves a directory by `WebDAV`.
pub(super) fn rclone(dir: &Path) -> Result<Option<Server>> {
    start("rclone", |command, address| {
        command.args(["serve", "webdav"]).arg(dir).arg("--addr").arg(address.to_string());
        Ok(())
    })
}

/// nginx with `dav_methods PUT`: it gathers the body in a file beside the others and renames that.
pub(super) fn nginx(dir: &Path, scratch: &Path) -> Result<Option<Server>> {
    let root = dir.display();
    // On the same file system, so that it can rename; not in it, which is emptied.
    let bodies = dir.with_file_name("nginx-bodies");
    let bodies = bodies.display();
    let config = scratch.join("nginx.conf");
    start("nginx", |command, address| {
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; pid {bodies}.pid; error_log stderr;\n\
                 events {{}}\n\
                 http {{ access_log off; client_max_body_size 0; client_body_temp_path {bodies};\n\
                 proxy_temp_path {bodies}; fastcgi_temp_path {bodies}; uwsgi_temp_path {bodies};\n\
                 scgi_temp_path {bodies};\n\
                 server {{ listen {address}; location / {{ root {root}; dav_methods PUT; }} }} }}\n"
            ),
        )?;
        command.arg("-c").arg(&config).args(["-e", "stderr"]);
        Ok(())
    })
}

/// A file server in Python; it hashes what it takes with SHA-512.
pub(super) fn copyparty(dir: &Path) -> Result<Option<Server>> {
    start("copyparty", |command, address| {
        // It writes into memory only where it is told to.
        command.args(["-q", "--wram", "-i", "127.0.0.1", "-p"]).arg(address.port().to_string());
        command.arg("-v").arg(format!("{}::rwd", dir.display()));
        Ok(())
    })
}

/// The reference server of tus, in Node. It stands in `node_modules` below the current directory.
pub(super) fn tus_node(dir: &Path, scratch: &Path) -> Result<Option<Tus>> {
    if !Path::new("node_modules/@tus/server").is_dir() {
        return Ok(None);
    }
    // Modules are looked for above the directory of the script.
    let script = scratch.join("tus.mjs");
    let modules = fs::canonicalize("node_modules")?;
    let link = scratch.join("node_modules");
    if !link.exists() {
        std::os::unix::fs::symlink(modules, link)?;
    }
    fs::write(&script, include_str!("tus.mjs"))?;
    let server = start("node", |command, address| {
        command.arg(&script).arg(address.port().to_string()).arg(dir);
        Ok(())
    })?;
    Ok(server.map(|server| Tus { server, target: "/files/", has_files: true }))
}

/// A server of tus in Rust.
pub(super) fn rustus(dir: &Path) -> Result<Option<Tus>> {
    let server = start("rustus", |command, address| {
        command.args(["--host", "127.0.0.1", "--port"]).arg(address.port().to_string());
        command.arg("--max-body-size").arg(BODY_BYTES_MAX.to_string());
        command.arg("--data-dir").arg(dir).arg("--info-dir").arg(dir.with_file_name("rustus-info"));
        Ok(())
    })?;
    Ok(server.map(|server| Tus { server, target: "/files/", has_files: true }))
}

/// A filer of `SeaweedFS`, with its master and volume in the same process.
pub(super) fn seaweedfs(dir: &Path) -> Result<Option<Tus>> {
    let server = start("weed", |command, address| {
        let listeners = (0..5)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<Vec<_>, _>>()
            .context("find free ports")?;
        let mut ports = Vec::new();
        for listener in &listeners {
            ports.push(listener.local_addr()?.port());
        }
        command.current_dir(dir).args(["server", "-filer", "-dir=.", "-volume.max=50"]);
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        command.arg(format!("-filer.port={}", address.port()));
        let names = [
            "filer.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
        ];
        for (name, port) in names.iter().zip(ports) {
            command.arg(format!("-{name}={port}"));
        }
        Ok(())
    })?;
    Ok(server.map(|server| Tus { server, target: "/.tus/noise.bin", has_files: false }))
}

/// Starts a program on a port of its own; `None`: it is not installed. `arguments` adds what it is told.
fn start(
    program: &str,
    arguments: impl FnOnce(&mut Command, SocketAddr) -> Result<()>,
) -> Result<Option<Server>> {
    let Some(program) = installed(program) else { return Ok(None) };
    Server::start_on_port(|address| {
        let mut command = Command::new(program);
        arguments(&mut command, address)?;
        Ok(command)
    })
    .map(Some)
}
