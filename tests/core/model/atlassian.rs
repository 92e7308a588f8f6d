//! Atlassian in the model: families of refresh tokens, the leeway, the death of a family, and
//! which access tokens Jira accepts.

use std::collections::BTreeMap;

/// A refresh token is honoured for so long after it was first exchanged, and the access tokens
/// before it live for so long after a renewal.
pub(super) const LEEWAY: i64 = 600;

/// The life of an access token.
pub(super) const LIFE: i64 = 3600;

/// A refresh token.
#[derive(Clone, Debug, Hash)]
struct Refresh {
    family: u8,
    exchanged: Option<(i64, Pair)>,
}

/// An access token.
#[derive(Clone, Debug, Hash)]
struct Access {
    family: u8,
    ends: i64,
}

/// What an exchange gives.
#[derive(Clone, Debug, Hash)]
pub(super) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// The token endpoint, and what Jira knows of access tokens.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Atlassian {
    refresh: BTreeMap<String, Refresh>,
    access: BTreeMap<String, Access>,
    /// Families that ended.
    pub(crate) killed: Vec<u8>,
    /// Refresh tokens that were exchanged for the first time.
    pub(crate) exchanges: u8,
    issued: u8,
}

impl Atlassian {
    /// A person consents.
    pub(super) fn consent(&mut self, seed: &str, family: u8) {
        let token = Refresh {
            family,
            exchanged: None,
        };
        self.refresh.insert(seed.to_owned(), token);
    }

    /// When a refresh token was first exchanged.
    pub(super) fn exchanged(&self, token: &str) -> Option<i64> {
        let exchanged = self.refresh.get(token)?.exchanged.as_ref()?;
        Some(exchanged.0)
    }

    pub(super) fn family(&self, token: &str) -> Option<u8> {
        self.refresh.get(token).map(|token| token.family)
    }

    pub(super) fn family_of_access(&self, token: &str) -> Option<u8> {
        self.access.get(token).map(|token| token.family)
    }

    /// Exchanges a refresh token; `None`: it is dead, and so is its family.
    pub(super) fn exchange(&mut self, token: &str, now: i64, same: bool) -> Option<Pair> {
        let known = self.refresh.get(token)?.clone();
        if self.killed.contains(&known.family) {
            return None;
        }
        match known.exchanged {
            Some((first, _)) if now - first >= LEEWAY => {
                self.killed.push(known.family);
                None
            }
            Some((_, pair)) if same => Some(pair),
            Some(_) => Some(self.pair(known.family, now)),
            None => {
                self.exchanges += 1;
                let pair = self.pair(known.family, now);
                if let Some(known) = self.refresh.get_mut(token) {
                    known.exchanged = Some((now, pair.clone()));
                }
                Some(pair)
            }
        }
    }

    fn pair(&mut self, family: u8, now: i64) -> Pair {
        for access in self.access.values_mut() {
            if access.family == family {
                access.ends = access.ends.min(now + LEEWAY);
            }
        }
        self.issued += 1;
        let pair = Pair {
            access: format!("k1:at-{}", self.issued),
            refresh: format!("k1:rt-{}", self.issued),
        };
        let ends = now + LIFE;
        self.access
            .insert(pair.access.clone(), Access { family, ends });
        self.consent(&pair.refresh, family);
        pair
    }

    /// Whether Jira accepts an access token.
    pub(super) fn accepts(&self, access: &str, now: i64) -> bool {
        let known = self.access.get(access);
        known.is_some_and(|known| known.ends > now && !self.killed.contains(&known.family))
    }
}
