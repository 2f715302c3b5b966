//! `sandport send`.

use std::io::IsTerminal;

use sandport_client::{Client, Connections, Destination, Exclude, SendError, Source, Transfer};

use crate::args::{STDIN, SendArgs, Talk, is_stdin};
use crate::console;
use crate::exit::Exit;
use crate::failure::{Failure, explain};
use crate::places;
use crate::signals::{Signals, survive_large_files};
use crate::threads;
use output::Output;

mod json;
mod output;
mod progress;
mod tally;
mod words;

/// Threads that a sender cannot do without: for names that are resolved, and for what reads files.
const THREADS: usize = 4;

/// Sends everything and says what became of it.
pub(crate) fn run(args: SendArgs, talk: &Talk) -> Result<Exit, Failure> {
    let sources = sources(&args)?;
    threads::check(THREADS)?;
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
    let client = client(&args, output.shows_progress())?;
    let mut transfer = if args.dry_run { client.plan(sources) } else { client.send(sources) };
    let end = runtime.block_on(async {
        let signals = Signals::catch().map_err(|error| Failure::local("catch signals", &error))?;
        survive_large_files().map_err(|error| Failure::local("catch signals", &error))?;
        Ok::<_, Failure>(follow(&mut transfer, signals, &mut output).await)
    })?;
    // A thread may be blocked in reading standard input.
    runtime.shutdown_background();
    let failure = end.err().map(|error| explain(&error, &args, output.is_resumable()));
    Ok(output.finish(failure, &transfer.summary()))
}

/// Says what happens, up to the end of the transfer. A signal ends it in good order.
async fn follow(
    transfer: &mut Transfer,
    mut signals: Signals,
    output: &mut Output,
) -> Result<(), SendError> {
    let mut is_interrupted = false;
    loop {
        tokio::select! {
            biased;
            event = transfer.next() => match event {
                Some(event) => output.event(&event),
                None => return transfer.await.map(drop),
            },
            () = signals.next(), if !is_interrupted => {
                is_interrupted = true;
                transfer.interrupt();
            }
        }
    }
}

fn client(args: &SendArgs, count_totals: bool) -> Result<Client, Failure> {
    if args.classic && matches!(args.connections, Connections::Exactly(number) if number.get() > 1)
    {
        return Err(Failure::usage(
            "--classic sends one file after the other, so it takes no --connections",
            "leave --connections out, or --classic",
        ));
    }
    if args.classic && matches!(args.operands.to, Destination::Http(_)) {
        return Err(Failure::usage(
            "--classic is not for http:// and https:// addresses",
            "leave --classic out, or write HOST:PORT",
        ));
    }
    let authorities = authorities(args)?;
    let exclude = Exclude::new(&args.exclude).map_err(|error| {
        let hint = "patterns are those of .gitignore: '*.log', '/build', 'cache/'";
        Failure::usage(format!("--exclude: {error}"), hint)
    })?;
    let mut builder = Client::builder(&args.operands.to)
        .classic(args.classic)
        .tls(args.tls)
        .connect_timeout(args.connect_timeout)
        .stall_timeout(args.stall_timeout)
        .connections(args.connections)
        .retries(args.retries)
        .resume(!args.no_resume)
        .exclude(exclude)
        .follow_links(args.follow_links)
        .count_totals(count_totals);
    if let Some(authorities) = authorities {
        builder = builder.authorities(authorities);
    }
    if let Some(dir) = args.state_dir.clone().or_else(places::state) {
        builder = builder.state_dir(dir);
    }
    Ok(builder.build())
}

/// The authorities that `--ca` names. What would have no effect is refused: nobody is to think that something is
/// encrypted, or checked, that is not.
fn authorities(args: &SendArgs) -> Result<Option<Vec<u8>>, Failure> {
    let is_http = matches!(&args.operands.to, Destination::Http(url) if !url.is_secure());
    if args.tls && is_http {
        return Err(Failure::usage("--tls is not for http:// addresses", "write https://"));
    }
    let is_plain = is_http || matches!(args.operands.to, Destination::Sandport(_)) && !args.tls;
    let Some(path) = &args.ca else { return Ok(None) };
    if is_plain {
        return Err(Failure::usage(
            "--ca is for encrypted connections",
            "add --tls, or write https://",
        ));
    }
    if matches!(args.operands.to, Destination::Pinned(..)) {
        return Err(Failure::usage(
            "an address with a fingerprint needs no authority",
            "leave --ca out, or the part of the address from # on",
        ));
    }
    std::fs::read(path).map(Some).map_err(|error| Failure::local("read the file of --ca", &error))
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
    stdin_is_terminal && !args.dry_run && args.operands.reads_stdin()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> SendArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Some(Command::Send(args)) => *args,
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
        assert!(client(&parsed("sandport send --classic -j 1 a host"), false).is_ok());
        let failure = client(&parsed("sandport send --classic -j 2 a host"), false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--connections"), "{}", failure.message);
    }

    #[test]
    fn the_classic_protocol_has_no_http() {
        let args = parsed("sandport send --classic a http://host/");
        let failure = client(&args, false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--classic"), "{}", failure.message);
    }

    #[test]
    fn options_of_encryption_that_would_do_nothing_are_refused() {
        let link = format!("sandport send a sandport://host#{} --ca f", "0f".repeat(32));
        for line in ["sandport send a http://host/ --tls", "sandport send a host --ca f", &link] {
            let failure = client(&parsed(line), false).unwrap_err();
            assert_eq!((failure.code, failure.exit), ("usage", Exit::Usage), "{line}");
        }
        let missing = client(&parsed("sandport send a host --tls --ca /no/such"), false);
        assert_eq!(missing.unwrap_err().exit, Exit::LocalIo);
        assert!(client(&parsed("sandport send a https://host/ --tls"), false).is_ok());
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let failure = client(&parsed("sandport send a host --exclude [a"), false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("\"[a\" is not a pattern"), "{}", failure.message);
    }
}
