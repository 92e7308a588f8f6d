//! Replacing what Jira Data Center keeps until it is ended: sessions, and personal access tokens
//! that create their own successors.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Reason;
use crate::core::grant::Grant;
use crate::core::grant::chain::{Access, Chain, Dead, ENDLESS, Listed, Replaced, Retired, Search};
use crate::core::spec::Client;
use crate::core::time::later;

/// What cannot be ended at Jira is given up after this time: no record of it remains.
const GIVEN_UP: TimeDelta = TimeDelta::days(400);

impl<S> Chain<S> {
    /// Whether its token is still to be found among those of its account.
    pub fn is_sought(&self) -> bool {
        let unknown = self
            .access
            .as_ref()
            .is_some_and(|access| access.id.is_none());
        unknown && !self.search.as_ref().is_some_and(|search| search.left)
    }
}

impl<S> Access<S> {
    /// The lifetime that it was given, never negative.
    pub fn life(&self) -> TimeDelta {
        (self.expires - self.obtained).max(TimeDelta::zero())
    }

    /// When it ends, where it ends and that is known.
    pub fn end(&self) -> Option<DateTime<Utc>> {
        Some(self.expires).filter(|end| *end < ENDLESS)
    }
}

impl<S: Clone> Grant<S> {
    /// Remembers a token that a person made, and makes it the candidate. In a `copy` the chain in
    /// use ends with it, and nothing is to be ended at Jira: the original does that.
    pub fn import_token(
        &mut self,
        digest: &str,
        access: Access<S>,
        client: Client,
        now: DateTime<Utc>,
        copy: bool,
    ) {
        if copy {
            self.disown(now);
        } else {
            self.retire_candidate(Replaced::Token, &client, now);
        }
        self.supersede(digest, now);
        self.candidate = Some(Chain {
            access: Some(access),
            ..Chain::of_seed(digest, client, now)
        });
    }

    /// Records a user name and password by their digest, for a login.
    pub fn import_login(&mut self, digest: &str, client: Client, now: DateTime<Utc>) {
        self.retire_candidate(Replaced::Session, &client, now);
        self.supersede(digest, now);
        self.candidate = Some(Chain::of_seed(digest, client, now));
    }

    /// Stores the successor that a token made. Its predecessor stays in use until the successor is
    /// validated.
    pub fn keep_successor(&mut self, origin: &str, attempt: &str, access: Access<S>) {
        self.intent = None;
        self.forget_failures();
        let now = access.obtained;
        let Some(made_by) = self.chain(origin) else {
            return;
        };
        let (root, client) = (made_by.root().to_owned(), made_by.client.clone());
        self.retire_candidate(Replaced::Token, &client, now);
        self.candidate = Some(Chain {
            root: Some(root),
            attempt: Some(attempt.to_owned()),
            access: Some(access),
            ..Chain::of_seed(attempt, client, now)
        });
    }

    /// Records that a login was not sent: an earlier refusal or lost response, which a person asked to
    /// ignore, does not block the retry then.
    pub fn login_not_sent(&mut self, origin: &str) {
        self.intent = None;
        if let Some(chain) = self.chain_mut(origin) {
            chain.dead = None;
        }
    }

    /// Stores a session in the chain of its user name and password. One that it replaces is to be
    /// ended, unless Jira has `ended` it already.
    pub fn keep_session(&mut self, origin: &str, attempt: &str, access: Access<S>, ended: bool) {
        self.intent = None;
        self.forget_failures();
        let now = access.obtained;
        let in_use = self.live.as_ref().is_some_and(|live| live.origin == origin);
        // What everybody has yet to replace is what is published, and not the session that came after it.
        let waits = |old: &Retired<S>| old.published && old.shown.is_none();
        let published = in_use && !self.retired.iter().any(waits);
        let Some(chain) = self.chain_mut(origin) else {
            return;
        };
        chain.attempt = Some(attempt.to_owned());
        chain.dead = None;
        let before = chain.access.replace(access);
        let before = before.filter(|before| !ended && before.expires > now);
        self.retired.extend(before.map(|before| Retired {
            id: None,
            token: before.token,
            since: now,
            until: before.expires,
            published,
            shown: None,
            next_attempt: None,
        }));
    }

