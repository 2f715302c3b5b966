//! Wrong numbers are answered with what would be right.

use clap::{Arg, Command, CommandFactory};

use crate::args::{Cli, environment};

/// What stands in help for a value that is a number, with a unit or without.
const NUMBERS: [&str; 5] = ["N", "SIZE", "DURATION", "PERCENT", "MS"];

/// No number, less than any option takes, and more than any number here can be.
const WRONG: [&str; 3] = ["x", "-1", "99999999999999999999999999"];

fn is_number(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| NUMBERS.contains(&name.as_str()))
}

/// What the program says of `value`, given to an option of a command; `None`: it takes it.
fn said(command: &Command, option: &str, value: &str) -> Option<String> {
    let line = ["sandport", command.get_name(), &format!("--{option}"), value];
    let parsed = environment::prepared(Cli::command()).try_get_matches_from(line);
    // What comes after the options may be missing.
    parsed.err().map(|error| error.to_string()).filter(|said| said.contains(value))
}

fn options() -> Vec<(Command, Arg)> {
    let commands = Cli::command().get_subcommands().cloned().collect::<Vec<_>>();
    let of = |command: &Command| {
        let has_value = |arg: &&Arg| arg.get_long().is_some() && arg.get_action().takes_values();
        let args = command.get_arguments().filter(has_value).cloned();
        args.map(|arg| (command.clone(), arg)).collect::<Vec<_>>()
    };
    commands.iter().flat_map(of).collect()
}

#[test]
fn a_wrong_number_is_answered_with_what_is_expected() {
    let mut numbers = 0;
    for (command, arg) in options().iter().filter(|(_, arg)| is_number(arg)) {
        let option = arg.get_long().unwrap();
        for value in WRONG {
            let said = said(command, option, value)
                .unwrap_or_else(|| panic!("{} --{option} takes {value}", command.get_name()));
            assert!(
                said.contains(": write a "),
                "{} --{option} {value}: {said}",
                command.get_name()
            );
        }
        numbers += 1;
    }
    assert!(numbers > 0, "no option is a number");
}

#[test]
fn no_option_answers_in_the_words_of_a_parser() {
    for (command, arg) in options() {
        let option = arg.get_long().unwrap();
        for value in WRONG {
            let said = said(&command, option, value).unwrap_or_default();
            for words in ["invalid digit", "number too", "is not in", "unexpected argument"] {
                assert!(!said.contains(words), "{} --{option} {value}: {said}", command.get_name());
            }
        }
    }
}
