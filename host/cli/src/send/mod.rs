//! `sandport send`.

use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use sandport_client::{
    Connections, Destination, Dialect, Exclude, SendError, SendOptions, Source, plan, send_until,
};

use crate::args::{STDIN, SendArgs, Talk};
use crate::console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::process;
use crate::signals::{Signals, survive_large_files};
use output::Output;

mod json;
mod output;
mod progress;
mod words;

/// Threads that a sender cannot do without: for names that are resolved, and for what reads files.
const THREADS: usize = 4;

/// Sends everything and says what became of it.
pub(crate) fn run(args: SendArgs, talk: &Talk) -> Result<Exit, Failure> {
    let sources = sources(&args)?;
    process::check_threads(THREADS)?;
    // One thread drives the connection: crossing threads for each wake-up would cost more than it
    // brings. Files are read on others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("start the runtime", &error))?;
    if reads_terminal(&args, std::io::stdin().is_terminal()) && !talk.quiet {
        console::talk("reading from the terminal: press Ctrl-D at the start of a line to end");
    }
    let mut output = Output::new(talk, args.dry_run, std::io::stderr().is_terminal());
    let options = options(&args, output.shows_progress())?;
    let end = runtime.block_on(async {
        let mut signals =
            Signals::catch().map_err(|error| Failure::local("catch signals", &error))?;
        survive_large_files().map_err(|error| Failure::local("catch signals", &error))?;
        let stop = async { signals.next().await };
        if args.dry_run {
            return Ok(tokio::select! {
                planned = plan(sources, &options, |event| output.event(&event)) => planned,
                () = stop => Err(SendError::Interrupted),
            });
        }
        let sending =
            send_until(&args.operands.to, sources, options, stop, |event| output.event(&event));
        Ok::<_, Failure>(sending.await)
    })?;
    // A thread may be blocked in reading standard input.
    runtime.shutdown_background();
    let failure = end.as_ref().err().map(|error| explain(error, &args, output.is_resumable()));
    Ok(output.finish(failure))
}

fn options(args: &SendArgs, count_totals: bool) -> Result<SendOptions, Failure> {
    let mut options = SendOptions::default();
    options.dialect = if args.classic { Dialect::Classic } else { Dialect::Native };
    options.connect_timeout = args.connect_timeout;
    options.stall_timeout = args.stall_timeout;
    options.connections = args.connections;
    if args.classic && matches!(args.connections, Connections::Exactly(number) if number.get() > 1)
    {
        return Err(Failure::usage(
            "--classic sends one file after the other, so it takes no --connections",
            "leave --connections out, or --classic",
        ));
    }
    if args.classic && matches!(args.operands.to, Destination::Http(_)) {
        return Err(Failure::usage(
            "--classic is not for http:// addresses",
            "leave --classic out, or write HOST:PORT",
        ));
    }
    options.retries = args.retries;
    options.resume = !args.no_resume;
    options.state_dir = args.state_dir.clone().or_else(users_state);
    options.selection.exclude = Exclude::new(&args.exclude).map_err(|error| {
        let hint = "patterns are those of .gitignore: '*.log', '/build', 'cache/'";
        Failure::usage(format!("--exclude: {error}"), hint)
    })?;
    options.selection.follow_links = args.follow_links;
    options.count_totals = count_totals;
    Ok(options)
}

/// `$XDG_STATE_HOME/sandport` or `~/.local/state/sandport`: XDG Base Directory Specification.
fn users_state() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(base.join("sandport"))
}

fn sources(args: &SendArgs) -> Result<Vec<Source>, Failure> {
    if args.name.is_some() && args.operands.paths.len() > 1 {
        return Err(Failure::usage(
            "--name needs exactly one path",
            "send each of the others with its own command",
        ));
    }
    if args.operands.paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Failure::usage("standard input is named twice", "write one `-`"));
    }
    let sources = args.operands.paths.iter().map(|path| {
        let source = if is_stdin(path) {
            Source::reader(STDIN, std::io::stdin())
        } else {
            Source::path(path)
        };
        match &args.name {
            Some(name) => source.named(name),
            None => source,
        }
    });
    Ok(sources.collect())
}

/// Whether a person has to type what is sent.
fn reads_terminal(args: &SendArgs, stdin_is_terminal: bool) -> bool {
    stdin_is_terminal && !args.dry_run && reads_stdin(args)
}