    /// Lets the validated candidate take the place of the chain in use, which is to be ended.
    pub fn succeed(&mut self, what: Replaced, now: DateTime<Utc>) {
        let client = |chain: &Option<Chain<S>>| chain.as_ref().map(|chain| chain.client.clone());
        let here = client(&self.live) == client(&self.candidate);
        let before = self.live.take();
        if here {
            self.retire(before, what, now, true);
        } else {
            // Tokens of another site are never sent to this one.
            self.retired.clear();
        }
        self.promote();
    }

    /// Writes down what the list of the account's tokens says of the token of a chain. `ours`
    /// is the prefix of the names of the tokens that this grant has made; `stated`: its end, as a person
    /// says.
    pub fn identify(
        &mut self,
        origin: &str,
        listed: &[Listed],
        ours: &str,
        stated: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        let known = self.known_ids();
        let Some(chain) = self.chain_mut(origin) else {
            return;
        };
        let may_be = |token: &&Listed| {
            !known.contains(&token.id)
                && !token.name.starts_with(ours)
                && token.expires.is_none_or(|end| end > now)
        };
        let all: Vec<&Listed> = listed.iter().filter(may_be).collect();
        let same_day = |token: &&&Listed| match (token.expires, stated) {
            (Some(end), Some(stated)) => (end - stated).abs() <= TimeDelta::days(1),
            (None, _) | (_, None) => false,
        };
        let of_day: Vec<&Listed> = all.iter().filter(same_day).copied().collect();
        // The day may be that of an earlier token: then a later one is in the list.
        let newest = |found: &&Listed| all.iter().all(|other| other.created <= found.created);
        let of_day: Vec<&Listed> = match of_day.as_slice() {
            [found] if newest(found) => of_day,
            _ => Vec::new(),
        };
        let likely = if of_day.is_empty() { all } else { of_day };
        chain.search = Some(Search {
            asked: now,
            likely: Some(u32::try_from(likely.len()).unwrap_or(u32::MAX)),
            missed: None,
            left: false,
        });
        let Some(access) = &mut chain.access else {
            return;
        };
        let [found] = likely.as_slice() else {
            // Then only a person can decide.
            access.expires = stated.filter(|end| *end > now).unwrap_or(access.expires);
            return;
        };
        access.id = Some(found.id.clone());
        access.expires = found.expires.unwrap_or(ENDLESS);
        access.obtained = found.created.unwrap_or(access.obtained).min(now);
    }

    /// Why no replacement can be made, or none can be planned: the last attempt failed, or the list of the
    /// account's tokens could not be read.
    pub fn replacement_failure(&self) -> Option<Reason> {
        let missed = || self.live.as_ref()?.search.as_ref()?.missed;
        self.failure.or_else(missed)
    }

    /// Writes down that the list of the account's tokens could not be read, and why.
    pub fn not_listed(&mut self, origin: &str, reason: Reason, now: DateTime<Utc>) {
        if let Some(chain) = self.chain_mut(origin) {
            chain.search = Some(Search {
                asked: now,
                likely: None,
                missed: Some(reason),
                left: false,
            });
        }
    }

    /// The ids of all tokens that the grant knows.
    pub fn known_ids(&self) -> Vec<String> {
        let chains = [&self.live, &self.candidate].into_iter().flatten();
        let accesses = chains.filter_map(|chain| chain.access.as_ref());
        let ids = accesses.filter_map(|access| access.id.clone());
        let retired = self.retired.iter().filter_map(|old| old.id.clone());
        ids.chain(retired).collect()
    }

