//! What can be typed, and set in the environment: the options of `sandport serve` that make sense here.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{FalseyValueParser, OsStr, Resettable};
use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, ValueEnum};
use jiff::SignedDuration;
use sandport_protocol::inbox::Conflict;
use sandport_protocol::options::number;
use sandport_protocol::{EntryName, Limits};

use crate::inbox::{Durability, Options};
use crate::report::{Failed, Form};

const EXAMPLES: &str = "\
Examples:
  wasmtime run -S inherit-network --dir ./inbox::/inbox sandport-standalone.wasm
  wasmtime run -S inherit-network --dir ./inbox::/inbox sandport-standalone.wasm \\
      --listen 0.0.0.0:6542 --max-file 2GiB

The runtime has to mount the directory. The component ends when the runtime is stopped.";

/// Receive files into a mounted directory
///
/// One instance serves all connections; `sandport serve` gives each a sandbox of its own.
#[derive(Debug, Parser)]
#[command(name = "sandport-standalone", version, after_help = EXAMPLES)]
pub(crate) struct Settings {
    /// Address to listen on: ip:port or [v6]:port; repeat it for more
    #[arg(
        short,
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:6542",
        value_parser = address,
        env = "SANDPORT_LISTEN",
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<SocketAddr>,

    /// Directory for received files, as the runtime has mounted it
    #[arg(long, value_name = "PATH", default_value = "/inbox", env = "SANDPORT_INBOX")]
    pub(crate) inbox: String,

    /// What to do with a file whose name is taken
    #[arg(long, value_enum, default_value = "rename", env = "SANDPORT_CONFLICT")]
    conflict: ConflictRule,

    /// What a receipt promises
    #[arg(long, value_enum, default_value = "commit", env = "SANDPORT_DURABILITY")]
    durability: DurabilityRule,

    /// Sync large uploads to disk at least every SIZE bytes
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        value_parser = size,
        env = "SANDPORT_WATERMARK_SIZE"
    )]
    watermark_size: u64,

    /// Sync large uploads to disk at least this often
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration,
        env = "SANDPORT_WATERMARK_TIME"
    )]
    watermark_time: Duration,

    /// Remove interrupted uploads that nobody has resumed for this long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "7d",
        value_parser = duration,
        env = "SANDPORT_EXPIRE_PARTIAL"
    )]
    expire_partial: Duration,

    /// Largest file that is accepted [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SANDPORT_MAX_FILE")]
    max_file: Option<u64>,

    /// Connections at once; further ones wait
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        value_parser = number(1..=u32::MAX),
        env = "SANDPORT_MAX_CONNECTIONS"
    )]
    pub(crate) max_connections: u32,

    /// End a connection after this much silence
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        env = "SANDPORT_IDLE_TIMEOUT"
    )]
    idle_timeout: Duration,

    /// Do not serve the classic protocol (size in decimal, `ack`, bytes)
    #[arg(long, env = "SANDPORT_NO_CLASSIC", value_parser = FalseyValueParser::new())]
    no_classic: bool,

    /// Name for files that arrive without one [default: time and a random number]
    #[arg(long, value_name = "NAME", env = "SANDPORT_CLASSIC_NAME", value_parser = entry_name)]
    classic_name: Option<EntryName>,

    /// How long to wait for more digits of a size without a line end, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = Limits::default().settle_ms,
        value_parser = number(0..=u32::MAX),
        env = "SANDPORT_SETTLE_MS"
    )]
    settle_ms: u32,

    /// Write JSON Lines to standard output
    #[arg(long, env = "SANDPORT_JSON", value_parser = FalseyValueParser::new())]
    json: bool,

    /// Print only results and errors
    #[arg(short, long, env = "SANDPORT_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
}

/// `--conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConflictRule {
    /// Number it: report.pdf, report-1.pdf
    Rename,
    /// Refuse it
    Refuse,
    /// Replace the other file
    Replace,
}

/// `--durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DurabilityRule {
    /// The file survives a power cut
    Commit,
    /// The file is visible, and may be lost in a power cut
    None,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Serve.
    Serve(Box<Settings>),
    /// Print this, and nothing else.
    Print(String),
}

impl Settings {
    /// Reads the command line, and the environment behind it.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Asked, Failed> {
        let parsed = Self::command()
            .mut_args(ignore_empty)
            .try_get_matches_from(arguments)
            .and_then(|matches| Self::from_arg_matches(&matches));
        match parsed {
            Ok(settings) => Ok(Asked::Serve(Box::new(settings))),
            Err(error) => match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Ok(Asked::Print(error.to_string()))
                }
                _ => Err(Failed::usage(&error.to_string())),
            },
        }
    }

    /// What the inbox has to know.
    pub(crate) fn inbox_options(&self) -> Options {
        Options {
            conflict: match self.conflict {
                ConflictRule::Rename => Conflict::Rename,
                ConflictRule::Refuse => Conflict::Refuse,
                ConflictRule::Replace => Conflict::Replace,
            },
            durability: match self.durability {
                DurabilityRule::Commit => Durability::Commit,
                DurabilityRule::None => Durability::None,
            },
            max_file_size: self.max_file,
            classic_name: self.classic_name.clone(),
            watermark_bytes: self.watermark_size,
            watermark_interval_ms: u64::try_from(self.watermark_time.as_millis())
                .unwrap_or(u64::MAX),
            partial_expiry_s: Some(self.expire_partial.as_secs()),
        }
    }

    /// What the machines have to know.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            classic: !self.no_classic,
            // A sandbox for each connection is what HTTP is served in so far.
            http: false,
            settle_ms: self.settle_ms,
            // As the protocol counts it, as far as that goes: 49 days.
            idle_timeout_ms: u32::try_from(self.idle_timeout.as_millis()).unwrap_or(u32::MAX),
            max_file_size: self.max_file,
            ..Limits::default()
        }
    }

    /// In which form it is told what happens.
    pub(crate) fn form(&self) -> Form {
        match (self.json, self.quiet) {
            (true, _) => Form::Json,
            (false, true) => Form::FewWords,
            (false, false) => Form::Words,
        }
    }
}

