//! The grant: the tokens that renew themselves, and what must be known to spend them safely.
//!
//! Generic over what a token is. The cluster keeps secrets in it, decisions see fingerprints, and
//! both use the transitions below, so that what is decided about is what is stored.
//!
//! ```text
//!            adopt            intend           keep            promote
//!   seed ──────────► seen ──────────► spent ─────────► candidate ─────────► live ──┐
//!                                       │ dead: refused                      ▲     │ intend, keep
//!                                       ▼                                    └─────┘ (same chain)
//!                               live goes on, if there is one
//! ```
//!
//! What personal access tokens and sessions need beside it is in [`replacement`]; access tokens that are published
//! until they end, in [`previous`].

pub mod chain;
pub mod previous;
pub mod replacement;

pub use chain::{
    Access, Chain, Dead, ENDLESS, Holder, Intent, Listed, RefreshRequest, RenewalFailure, Replaced,
    Retired, Search, Seed, SeedOutcome, Tokens, is_imported,
};
pub use previous::{Overlap, PreviousAccess, Replacement};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::api::Reason;
use crate::core::spec::Client;

/// Seeds that are remembered; the oldest goes first.
const MOST_SEEDS: usize = 16;

/// The tokens of one place of a seed (a Secret of the user and a key in it).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant<S> {
    /// The uid of the Secret that holds it, as it was when something was last written: a copy is
    /// told by another. `None` before the first write.
    pub uid: Option<String>,
    /// The chain in use.
    pub live: Option<Chain<S>>,
    /// A chain that is not validated yet.
    pub candidate: Option<Chain<S>>,
    /// The seeds that were seen, the newest last.
    #[serde(default)]
    pub seeds: Vec<Seed>,
    /// The renewal that is under way.
    pub intent: Option<Intent>,
    /// Renewals in a row that brought no new token.
    #[serde(default)]
    pub failures: i32,
    /// Why the last of them brought none.
    pub failure: Option<Reason>,
    /// The next attempt is not made before this time.
    pub next_attempt: Option<DateTime<Utc>>,
    /// When the last of them failed, from which `next_attempt` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<DateTime<Utc>>,
    /// When a token that should have lived was renewed because Jira refused it.
    pub early: Option<DateTime<Utc>>,
    /// What was replaced and still has to be ended at Jira, the oldest first.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired<S>>,
}

impl<S> Default for Grant<S> {
    fn default() -> Self {
        Self {
            uid: None,
            live: None,
            candidate: None,
            seeds: Vec::new(),
            intent: None,
            failures: 0,
            failure: None,
            next_attempt: None,
            missed: None,
            early: None,
            retired: Vec::new(),
        }
    }
}

impl<S: Clone> Grant<S> {
    /// The chain that descends from a seed.
    pub fn chain(&self, origin: &str) -> Option<&Chain<S>> {
        let chains = [&self.live, &self.candidate].into_iter().flatten();
        chains.into_iter().find(|chain| chain.origin == origin)
    }

    fn chain_mut(&mut self, origin: &str) -> Option<&mut Chain<S>> {
        let chains = [&mut self.live, &mut self.candidate].into_iter().flatten();
        chains.into_iter().find(|chain| chain.origin == origin)
    }

    /// What is known of a seed.
    pub fn seed(&self, digest: &str) -> Option<&Seed> {
        self.seeds.iter().find(|seed| seed.digest == digest)
    }

    /// Remembers a seed, and makes it the candidate. An unvalidated candidate before it goes: a
    /// person has put another one in its place.
    ///
    /// In a `copy` the chain in use ends with it: its token may have been used since.
    pub fn adopt(
        &mut self,
        digest: &str,
        token: S,
        client: Client,
        now: DateTime<Utc>,
        copy: bool,
    ) {
        if let Some(live) = self.live.as_mut().filter(|_| copy) {
            live.dead = Some(Dead::at(now));
            self.intent = None;
        }
        self.supersede(digest, now);
        self.candidate = Some(Chain {
            refresh: Some(token),
            ..Chain::of_seed(digest, client, now)
        });
    }

    /// Remembers a seed that is to become the candidate.
    fn supersede(&mut self, digest: &str, now: DateTime<Utc>) {
        if self.seed(digest).is_none() {
            self.seeds.push(Seed {
                digest: digest.to_owned(),
                seen: now,
                outcome: SeedOutcome::Seen,
            });
            let surplus = self.seeds.len().saturating_sub(MOST_SEEDS);
            self.seeds.drain(..surplus);
        }
        // What started with the earlier candidate is of no use any more.
        let superseded = self.candidate.as_ref().map(|chain| chain.origin.clone());
        self.intent
            .take_if(|intent| Some(&intent.origin) == superseded.as_ref());
        self.forget_failures();
    }

    /// Writes down that a refresh token is about to be spent.
    pub fn intend(&mut self, intent: Intent) {
        let unspent = self.seed(&intent.origin);
        if unspent.is_some_and(|seed| seed.outcome == SeedOutcome::Seen) {
            self.settle_seed(&intent.origin, SeedOutcome::Spent);
        }
        self.intent = Some(intent);
    }

    /// Stores what a renewal gave, in the chain whose token was spent.
    pub fn keep(&mut self, origin: &str, attempt: &str, tokens: Tokens<S>) {
        let intent = self.intent.take().filter(|intent| intent.origin == origin);
        let lost = intent.filter(|intent| intent.replay || intent.interrupted.is_some());
        let first = lost.map(|intent| intent.interrupted.unwrap_or(intent.first_sent));
        self.forget_failures();
        let Some(chain) = self.chain_mut(origin) else {
            return;
        };
        chain.attempt = Some(attempt.to_owned());
        chain.exchanged = first.filter(|first| *first < tokens.access.obtained);
        if tokens.refresh.is_some() {
            chain.refresh = tokens.refresh;
        }
        chain.offline_missing = tokens.offline_missing;
        chain.access = Some(tokens.access);
        chain.dead = None;
    }

