//! The sections of the table that a run prints.

use std::fmt;

/// One section: a title, columns, and what has to be said below them.
pub(crate) struct Table {
    title: String,
    /// The headers, then the rows. The first column is to the left, all others are to the right.
    lines: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, headers: &[&str]) -> Self {
        let headers = headers.iter().map(|&header| header.to_owned()).collect();
        Self { title: title.into(), lines: vec![headers], notes: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.lines.push(cells.into_iter().collect());
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |line: &Vec<String>, column: usize| {
            line.get(column).map_or(0, |cell| cell.chars().count())
        };
        (0..columns)
            .map(|column| self.lines.iter().map(|line| width(line, column)).max().unwrap_or(0))
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n", self.title)?;
        let widths = self.widths();
        for (number, line) in self.lines.iter().enumerate() {
            let cells = widths.iter().enumerate().map(|(column, &width)| {
                let cell = line.get(column).map_or("", String::as_str);
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
            if number == 0 {
                let rules = widths.iter().enumerate().map(|(column, &width)| {
                    let colon = if column == 0 { "-" } else { ":" };
                    format!("{}{colon}", "-".repeat(width.saturating_sub(1)))
                });
                writeln!(f, "| {} |", rules.collect::<Vec<_>>().join(" | "))?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}
