//! The standalone component: under a stock runtime, resident in our host, and beside a sandbox for each
//! connection.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::environment::{Durability, Environment, cargo};
use crate::feed::{self, Content};
use crate::process::Server;
use crate::receivers;
use crate::resume;
use crate::rounds::{Amount, Contestant, alternate, sample, table, timed};
use crate::stats::Sample;
use crate::table::Table;

/// Senders at once, in the second section.
const SENDERS: usize = 100;

/// How much wasmtime lets a component read and write at a time.
const STEP_BYTES: &str = "65536";

/// Runs the sections, in memory. `wasmtime` is a program to use in place of `stock.rs`.
pub(crate) fn run_part(
    environment: &Environment,
    size: u64,
    rounds: usize,
    wasmtime: Option<&Path>,
) -> Result<()> {
    let programs = Programs::build(environment, wasmtime)?;
    let contestants = Servers::start(environment, &programs)?;
    let whole = Content::new(size);
    let title = |rest: &str| format!("{} MiB over loopback, in memory, {rest}", size / (1 << 20));
    print!("{}", contestants.compare(title("one sender"), &whole, 1, rounds)?);
    let part = Content::new(size / SENDERS as u64);
    print!("{}", contestants.compare(title("100 senders at once"), &part, SENDERS, rounds)?);
    drop(contestants);
    let mib = size / (1 << 20);
    let title =
        format!("Sent twice, of {mib} MiB onto a disk, where the resident component is killed");
    let resident = |dir: &Path| programs.resident(environment, dir, Durability::Full);
    print!("{}", resume::sent_twice(environment, title, &resident, size, rounds)?);
    Ok(())
}

struct Programs {
    wasmtime: PathBuf,
    component: PathBuf,
}

impl Programs {
    fn build(environment: &Environment, wasmtime: Option<&Path>) -> Result<Self> {
        let target = environment.own.parent().context("this program has no directory")?;
        let wasmtime = match wasmtime {
            Some(wasmtime) => wasmtime.to_owned(),
            None => {
                cargo(&["--release", "--package", "sandport-tests", "--bin", "stock"])?;
                target.join("stock")
            }
        };
        ensure!(wasmtime.is_file(), "there is no {}", wasmtime.display());
        let wasm = "wasm32-wasip2";
        cargo(&["--package", "sandport-standalone", "--target", wasm, "--profile", "guest"])?;
        let target = target.parent().context("a profile's directory lies in another")?;
        let component = target.join(wasm).join("guest/sandport-standalone.wasm");
        Ok(Self { wasmtime, component })
    }

    fn stock(&self, dir: &Path) -> Result<Server> {
        let mut mount = dir.as_os_str().to_owned();
        mount.push("::/inbox");
        let mut command = Command::new(&self.wasmtime);
        command.args(["run", "-S", "inherit-network", "--dir"]).arg(mount).arg(&self.component);
        command.args(["--listen", "127.0.0.1:0", "--durability", "none", "--quiet"]);
        Server::start(&mut command)
    }

    fn resident(
        &self,
        environment: &Environment,
        dir: &Path,
        durability: Durability,
    ) -> Result<Server> {
        let mut command = environment.serve(dir, durability);
        Server::start(command.arg("--receiver").arg(&self.component))
    }
}

/// A running receiver and the directory that it fills.
struct Receiver {
    server: Server,
    dir: PathBuf,
}

impl Receiver {
    fn sample(&self, transfer: impl FnOnce(SocketAddr) -> Result<Duration>) -> Result<Sample> {
        receivers::empty(&self.dir)?;
        let sample = sample(&self.server, || transfer(self.server.address))?;
        receivers::empty(&self.dir)?;
        Ok(sample)
    }
}

struct Servers {
    hashing: Receiver,
    plain: Receiver,
    stepwise: Receiver,
    stock: Receiver,
    resident: Receiver,
    sandboxes: Receiver,
}

impl Servers {
    fn start(environment: &Environment, programs: &Programs) -> Result<Self> {
        let place = &environment.tmpfs;
        let receiver = |name: &str, start: &dyn Fn(&Path) -> Result<Server>| {
            let dir = place.directory(&format!("standalone-{name}"))?;
            anyhow::Ok(Receiver { server: start(&dir)?, dir })
        };
        Ok(Self {
            hashing: receiver("hashing", &|dir| {
                environment.receiver(&["native-loop", "--hash"], dir)
            })?,
            plain: receiver("plain", &|dir| environment.receiver(&["native-loop"], dir))?,
            stepwise: receiver("stepwise", &|dir| {
                environment.receiver(&["native-loop", "--step", STEP_BYTES], dir)
            })?,
            stock: receiver("stock", &|dir| programs.stock(dir))?,
            resident: receiver("resident", &|dir| {
                programs.resident(environment, dir, Durability::None)
            })?,
            sandboxes: receiver("sandboxes", &|dir| environment.sandport(dir, Durability::None))?,
        })
    }

    fn compare(
        &self,
        title: String,
        content: &Content,
        senders: usize,
        rounds: usize,
    ) -> Result<Table> {
        let classic = |address| at_once(senders, |_| feed::classic(address, content));
        let native = |round: usize| {
            move |address| {
                at_once(senders, |sender| {
                    feed::native(address, &format!("{round}-{sender}.bin"), content)
                })
            }
        };
        let mut contestants = vec![
            Contestant::new("native loop, BLAKE3", |_| self.hashing.sample(classic)),
            Contestant::new("stock runtime, native dialect", |round| {
                self.stock.sample(native(round))
            }),
            Contestant::new("resident, native dialect", |round| {
                self.resident.sample(native(round))
            }),
            Contestant::new("a sandbox each, native dialect", |round| {
                self.sandboxes.sample(native(round))
            }),
            Contestant::new("native loop, no hash", |_| self.plain.sample(classic)),
            Contestant::new("native loop, no hash, 64 KiB at a time", |_| {
                self.stepwise.sample(classic)
            }),
            Contestant::new("stock runtime, classic dialect", |_| self.stock.sample(classic)),
            Contestant::new("resident, classic dialect", |_| self.resident.sample(classic)),
            Contestant::new("a sandbox each, classic dialect", |_| self.sandboxes.sample(classic)),
        ];
        alternate(&mut contestants, rounds)?;
        let amount = Amount::Bytes(content.size * senders as u64);
        let mut table = table(title, amount, &contestants);
        table.note(
            "The standalone component hashes in the native dialect, in WebAssembly, and not in the \
             classic one. A sandbox each hashes in both, in native code.",
        );
        Ok(table)
    }
}

/// Runs that many senders at once; how long all took.
fn at_once(senders: usize, send: impl Fn(usize) -> Result<Duration> + Sync) -> Result<Duration> {
    if senders == 1 {
        return send(0);
    }
    timed(|| {
        std::thread::scope(|scope| {
            let send = &send;
            let running: Vec<_> =
                (0..senders).map(|sender| scope.spawn(move || send(sender))).collect();
            running.into_iter().try_for_each(|sender| match sender.join() {
                Ok(sent) => sent.map(drop),
                Err(_) => anyhow::bail!("a sender panicked"),
            })
        })
    })
}
