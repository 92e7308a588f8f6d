//! Columns as kubectl prints them: three blanks apart, no lines, nothing cut.

use crate::output::{self, Paint, Style};

/// Blanks between two columns.
const GAP: usize = 3;

/// One cell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cell {
    /// The text; an empty one is printed as `<none>`.
    pub text: String,
    /// Its colour, on a terminal.
    pub paint: Option<Paint>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            // A value may hold anything; a line break or a control character would break the table.
            text: output::plain(&text.into()),
            paint: None,
        }
    }
}

impl Cell {
    /// The same cell in a colour.
    #[must_use]
    pub fn painted(self, paint: Paint) -> Self {
        Self {
            paint: Some(paint),
            ..self
        }
    }

    fn shown(&self) -> &str {
        if self.text.is_empty() {
            "<none>"
        } else {
            &self.text
        }
    }
}

/// Prints rows under their headers; a row that is too short is filled up with `<none>`.
pub fn table(headers: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let head: Vec<Cell> = headers.iter().map(|header| Cell::from(*header)).collect();
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, header)| {
            let cells = rows
                .iter()
                .map(|row| row.get(column).map_or("<none>", Cell::shown));
            let widest = cells.map(|text| text.chars().count()).max();
            widest.unwrap_or_default().max(header.text.chars().count())
        })
        .collect();
    let none = Cell::default();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).unwrap_or(&none);
            let shown = cell.shown();
            line.push_str(&style.paint(shown, cell.paint));
            if column + 1 < widths.len() {
                let blanks = width - shown.chars().count() + GAP;
                line.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".into(), "True".into()],
            vec!["longer\nname".into(), String::new().into()],
            vec!["ä".into()],
        ];
        assert_eq!(
            table(&["NAME", "READY"], &rows, Style { colour: false }),
            "NAME          READY\n\
             a             True\n\
             longer name   <none>\n\
             ä             <none>\n"
        );
    }

    #[test]
    fn a_colour_takes_no_room() {
        let rows = [vec![Cell::from("no").painted(Paint::Bad), "x".into()]];
        assert_eq!(
            table(&["READY", "NAME"], &rows, Style { colour: true }),
            "READY   NAME\n\u{1b}[31mno\u{1b}[0m      x\n"
        );
    }
}
