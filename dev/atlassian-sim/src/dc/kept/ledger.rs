//! What was asked of a Data Center's personal access tokens and sessions, line by line.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::oauth::Ticket;

/// What is asked about personal access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatAsk {
    /// The list of one's own.
    List,
    /// A new one.
    Mint,
    /// The end of one.
    Revoke,
}

/// One request to the resource of personal access tokens that was processed, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatRequest {
    /// Counts from 1 for the life of the instance.
    pub number: u64,
    /// The virtual time.
    pub at: DateTime<Utc>,
    /// Who asked, as far as the credential tells, even one that was refused.
    pub user: Option<String>,
    /// How: `basic`, `bearer`, `oauth`, `cookie`, `other`, or nothing.
    pub scheme: Option<&'static str>,
    /// The id of the token or session that it was asked with, such as `token-7`. None for a
    /// password.
    pub with: Option<String>,
    /// What was asked.
    pub ask: PatAsk,
    /// The token that was made or was to end, by its id in the list.
    pub pat: Option<u64>,
    /// The name of that token.
    pub name: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The whole answer was handed to the connection. It stays `false` if a fault kept the answer
    /// back or spoilt it, or if the client had gone.
    pub answered: bool,
}

impl PatRequest {
    /// Whether it did what it asked.
    pub fn done(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What a login or a logout came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionAct {
    /// A session was begun.
    LoggedIn,
    /// User name or password is wrong, or the user is deactivated.
    Refused,
    /// Denied until a person solves a CAPTCHA; the password was not looked at.
    CaptchaRequired,
    /// The password is right, but it takes more than that to log in.
    MoreSteps,
    /// Passwords are switched off.
    BasicDisabled,
    /// The request makes no sense; no password was looked at.
    Malformed,
    /// A session was ended.
    LoggedOut,
    /// A logout by somebody who is not logged in, or no longer.
    NotLoggedIn,
}

/// One login or logout that was processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEvent {
    /// Counts from 1 for the life of the instance.
    pub number: u64,
    /// The virtual time.
    pub at: DateTime<Utc>,
    /// Who, as named in the request.
    pub user: Option<String>,
    /// The id of the session begun or ended, such as `session-3`. Never its cookie.
    pub session: Option<String>,
    /// What it came to.
    pub act: SessionAct,
    /// The status of the answer.
    pub status: u16,
    /// The whole answer was handed to the connection.
    pub answered: bool,
}

/// A line that its book completes.
pub(crate) trait Line: Clone {
    fn complete(&mut self, number: u64, answered: bool);
}

impl Line for PatRequest {
    fn complete(&mut self, number: u64, answered: bool) {
        (self.number, self.answered) = (number, answered);
    }
}

impl Line for SessionEvent {
    fn complete(&mut self, number: u64, answered: bool) {
        (self.number, self.answered) = (number, answered);
    }
}

/// Lines in the order in which they were written; the numbers outlive a clearing.
#[derive(Debug)]
pub(crate) struct Book<T> {
    number: u64,
    lines: Vec<(u64, T, Ticket)>,
}

impl<T> Default for Book<T> {
    fn default() -> Self {
        Self {
            number: 0,
            lines: Vec::new(),
        }
    }
}

impl<T: Line> Book<T> {
    /// Writes a line down; its ticket tells whether the answer went out.
    pub(crate) fn push(&mut self, line: T) -> Ticket {
        self.number += 1;
        let ticket = Ticket::default();
        self.lines.push((self.number, line, ticket.clone()));
        ticket
    }

    pub(crate) fn list(&self) -> Vec<T> {
        let complete = |(number, line, ticket): &(u64, T, Ticket)| {
            let mut line = line.clone();
            line.complete(*number, ticket.is_answered());
            line
        };
        self.lines.iter().map(complete).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }
}
