//! One finding of the doctor.

use serde::Serialize;

use crate::output::{Paint, Style, plain};

/// How bad it is. Words of the output for programs; they do not change.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and something is missing or soon will be.
    Warning,
    /// It does not work.
    Bad,
    /// It could not be found out.
    Unknown,
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub about: String,
    /// What was found.
    pub message: String,
    /// What to do; nothing when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
}

impl Finding {
    /// A finding.
    pub fn new(
        level: Level,
        about: impl Into<String>,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            level,
            about: about.into(),
            message: message.into(),
            next: next.into(),
        }
    }

    /// What is as it should be.
    pub fn ok(about: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Level::Ok, about, message, "")
    }

    /// One line, and one for the next step.
    pub fn text(&self, style: Style) -> String {
        let (word, paint) = match self.level {
            Level::Ok => ("ok     ", Paint::Good),
            Level::Warning => ("warning", Paint::Soon),
            Level::Bad => ("bad    ", Paint::Bad),
            Level::Unknown => ("unknown", Paint::Soon),
        };
        let word = style.paint(word, Some(paint));
        let line = format!("{word}  {}: {}\n", plain(&self.about), plain(&self.message));
        if self.next.is_empty() {
            line
        } else {
            format!("{line}         next: {}\n", plain(&self.next))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_a_next_step() {
        let style = Style { colour: false };
        assert_eq!(
            Finding::ok("CRD", "is there").text(style),
            "ok       CRD: is there\n"
        );
        assert_eq!(
            Finding::new(Level::Bad, "CRD", "is not\nthere", "apply it").text(style),
            "bad      CRD: is not there\n         next: apply it\n"
        );
    }
}
