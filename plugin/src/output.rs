//! What a command prints: formats, colours, and progress while it waits.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;
pub use crate::text::plain;

/// How an answer is printed for programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// A table with more columns.
    Wide,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Paint {
    /// All is well.
    Good,
    /// Somebody should look soon.
    Soon,
    /// Something is wrong.
    Bad,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Style {
    /// Whether texts are coloured.
    pub colour: bool,
}

impl Style {
    /// Colours on a terminal that can show them, unless `NO_COLOR` is set to anything but nothing
    /// (<https://no-color.org>).
    pub fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            colour: std::io::stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb,
        }
    }

    /// The text in its colour.
    pub fn paint(self, text: &str, paint: Option<Paint>) -> String {
        let code = match paint {
            Some(Paint::Good) => 32,
            Some(Paint::Soon) => 33,
            Some(Paint::Bad) => 31,
            None => return text.to_owned(),
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Prints to standard output. A reader that has closed its end, such as `head`, is no failure.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::error(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells a person what the command waits for: on standard error, so that pipes stay clean.
///
/// Lines stay lines; they come from the plugin itself, since what others wrote is made plain before.
pub fn progress(text: &str) {
    for line in text.split('\n') {
        eprintln!("{}", plain(line));
    }
}

/// A value as JSON, with a line end.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::error(format!("-o json: {error}")))?;
    text.push('\n');
    Ok(text)
}

/// A value as YAML.
///
/// # Errors
/// When the value cannot be written as YAML.
pub fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::error(format!("-o yaml: {error}")))
}

/// Lines of names and values, the values in one column. Values are plain already, and may have colours.
pub fn fields(fields: &[(&str, String)]) -> String {
    let widest = fields.iter().map(|(name, _)| name.len()).max();
    let width = widest.unwrap_or_default() + 1;
    fields
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            let name = format!("{name}:");
            let _ = writeln!(text, "{name:width$}  {value}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column() {
        let text = fields(&[("Name", "bot".to_owned()), ("Account", "anna".to_owned())]);
        assert_eq!(text, "Name:     bot\nAccount:  anna\n");
    }

    #[test]
    fn without_colours_a_text_is_itself() {
        let plain = Style { colour: false };
        assert_eq!(plain.paint("no", Some(Paint::Bad)), "no");
    }
}