    /// Those of the account's tokens that this grant has made and does not know: the answer that
    /// told of them was lost. `ours` is the prefix of their names.
    pub fn strays<'a>(&self, listed: &'a [Listed], ours: &str) -> Vec<&'a Listed> {
        let known = self.known_ids();
        let stray = |token: &&Listed| token.name.starts_with(ours) && !known.contains(&token.id);
        listed.iter().filter(stray).collect()
    }

    /// Whether a token of an earlier chain may have been made and is not known: nothing of what
    /// is to be made next would find it soon.
    pub fn has_orphaned_intent(&self) -> bool {
        let origin = self.intent.as_ref().map(|intent| &intent.origin);
        origin.is_some_and(|origin| self.chain(origin).is_none())
    }

    /// What an earlier chain may have made has been looked for.
    pub fn drop_orphaned_intent(&mut self) {
        if self.has_orphaned_intent() {
            self.intent = None;
        }
    }

    /// Writes down that everybody shows what took the place of what was retired.
    pub fn show(&mut self, now: DateTime<Utc>) {
        for old in &mut self.retired {
            old.shown.get_or_insert(now);
        }
    }

    /// Writes down of what was to be ended that it has ended, or when that is tried again.
    pub fn settle_retired(&mut self, index: usize, again: Option<DateTime<Utc>>) {
        match again {
            Some(time) => {
                if let Some(old) = self.retired.get_mut(index) {
                    old.next_attempt = Some(time);
                }
            }
            None if index < self.retired.len() => {
                self.retired.remove(index);
            }
            None => {}
        }
    }

    /// Leaves to the original of a copy what it has replaced and what it uses.
    pub fn leave_to_original(&mut self, now: DateTime<Utc>) {
        self.retired.clear();
        let candidate = self.candidate.as_mut();
        if let Some(access) = candidate.and_then(|chain| chain.access.as_mut()) {
            access.id = None;
        }
        let Some(live) = &mut self.live else { return };
        if let Some(access) = &mut live.access {
            access.id = None;
        }
        live.search = Some(Search {
            asked: now,
            likely: None,
            missed: None,
            left: true,
        });
    }

    /// A candidate that another one replaces has to be ended, if the operator made it: no person
    /// knows of it.
    fn retire_candidate(&mut self, what: Replaced, client: &Client, now: DateTime<Utc>) {
        let made = |chain: &mut Chain<S>| chain.attempt.is_some() && chain.client == *client;
        let before = self.candidate.take_if(made);
        self.retire(before, what, now, false);
    }

    fn retire(
        &mut self,
        before: Option<Chain<S>>,
        what: Replaced,
        now: DateTime<Utc>,
        published: bool,
    ) {
        let Some(chain) = before else { return };
        let disowned = chain.dead.is_some();
        let Some(access) = chain.access.filter(|access| access.expires > now) else {
            return;
        };
        let id = match what {
            // One that was never found in the list cannot be ended.
            Replaced::Token if disowned || access.id.is_none() => return,
            Replaced::Token => access.id,
            Replaced::Session => None,
        };
        self.retired.push(Retired {
            id,
            token: access.token,
            since: now,
            until: access.expires.min(later(now, GIVEN_UP)),
            published,
            shown: None,
            next_attempt: None,
        });
    }

    /// Leaves to the original of a copy what is its own.
    fn disown(&mut self, now: DateTime<Utc>) {
        self.intent = None;
        self.retired.clear();
        if let Some(live) = &mut self.live {
            live.dead = Some(Dead::at(now));
        }
    }
}

impl<S> Grant<S> {
    /// What was published and replaced last, of what is not ended yet.
    pub fn previous(&self) -> Option<&Retired<S>> {
        self.retired.iter().rev().find(|old| old.published)
    }

    /// Whether a seed, or any if none is named, has a successor: then it counts as spent.
    pub fn has_successor(&self, digest: Option<&str>) -> bool {
        let mut chains = [&self.live, &self.candidate].into_iter().flatten();
        chains.any(|chain| match (&chain.root, digest) {
            (Some(root), Some(digest)) => root == digest,
            (Some(_), None) => true,
            (None, _) => false,
        })
    }
}

#[cfg(test)]
mod tests;
