//! Commands that documents show with their output.
//!
//! A code block marked `console` is a terminal: lines that begin with `$ ` are commands, and what follows up to the
//! next one is their output. `…` stands for any text. Figures with their units stand for any figures, since they
//! differ between machines. A comment `<!-- console: COMMAND -->` is a command that readers do not see, and whose
//! output does not matter.

/// A command and the lines that a reader is told to expect of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As it is typed.
    pub command: String,
    /// What it prints; `None`: that does not matter.
    pub expected: Option<Vec<String>>,
}

/// The commands of a document, in their order.
pub fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(command) =
            line.strip_prefix("<!-- console: ").and_then(|it| it.strip_suffix(" -->"))
        {
            steps.push(Step { command: command.to_owned(), expected: None });
        } else if line == "```console" {
            for line in lines.by_ref().take_while(|line| *line != "```") {
                match (line.strip_prefix("$ "), steps.last_mut()) {
                    (Some(command), _) => {
                        let command = command.to_owned();
                        steps.push(Step { command, expected: Some(Vec::new()) });
                    }
                    (None, Some(Step { expected: Some(expected), .. })) => {
                        expected.push(line.to_owned())
                    }
                    (None, _) => panic!("a console block begins with output: {line}"),
                }
            }
        }
    }
    steps
}

/// Whether a line is what a document has in its place.
pub fn fits(expected: &str, actual: &str) -> bool {
    let (expected, actual) = (without_figures(expected), without_figures(actual));
    let mut pieces = expected.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| actual.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Units that figures have in the output of the program, longest first.
const UNITS: [&str; 12] =
    ["KiB/s", "MiB/s", "GiB/s", "B/s", "KiB", "MiB", "GiB", "B", "s", "m", "h", "d"];

/// The line with `#` for each figure and its unit, and one space for several.
fn without_figures(line: &str) -> String {
    let mut short = String::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() {
            rest =
                without_unit(rest.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.'));
            if !short.ends_with("# ") {
                short.push('#');
            } else {
                short.pop();
            }
        } else if first == ' ' {
            rest = rest.trim_start();
            short.push(' ');
        } else {
            rest = &rest[first.len_utf8()..];
            short.push(first);
        }
    }
    short
}

/// What follows the unit of a figure, if there is one.
fn without_unit(text: &str) -> &str {
    let unit = text.strip_prefix(' ').unwrap_or(text);
    let after = UNITS.iter().find_map(|name| unit.strip_prefix(name));
    after.filter(|after| !after.starts_with(|it: char| it.is_alphanumeric())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_hidden_commands_are_steps_and_others_are_not() {
        let document =
            "a\n\n```console\n$ one\nx\ny\n$ two\n```\n<!-- console: three -->\n```sh\n$ no\n```\n";
        let step = |command: &str, expected: Option<&[&str]>| Step {
            command: command.to_owned(),
            expected: expected.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect()),
        };
        let expected =
            [step("one", Some(&["x", "y"])), step("two", Some(&[])), step("three", None)];
        assert_eq!(steps(document), expected);
    }

    #[test]
    fn figures_and_ellipses_stand_for_others_and_words_do_not() {
        for (expected, actual) in [
            ("4 files: 3.2 MiB in 0.1 s, 58.8 MiB/s", "4 files: 3.2 MiB in 1m 4s, 655.1 KiB/s"),
            ("a, 12 bytes, blake3:…", "a, 12 bytes, blake3:00ff"),
            ("…b…d", "abcd"),
            ("   2.4 MiB     0s  stored", " 22.4 MiB  12m  stored"),
        ] {
            assert!(fits(expected, actual), "{expected}");
        }
        for (expected, actual) in [("a", "ab"), ("stored", "refused"), ("…b", "abc"), ("a…", "ba")]
        {
            assert!(!fits(expected, actual), "{expected}");
        }
    }
}