/// An empty variable of the environment is one that is not set, as for `sandport serve`.
fn ignore_empty(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(Resettable::<OsStr>::Reset) } else { arg }
}

/// Names of hosts are not looked up: the component does not ask for that power.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| String::from("write an IP address and a port: 0.0.0.0:6542, [::]:6542"))
}

/// A number of bytes: `1500`, `10MB`, `4 GiB`.
fn size(text: &str) -> Result<u64, String> {
    // What is more than any number of bytes comes out as the highest of them.
    let size = text.parse::<ByteSize>().ok().filter(|size| size.as_u64() < u64::MAX);
    size.map(|size| size.as_u64())
        .ok_or_else(|| String::from("write a number of bytes with a unit: 10MB, 4GiB"))
}

/// A length of time that is not nothing: `60s`, `500ms`, `1m 30s`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|it| Duration::try_from(it).ok());
    match parsed.or_else(|| days(text)) {
        Some(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(String::from("write a length of time with a unit: 60s, 500ms, 2m, 7d")),
    }
}

/// Days of 24 hours, which the other notation leaves to calendars.
fn days(text: &str) -> Option<Duration> {
    let days: u64 = text.strip_suffix('d')?.trim_end().parse().ok()?;
    days.checked_mul(24 * 3_600).map(Duration::from_secs)
}

fn entry_name(text: &str) -> Result<EntryName, String> {
    EntryName::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use sandport_protocol::options::SHARED_OPTIONS;

    use super::*;

    fn read(line: &str) -> Result<Asked, Failed> {
        Settings::read(std::iter::once("x").chain(line.split_whitespace()))
    }

    #[test]
    fn the_description_is_consistent() {
        Settings::command().debug_assert();
    }

    #[test]
    fn the_options_are_those_that_receiving_programs_share() {
        let command = Settings::command();
        let shared = |name| SHARED_OPTIONS.iter().find(|shared| Some(shared.name) == name);
        for arg in command.get_arguments().filter(|arg| arg.get_id() != "inbox") {
            let shared = shared(arg.get_long()).unwrap_or_else(|| panic!("{arg} is not shared"));
            assert_eq!(arg.get_env().unwrap(), shared.variable().as_str(), "{arg}");
            if let Some(value) = shared.value {
                assert_eq!(arg.get_value_names().unwrap(), [value], "{arg}");
            }
            if let Some(default) = shared.default {
                assert_eq!(arg.get_default_values(), [default], "{arg}");
            }
        }
        for shared in SHARED_OPTIONS {
            let has = |arg: &Arg| arg.get_long() == Some(shared.name);
            assert!(command.get_arguments().any(has), "no --{}", shared.name);
        }
    }

    #[test]
    fn what_a_host_passes_on_is_understood() {
        let line = "--listen 127.0.0.1:0 --listen [::1]:7 --listen [fe80::1%2]:7 --inbox /inbox --json --max-file 1048576 \
                    --conflict refuse --max-connections 5 --idle-timeout 30000ms --no-classic \
                    --classic-name a/b --settle-ms 70";
        let Ok(Asked::Serve(settings)) = read(line) else { panic!("it is refused") };
        assert_eq!(settings.listen.len(), 3);
        assert_eq!(settings.inbox_options().conflict, Conflict::Refuse);
        assert_eq!(settings.inbox_options().max_file_size, Some(1 << 20));
        let limits = settings.limits();
        assert_eq!((limits.idle_timeout_ms, limits.settle_ms), (30_000, 70));
        assert!(!limits.classic);
        assert_eq!(settings.form(), Form::Json);
    }

    #[test]
    fn what_is_not_said_is_as_an_inbox_has_it() {
        let Ok(Asked::Serve(settings)) = read("") else { panic!("it is refused") };
        let (said, usual) = (settings.inbox_options(), Options::default());
        assert_eq!(said.watermark_bytes, usual.watermark_bytes);
        assert_eq!(said.watermark_interval_ms, usual.watermark_interval_ms);
        assert_eq!(said.partial_expiry_s, usual.partial_expiry_s);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_form_that_would() {
        for (line, said) in [
            ("--listen localhost:7", "write an IP address"),
            ("--idle-timeout soon", "write a length of time"),
            ("--expire-partial 99999999999999999999d", "write a length of time"),
            ("--max-file much", "write a number of bytes"),
            ("--classic-name ../x", "dots only"),
            ("--conflict fight", "rename, refuse, replace"),
            ("--max-connections 0", "write a whole number from 1"),
            ("--settle-ms=-1", "write a whole number from 0"),
            ("file.txt", "unexpected argument"),
        ] {
            let Err(error) = read(line) else { panic!("{line} is taken") };
            assert!(error.to_string().contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn help_and_version_are_no_failure() {
        assert!(matches!(read("--help"), Ok(Asked::Print(text)) if text.contains("--listen")));
        assert!(matches!(read("--version"), Ok(Asked::Print(text)) if text.contains('.')));
    }
}