fn reads_stdin(args: &SendArgs) -> bool {
    args.operands.paths.iter().any(|path| is_stdin(path))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

/// The error in words, with a better hint where the command line or the run gives one. `resumable`: a later run
/// can resume something that this one has begun.
fn explain(error: &SendError, args: &SendArgs, resumable: bool) -> Failure {
    let mut failure = Failure::from(error);
    match error {
        SendError::Interrupted if resumable => {
            failure.hint = Some(String::from("run the same command again to resume the upload"));
        }
        SendError::Cut | SendError::Stalled(_) | SendError::NoProgress(_) if !resumable => {
            failure.hint = Some(String::from(if reads_stdin(args) {
                "a later run cannot resume standard input: send it again from the beginning"
            } else {
                "run the same command again: the server does not store a file twice"
            }));
        }
        _ => {}
    }
    if args.classic && matches!(error, SendError::Cut | SendError::Stalled(_)) {
        let hint = "the classic protocol does not say how much arrived: look at the server before you send again";
        failure.hint = Some(String::from(hint));
    }
    if let SendError::Resolve { host, .. } = error
        && Path::new(host).exists()
    {
        failure.hint = Some(format!("{host} is a file or a directory here: the server comes last"));
    } else if let SendError::Connect { source, .. } = error
        && matches!(args.operands.to, Destination::Sandport(_))
        && matches!(source.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
    {
        failure.hint = Some(format!(
            "is the server running? There, start one with: sandport serve ./inbox --listen {}",
            args.operands.to
        ));
    }
    failure
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> SendArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Some(Command::Send(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_name_cannot_be_given_to_several_files() {
        let failure = sources(&parsed("sandport send a b host --name c")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(sources(&parsed("sandport send a host --name c")).is_ok());
    }

    #[test]
    fn standard_input_can_be_read_once() {
        assert!(sources(&parsed("sandport send - x host")).is_ok());
        assert_eq!(sources(&parsed("sandport send - - host")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn who_has_to_type_is_told_so() {
        let reads = |line: &str, is_terminal| reads_terminal(&parsed(line), is_terminal);
        assert!(reads("sandport send - host", true));
        assert!(!reads("sandport send - host", false));
        assert!(!reads("sandport send a host", true));
        assert!(!reads("sandport send -n - host", true));
    }

    #[test]
    fn the_classic_protocol_has_one_connection() {
        assert!(options(&parsed("sandport send --classic -j 1 a host"), false).is_ok());
        let failure = options(&parsed("sandport send --classic -j 2 a host"), false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--connections"), "{}", failure.message);
    }

    #[test]
    fn the_classic_protocol_has_no_http() {
        let args = parsed("sandport send --classic a http://host/");
        let failure = options(&args, false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--classic"), "{}", failure.message);
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let failure = options(&parsed("sandport send a host --exclude [a"), false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("\"[a\" is not a pattern"), "{}", failure.message);
    }

    #[test]
    fn only_what_can_be_resumed_is_said_to_be_resumed() {
        let hint = |error: SendError, line: &str, resumable: bool| {
            explain(&error, &parsed(line), resumable).hint.unwrap_or_default()
        };
        let resumes = |hint: String| hint.contains("to resume") || hint.contains("goes on where");
        for error in [|| SendError::Interrupted, || SendError::Cut, || SendError::Stalled(1)] {
            assert!(resumes(hint(error(), "sandport send a host", true)), "{}", error());
            for line in ["sandport send a host", "sandport send --no-resume a host"] {
                assert!(!resumes(hint(error(), line, false)), "{}: {line}", error());
            }
        }
        let of_stdin = hint(SendError::Cut, "sandport send - host", false);
        assert!(of_stdin.contains("standard input"), "{of_stdin}");
    }

    #[test]
    fn who_forgets_the_server_is_told_so() {
        let args = parsed("sandport send Cargo.toml src");
        let source = std::io::ErrorKind::NotFound.into();
        let error = SendError::Resolve { host: String::from("src"), source };
        assert!(
            explain(&error, &args, false).hint.unwrap().contains("is a file or a directory here")
        );
    }

    #[test]
    fn only_a_server_that_refuses_is_asked_to_be_started() {
        let args = parsed("sandport send Cargo.toml 127.0.0.1:1");
        let hint = |kind: ErrorKind| {
            let error = SendError::Connect { to: String::from("127.0.0.1:1"), source: kind.into() };
            explain(&error, &args, false).hint.unwrap()
        };
        assert!(hint(ErrorKind::ConnectionRefused).contains("is the server running?"));
        assert!(hint(ErrorKind::NotFound).contains("is the server running?"), "no socket there");
        assert!(hint(ErrorKind::PermissionDenied).contains("may not connect"));
        assert!(hint(ErrorKind::NetworkUnreachable).contains("no route to it"));
        assert!(hint(ErrorKind::InvalidInput).contains("needs its zone"));
    }
}
