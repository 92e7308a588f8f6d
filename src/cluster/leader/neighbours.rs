//! The operators of other shards, as their Leases show them: no credential is served by two operators, and
//! one that none serves is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use crate::api::SHARD_SELECTOR_ANNOTATION;
use crate::cluster::error::ClusterError;
use crate::cluster::leader::decide::Sighting;
use crate::cluster::leader::lease::record;
use crate::cluster::leader::terms::Terms;
use crate::cluster::shard::{Selector, Shard};
use crate::cluster::time::creation_time;

/// What an operator does about the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// No other serves what this one does.
    Alone,
    /// Another that does has precedence.
    Elder(Rival),
    /// Another that does will yield.
    Younger(Rival),
}

/// Another operator that serves credentials of this one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rival {
    pub(super) lease: String,
    /// As its Lease says it; empty: it serves every credential.
    pub(super) selector: String,
}

/// Who goes first: the older Lease, by the clock of the API server.
type Rank = (Option<DateTime<Utc>>, String);

fn rank(lease: &Lease) -> Rank {
    (creation_time(lease), lease.name_any())
}

/// The Lease of another operator, as it was when it existed last.
struct Seen {
    sighting: Sighting,
    lease: Lease,
}

/// What one operator has seen of the others.
pub(super) struct Neighbours {
    shard: Shard,
    seen: BTreeMap<String, Seen>,
    /// What was told last of a rival.
    told: Option<Rival>,
    /// Whether it was told that nothing can be seen of the others.
    is_blind: bool,
}

impl Neighbours {
    pub(super) fn of(shard: Shard) -> Self {
        Self {
            shard,
            seen: BTreeMap::new(),
            told: None,
            is_blind: false,
        }
    }

    /// Looks at all Leases of operators; `mine` is that of this one, if it holds it.
    pub(super) fn look(
        &mut self,
        leases: &[Lease],
        mine: Option<&Lease>,
        now: Duration,
        terms: Terms,
    ) -> Found {
        self.is_blind = false;
        let my_name = self.shard.selector().lease_name();
        let others = leases.iter().filter(|lease| lease.name_any() != my_name);
        self.see(others, now, terms);
        let live = self.seen.values();
        let live = live.filter(|seen| seen.sighting.is_live(now, terms));
        let live: Vec<&Lease> = live.map(|seen| &seen.lease).collect();
        let found = self.judge(&live, mine.map(rank));
        let selectors = live.into_iter().map(selector_of);
        let mut selectors: Vec<Selector> = selectors.collect();
        selectors.extend(mine.map(|_| self.shard.selector().clone()));
        self.shard.show_live(Some(selectors));
        self.tell(&found);
        found
    }

    /// One whose Lease was deleted acts until its own deadline, and may write it again.
    fn see<'a>(&mut self, others: impl Iterator<Item = &'a Lease>, now: Duration, terms: Terms) {
        let mut before = std::mem::take(&mut self.seen);
        for lease in others {
            let known = before.remove(&lease.name_any());
            let known = known.as_ref().map(|seen| &seen.sighting);
            let sighting = Sighting::look(known, Some(&record(lease)), now);
            let lease = lease.clone();
            self.seen.insert(lease.name_any(), Seen { sighting, lease });
        }
        for (name, Seen { sighting, lease }) in before {
            let sighting = Sighting::look(Some(&sighting), None, now);
            if sighting.is_live(now, terms) {
                self.seen.insert(name, Seen { sighting, lease });
            }
        }
    }

    fn judge(&self, live: &[&Lease], mine: Option<Rank>) -> Found {
        let overlaps = |lease: &&&Lease| selector_of(lease).overlaps(self.shard.selector());
        let rivals = live.iter().filter(overlaps);
        // One without a selector serves every credential and looks at no other Lease: it never yields.
        let first = rivals.min_by_key(|lease| (is_sharded(lease), rank(lease)));
        let Some(first) = first else {
            return Found::Alone;
        };
        let rival = Rival {
            lease: first.name_any(),
            selector: annotated(first).unwrap_or_default().to_owned(),
        };
        match mine {
            Some(mine) if is_sharded(first) && mine < rank(first) => Found::Younger(rival),
            Some(_) | None => Found::Elder(rival),
        }
    }

    fn tell(&mut self, found: &Found) {
        let rival = match found {
            Found::Alone => None,
            Found::Elder(rival) | Found::Younger(rival) => Some(rival),
        };
        if self.told.as_ref() == rival {
            return;
        }
        self.told = rival.cloned();
        if let Some(Rival { lease, selector }) = rival {
            let mine = self.shard.selector();
            tracing::warn!(
                lease,
                selector,
                "another operator that lives serves credentials of this one ({mine}): one of them does not lead; change --shard-selector so that no label matches both, or remove one operator"
            );
        } else {
            tracing::info!("no other operator serves credentials of this one");
        }
    }

    /// The Leases could not be read: which shards live is not known.
    pub(super) fn lose_sight(&mut self, error: &ClusterError) {
        self.shard.show_live(None);
        if !self.is_blind {
            tracing::warn!(%error, "the Leases of other operators cannot be read: overlapping selectors and credentials that none serves go unnoticed");
        }
        self.is_blind = true;
    }
}

fn annotated(lease: &Lease) -> Option<&str> {
    lease
        .annotations()
        .get(SHARD_SELECTOR_ANNOTATION)
        .map(String::as_str)
}

fn is_sharded(lease: &Lease) -> bool {
    annotated(lease).is_some_and(|text| text.parse::<Selector>().is_ok())
}

/// What an operator serves: everything, if its Lease does not say.
fn selector_of(lease: &Lease) -> Selector {
    let selector = annotated(lease).and_then(|text| text.parse().ok());
    selector.unwrap_or_default()
}
