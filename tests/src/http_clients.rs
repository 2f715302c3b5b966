//! Clients of HTTP that others have written, and proxies that stand before servers.
//!
//! The packages of npm and PyPI lie in a directory that lane `http-clients` of `.ci/run` fills, and the programs are the
//! system's. What is missing fails the test that needs it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::connection::connect;
use crate::deadline::until;
use crate::process::{self, Ended, Input, Running};
use crate::{Fate, Middlebox, Server, clients};

/// Names the directory with the packages.
const CLIENTS: &str = "SANDPORT_TEST_HTTP_CLIENTS";

/// A file in the directory with the packages.
pub(crate) fn installed(path: &str) -> PathBuf {
    let directory = std::env::var_os(CLIENTS).unwrap_or_else(|| {
        panic!(
            "{CLIENTS} is not set: run lane `http-clients` of .ci/run, which fills that directory"
        )
    });
    let path = Path::new(&directory).join(path);
    assert!(path.exists(), "{}: lane `http-clients` of .ci/run installs it", path.display());
    path
}

/// A program of the system. Those that are servers may lie where an ordinary user's `PATH` does not lead.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: install the package of that name"))
}

/// Runs a program of the system in a directory.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(
    name: &str,
    directory: &Path,
    arguments: impl IntoIterator<Item = S>,
    stdin: &[u8],
) -> Ended {
    let mut command = Command::new(program(name));
    process::run(command.current_dir(directory).args(arguments), stdin)
}

/// Runs httpie in a directory.
#[track_caller]
pub fn httpie<S: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = S>) -> Ended {
    let mut command = Command::new(installed("python/bin/http"));
    // Its settings would lie in the home of whoever runs the tests.
    command.env("HTTPIE_CONFIG_DIR", directory).arg("--ignore-stdin").args(arguments);
    process::run(command.current_dir(directory), b"")
}

/// Runs a script of `tests/clients/http` in Python.
#[track_caller]
pub fn python<S: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = S>) -> Ended {
    let mut command = Command::new(installed("python/bin/python3"));
    // -B: it leaves nothing beside the scripts.
    command.args(["-B", "-u"]).arg(clients::script(&format!("http/{script}"))).args(arguments);
    process::run(&mut command, b"")
}

/// Runs tus-js-client of version 4 or 5 in Node. `options` as `tus_js.mjs` takes them; what it has told.
#[track_caller]
pub fn tus_js(version: u8, options: &Value) -> Told {
    let mut command = Command::new(program("node"));
    command.arg(installed("node/tus_js.mjs")).args([version.to_string(), options.to_string()]);
    Told::of(&process::run(&mut command, b""))
}

/// What a script in Node has told, and how it ended.
#[derive(Debug)]
pub struct Told {
    /// The exit code.
    pub code: Option<i32>,
    /// What happened.
    pub events: Vec<Value>,
}

impl Told {
    #[track_caller]
    fn of(ended: &Ended) -> Self {
        assert_eq!(ended.stderr, "", "{ended:?}");
        Self { code: ended.code, events: clients::json_lines(ended) }
    }

    /// The first event of this kind.
    #[track_caller]
    pub fn event(&self, event: &str) -> &Value {
        let mut events = self.events.iter();
        events.find(|it| it["event"] == event).unwrap_or_else(|| panic!("no {event}: {self:?}"))
    }

    /// The requests that were answered, as `METHOD status`, in their order.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.events.iter().filter(|it| it["event"] == "request");
        requests
            .map(|it| format!("{} {}", it["method"].as_str().unwrap_or_default(), it["status"]))
            .collect()
    }
}

/// A page in Chromium that is to upload files.
#[derive(Debug)]
pub struct Page {
    script: Running,
    input: Input,
    /// Where the page is from.
    pub origin: String,
}

impl Page {
    /// Makes one: `uppy`, or `form`.
    #[track_caller]
    pub fn open(kind: &str) -> Self {
        let mut command = Command::new(program("node"));
        command.arg(installed("node/browser.mjs")).arg(kind).env("CHROMIUM", program("chromium"));
        let (mut script, input) = Running::open(&mut command);
        let line: Value = serde_json::from_str(&script.line("the origin of a page")).expect("JSON");
        let origin = line["origin"].as_str().expect("an origin is text").to_owned();
        Self { script, input, origin }
    }

    /// Uploads files; what has happened.
    #[track_caller]
    pub fn send(self, target: &str, files: &[PathBuf], options: &Value) -> Told {
        let what = serde_json::json!({ "target": target, "files": files, "options": options });
        self.input.write(format!("{what}\n"));
        Told::of(&self.script.finish())
    }
}

