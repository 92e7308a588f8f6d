//! The tables of `docs/reference.md` that follow from the code: fields, reasons, flags and metrics.

mod fields;
mod flags;
mod metrics;
mod reasons;

use std::fs;

use crate::failure::{Outcome, While as _, fail};
use crate::root;

/// The document, and what it has around its tables.
pub(crate) const DOCUMENT: &str = "docs/reference.md";

type Table = fn() -> Outcome<String>;

/// The name of each table in its markers, and what makes it.
const TABLES: [(&str, Table); 5] = [
    ("spec", || fields::table("spec")),
    ("status", || fields::table("status")),
    ("reasons", reasons::table),
    ("flags", flags::table),
    ("metrics", metrics::table),
];

/// The document with its tables as the code has them now.
pub(crate) fn document() -> Outcome<String> {
    let mut text = fs::read_to_string(root().join(DOCUMENT)).while_(DOCUMENT)?;
    for (name, make) in TABLES {
        text = replaced(&text, name, &make()?)?;
    }
    Ok(text)
}

/// The text with another table between the markers of this name.
fn replaced(text: &str, name: &str, table: &str) -> Outcome<String> {
    let (begin, end) = (
        format!("<!-- generated: {name} -->\n"),
        format!("\n<!-- end: {name} -->"),
    );
    let parts = text
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let Some((before, after)) = parts else {
        return fail(format!("{DOCUMENT} lacks the markers of the table {name}"));
    };
    Ok(format!("{before}{begin}\n{table}{end}{after}"))
}

/// One row of a table. Paragraphs become one line, and what would end a cell is escaped.
fn row<const N: usize>(cells: [&str; N]) -> String {
    let cells = cells.map(|cell| {
        let words: Vec<&str> = cell.split_whitespace().collect();
        words.join(" ").replace('|', "\\|")
    });
    format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |")
}

/// The head of a table.
fn head<const N: usize>(titles: [&str; N]) -> String {
    format!("{}|{}\n", row(titles), "---|".repeat(N))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_reference_are_those_of_the_code() {
        let found = fs::read_to_string(root().join(DOCUMENT)).unwrap();
        let wanted = document().unwrap();
        let differs = found
            .lines()
            .zip(wanted.lines())
            .find(|(found, wanted)| found != wanted);
        assert!(
            found == wanted,
            "run `cargo xtask generate`; the first line that differs: {differs:?}"
        );
    }

    #[test]
    fn what_stands_around_a_table_stays() {
        let text = "a\n<!-- generated: x -->\nold\n<!-- end: x -->\nb\n";
        let new = replaced(text, "x", "| new |\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- generated: x -->\n\n| new |\n\n<!-- end: x -->\nb\n"
        );
        assert_eq!(replaced(&new, "x", "| new |\n").unwrap(), new);
        assert!(replaced("no markers", "x", "").is_err());
    }

    #[test]
    fn a_cell_ends_neither_its_line_nor_itself() {
        assert_eq!(row(["a\n\nb", "c|d"]), "| a b | c\\|d |\n");
    }
}
