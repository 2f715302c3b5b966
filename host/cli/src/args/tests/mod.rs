//! What is understood of what is typed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::{CommandFactory, Parser};

use super::Cli;

mod numbers;
#[cfg(feature = "send")]
mod send;
#[cfg(feature = "serve")]
mod serve;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_description_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn talk_can_be_set_before_and_after_the_command() {
    assert!(parse("sandport --json man").unwrap().talk.json);
    assert!(parse("sandport man --json").unwrap().talk.json);
    assert_eq!(parse("sandport man -vv").unwrap().talk.verbose, 2);
}

#[test]
fn help_shows_the_commands_of_this_build_alone() {
    let help = Cli::command().render_help().to_string();
    let has = |command: &str| help.contains(&format!("sandport {command} "));
    let sends = cfg!(feature = "send");
    let serves = cfg!(feature = "serve");
    assert_eq!(has("send"), sends, "{help}");
    for command in ["serve", "ls", "verify", "clean"] {
        assert_eq!(has(command), serves, "{command}: {help}");
    }
    let command = Cli::command();
    let knows = |name: &str| command.find_subcommand(name).is_some();
    assert_eq!((knows("send"), knows("inspect")), (sends, serves));
    assert!(knows("completions") && knows("man"));
}
