//! How a command ends: its exit code, and what it says when it fails.

use std::fmt;
use std::process::ExitCode;

use crate::text::plain;

/// How a command ended. The numbers are in docs/plugin.md and do not change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// 0: it did what was asked, and all is well.
    Done,
    /// 1: it could not do what was asked.
    Error,
    /// 2: the command line is wrong. Clap uses the same number.
    Usage,
    /// 3: it did what was asked, and a credential is not ready or needs a person.
    NotReady,
    /// 4: the time ran out.
    TimedOut,
    /// 130: a person pressed Ctrl-C. Shells give the same number to a program that an interrupt ends.
    Interrupted,
}

impl Exit {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::NotReady => 3,
            Self::TimedOut => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What failed and what to do about it, in one line without a secret.
#[derive(Debug, Eq, PartialEq)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// The line.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message: String = message.into();
        // An error from a library may have lines; here it is one.
        let lines = message.lines().map(str::trim);
        let full: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        Self {
            exit,
            message: plain(&full.join(" ")),
        }
    }

    /// A command that could not do what was asked.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn exit_codes_do_not_change() {
        let all = [
            Exit::Done,
            Exit::Error,
            Exit::Usage,
            Exit::NotReady,
            Exit::TimedOut,
            Exit::Interrupted,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 130]);
    }

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::error("the first\n\n  the second\n");
        assert_eq!(failure.to_string(), "the first the second");
    }
}