    /// Stores what client credentials gave: nothing was spent, and nothing is lost with it.
    pub fn cache(&mut self, client: Client, attempt: &str, tokens: Tokens<S>) {
        self.forget_failures();
        let (id, obtained) = (client.id.clone(), tokens.access.obtained);
        let before = self.live.take().filter(|live| live.client == client);
        self.live = Some(Chain {
            attempt: Some(attempt.to_owned()),
            access: Some(tokens.access),
            previous: before.and_then(|live| live.previous),
            ..Chain::of_seed(&id, client, obtained)
        });
    }

    /// Records that a renewal failed. The intent stays as long as it is unknown
    /// whether the token was spent.
    pub fn miss(
        &mut self,
        origin: &str,
        miss: RenewalFailure,
        now: DateTime<Utc>,
        next: DateTime<Utc>,
    ) {
        let replay = self.intent.as_ref().is_some_and(|intent| intent.replay);
        match miss {
            RenewalFailure::Dead => {
                let interrupted = self.intent.take().filter(|_| replay);
                let interrupted =
                    interrupted.map(|intent| intent.interrupted.unwrap_or(intent.first_sent));
                let dead = Dead {
                    interrupted,
                    ..Dead::at(now)
                };
                self.bury(origin, dead);
                self.forget_failures();
                return;
            }
            RenewalFailure::Refused(reason) => {
                self.intent = None;
                let dead = Dead {
                    reason: Some(reason),
                    ..Dead::at(now)
                };
                self.bury(origin, dead);
                self.forget_failures();
                return;
            }
            RenewalFailure::NotSpent(_) if !replay => self.intent = None,
            RenewalFailure::NotSpent(_) | RenewalFailure::Unknown(_) => {}
        }
        let (RenewalFailure::NotSpent(reason) | RenewalFailure::Unknown(reason)) = miss else {
            return;
        };
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(reason);
        self.next_attempt = Some(next);
        self.missed = Some(now);
    }

    /// Writes down which redirect URL went along with a refresh token that is now dead.
    pub fn refused_with(&mut self, origin: &str, redirect_uri: Option<&str>) {
        let chain = self.chain_mut(origin);
        if let Some(dead) = chain.and_then(|chain| chain.dead.as_mut()) {
            dead.redirect_uri = redirect_uri.map(str::to_owned);
        }
    }

    fn bury(&mut self, origin: &str, dead: Dead) {
        let alone = self.live.as_ref().is_none_or(|live| live.dead.is_some());
        let of = |chain: &mut Chain<S>| chain.origin == origin;
        if self
            .candidate
            .as_ref()
            .is_some_and(|chain| chain.origin == origin)
        {
            self.settle_seed(origin, SeedOutcome::Refused);
        }
        // A candidate that fails beside a chain in use leaves only the outcome of its seed.
        if !alone && self.candidate.take_if(of).is_some() {
            return;
        }
        if let Some(chain) = self.chain_mut(origin) {
            chain.dead = Some(dead);
        }
    }

    /// Whether what an attempt brought stands in one of the chains.
    pub fn holds_result_of(&self, attempt: &str) -> bool {
        let mut chains = [&self.live, &self.candidate].into_iter().flatten();
        chains.any(|chain| chain.attempt.as_deref() == Some(attempt))
    }

    /// A candidate that was validated takes the place of the chain in use.
    pub fn promote(&mut self) {
        if let Some(chain) = self.candidate.take() {
            self.settle_seed(chain.root(), SeedOutcome::Accepted);
            self.live = Some(chain);
            self.early = None;
        }
    }

    /// The same with other tokens, such as fingerprints in place of secrets.
    pub fn map<T>(&self, see: &impl Fn(&S) -> T) -> Grant<T> {
        let chain = |chain: &Chain<S>| Chain {
            origin: chain.origin.clone(),
            root: chain.root.clone(),
            consented: chain.consented,
            client: chain.client.clone(),
            attempt: chain.attempt.clone(),
            refresh: chain.refresh.as_ref().map(see),
            access: chain.access.as_ref().map(|access| Access {
                token: see(&access.token),
                obtained: access.obtained,
                expires: access.expires,
                scopes: access.scopes.clone(),
                id: access.id.clone(),
            }),
            dead: chain.dead.clone(),
            offline_missing: chain.offline_missing,
            search: chain.search.clone(),
            exchanged: chain.exchanged,
            previous: chain.previous.as_ref().map(|old| old.map(see)),
        };
        Grant {
            uid: self.uid.clone(),
            live: self.live.as_ref().map(chain),
            candidate: self.candidate.as_ref().map(chain),
            seeds: self.seeds.clone(),
            intent: self.intent.clone(),
            failures: self.failures,
            failure: self.failure,
            next_attempt: self.next_attempt,
            missed: self.missed,
            early: self.early,
            retired: self.retired.iter().map(|old| old.map(see)).collect(),
        }
    }

    fn settle_seed(&mut self, digest: &str, outcome: SeedOutcome) {
        let found = self.seeds.iter_mut().find(|seed| seed.digest == digest);
        if let Some(seed) = found {
            seed.outcome = outcome;
        }
    }

    fn forget_failures(&mut self) {
        self.failures = 0;
        self.failure = None;
        self.next_attempt = None;
        self.missed = None;
    }
}

#[cfg(test)]
mod tests;
