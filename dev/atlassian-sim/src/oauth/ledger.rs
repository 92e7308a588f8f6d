//! The ledger: every refresh token that was presented, and what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What presenting a refresh token did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum SpendOutcome {
    /// The first exchange. Without rotation the successor is the token itself.
    Exchanged {
        /// The id of the refresh token that is now the newest.
        successor: String,
    },
    /// Once more within the leeway.
    Replayed {
        /// The id of the refresh token given.
        successor: String,
    },
    /// Once more after the leeway: the family died by it.
    LateReuse,
    /// Unknown, idle for too long, or of a family that was dead before.
    Dead,
    /// The client was refused: its secret is wrong, or the token is another client's. The token
    /// took no harm.
    ClientRejected,
    /// Data Center: the redirect URL is missing, or not the one of the consent. The token took no
    /// harm.
    WrongRedirect,
    /// The request was malformed; nothing was looked at.
    NotGranted,
}

/// One presentation of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spend {
    /// Counts from 1 for the life of the simulator.
    pub number: u64,
    /// The family of the token, if the token is known.
    pub family: Option<u64>,
    /// The token's id, such as `rt-17`; `unknown`, or `none` if none was sent. Never the value.
    pub token: String,
    /// The virtual time.
    pub at: DateTime<Utc>,
    /// The request's `x-request-id`.
    pub attempt: Option<String>,
    /// What became of it.
    pub outcome: SpendOutcome,
    /// The whole answer was handed to the connection. It stays `false` if a fault kept the answer
    /// back or spoilt it, or if the client had gone.
    pub answered: bool,
}

/// Carries the news that an answer was handed over from the body to the ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticket(Arc<AtomicBool>);

impl Ticket {
    pub(crate) fn answered(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    number: u64,
    spends: Vec<(Spend, Ticket)>,
}

impl Ledger {
    /// Writes a spend down; its number is given here.
    pub(crate) fn push(&mut self, mut spend: Spend) -> Ticket {
        self.number += 1;
        spend.number = self.number;
        let ticket = Ticket::default();
        self.spends.push((spend, ticket.clone()));
        ticket
    }

    /// How many spends there ever were.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn list(&self) -> Vec<Spend> {
        let with_news = |(spend, ticket): &(Spend, Ticket)| Spend {
            answered: ticket.is_answered(),
            ..spend.clone()
        };
        self.spends.iter().map(with_news).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.spends.clear();
    }
}