/// Which program stands before a server, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it comes: requests are buffered, and sent on when they are whole. It has the server below `/below/` too.
    Nginx,
    /// Requests and answers are passed on as they come, in HTTP/1.0: it takes `104` for the final answer, and passes on
    /// nothing of the request after that.
    NginxUnbuffered,
    /// As it comes: requests are passed on as they come.
    Haproxy,
    /// What fits into its buffer of a request is waited for.
    HaproxyBuffered,
    /// As it comes: requests are passed on as they come.
    Caddy,
    /// Bodies of requests are buffered, up to a size.
    CaddyBuffered,
}

/// A proxy before a server, with a box in the middle between it and the clients.
#[derive(Debug)]
pub struct Proxy {
    /// What the clients connect to.
    pub front: Middlebox,
    _process: Running,
    _directory: TempDir,
}

impl Proxy {
    /// Starts one, and waits until it listens. `fates` are those of the first connections of clients.
    #[track_caller]
    pub fn before(server: &Server, kind: Kind, fates: impl IntoIterator<Item = Fate>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().to_str().expect("a path of text");
        let socket = format!("{path}/socket");
        let settings =
            kind.settings().replace("DIRECTORY", path).replace("SERVER", server.address());
        let file = directory.path().join("settings");
        fs::write(&file, settings).expect("a file can be written");
        let mut command = match kind {
            Kind::Nginx | Kind::NginxUnbuffered => {
                let mut command = Command::new(program("nginx"));
                command.args(["-e", "stderr", "-p", path, "-c"]).arg(&file);
                command
            }
            Kind::Haproxy | Kind::HaproxyBuffered => {
                let mut command = Command::new(program("haproxy"));
                command.args(["-db", "-q", "-f"]).arg(&file);
                command
            }
            Kind::Caddy | Kind::CaddyBuffered => {
                let mut command = Command::new(installed("python/bin/caddy"));
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
                command.env("HOME", path).env("XDG_DATA_HOME", path).env("XDG_CONFIG_HOME", path);
                command
            }
        };
        let mut process = Running::start_leader(&mut command);
        let address = format!("unix:{socket}");
        until(format_args!("{kind:?} to listen"), || {
            assert!(!process.has_ended(), "{kind:?} has ended");
            connect(&address).is_ok()
        });
        let front = Middlebox::before(&address, fates);
        Self { front, _process: process, _directory: directory }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Nginx,
        Self::NginxUnbuffered,
        Self::Haproxy,
        Self::HaproxyBuffered,
        Self::Caddy,
        Self::CaddyBuffered,
    ];

    fn settings(self) -> String {
        match self {
            Self::Nginx => nginx(""),
            Self::NginxUnbuffered => nginx(
                "proxy_http_version 1.0; proxy_request_buffering off; proxy_buffering off; \
                 proxy_set_header Host $http_host;",
            ),
            Self::Haproxy => haproxy(""),
            Self::HaproxyBuffered => haproxy("option http-buffer-request"),
            Self::Caddy => caddy(""),
            Self::CaddyBuffered => caddy("request_buffers 64MiB"),
        }
    }
}

fn nginx(location: &str) -> String {
    format!(
        "daemon off; master_process off; pid DIRECTORY/pid; events {{}} \
         http {{ access_log off; client_body_temp_path DIRECTORY/body; proxy_temp_path DIRECTORY/proxy; \
         fastcgi_temp_path DIRECTORY/fastcgi; uwsgi_temp_path DIRECTORY/uwsgi; scgi_temp_path DIRECTORY/scgi; \
         server {{ listen unix:DIRECTORY/socket; client_max_body_size 0; \
         location / {{ proxy_pass http://SERVER; {location} }} \
         location /below/ {{ proxy_pass http://SERVER/; {location} }} }} }}\n"
    )
}

fn haproxy(option: &str) -> String {
    format!(
        "defaults\n  mode http\n  timeout connect 60s\n  timeout client 60s\n  timeout server 60s\n\
         frontend front\n  bind unix@DIRECTORY/socket\n  {option}\n  default_backend back\n\
         backend back\n  server one SERVER\n"
    )
}

fn caddy(option: &str) -> String {
    format!(
        "{{\n  admin off\n  auto_https off\n  persist_config off\n}}\n\
         http:// {{\n  bind unix/DIRECTORY/socket\n  reverse_proxy SERVER {{\n    {option}\n  }}\n}}\n"
    )
}
