//! The access token that a renewal replaces, where a target publishes it until it ends.
//!
//! It ends by itself, so nothing is done with it at Jira. One that is lost costs nothing but the overlap.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::core::grant::Grant;
use crate::core::time::{earlier, later};

/// An access token that was replaced and still works.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousAccess<S> {
    /// The token.
    pub token: S,
    /// Until when it is published.
    pub until: DateTime<Utc>,
}

/// What becomes of the access token that a renewal replaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Replacement {
    /// No target publishes it, or Jira has refused it.
    Drop,
    /// Targets hold it: it is kept until it ends.
    Keep(Overlap),
    /// No target holds it: they still hold the one before it, which stays.
    Skip,
}

/// How long an access token goes on working that targets hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// The attempt that brought it: what another process has stored meanwhile is no target's.
    pub attempt: Option<String>,
    /// How long it works after the request that replaced it.
    pub lasts: TimeDelta,
    /// So much earlier it counts as ended, since clocks differ.
    pub margin: TimeDelta,
}

impl<S: Clone> Grant<S> {
    /// Puts the access token of a chain aside, which is about to be replaced by one that was asked for at this
    /// time. To be called before the successor is stored: the intent says when the exchange may first have
    /// been made.
    pub fn set_aside(&mut self, origin: &str, replacement: &Replacement, asked: DateTime<Utc>) {
        let intent = self.intent.as_ref();
        let first = intent
            .filter(|intent| intent.origin == origin)
            .map(|intent| intent.interrupted.unwrap_or(intent.first_sent));
        let Some(chain) = self.chain_mut(origin) else {
            return;
        };
        match replacement {
            Replacement::Drop => chain.previous = None,
            Replacement::Keep(overlap) if overlap.attempt == chain.attempt => {
                let exchanged = first.map_or(asked, |first| first.min(asked));
                chain.previous = chain.access.as_ref().map(|access| PreviousAccess {
                    token: access.token.clone(),
                    until: earlier(
                        access.expires.min(later(exchanged, overlap.lasts)),
                        overlap.margin,
                    ),
                });
            }
            Replacement::Keep(_) | Replacement::Skip => {}
        }
        chain.previous.take_if(|previous| previous.until <= asked);
    }
}

impl<S> PreviousAccess<S> {
    pub(crate) fn map<T>(&self, see: &impl Fn(&S) -> T) -> PreviousAccess<T> {
        PreviousAccess {
            token: see(&self.token),
            until: self.until,
        }
    }
}

#[cfg(test)]
mod tests;
