//! What a process does next about the lease: pure, without a clock and without a cluster. Times are
//! those of the process's own monotonic clock. The timestamps in the lease come from the clocks of
//! other machines, and nothing is decided by them; its duration counts where it is longer than that
//! of this process.

use std::time::Duration;

use crate::cluster::leader::terms::Terms;

/// What a lease says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    /// Who holds it; empty: nobody.
    pub(super) holder: String,
    /// How long it lasts from its last change, as its holder has it.
    pub(super) lasts: Duration,
    /// Changes with every write.
    pub(super) version: String,
}

/// What a process has seen of the lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sighting {
    /// Who held it last; empty: nobody.
    holder: String,
    lasts: Duration,
    /// `None`: there is no lease.
    version: Option<String>,
    /// Since when it was seen unchanged.
    since: Duration,
}

/// What a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// It does nothing but watch.
    Standby,
    /// It acts.
    Leader {
        /// Until when, unless it renews its lease before.
        until: Duration,
    },
}

/// What a process does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Write its name into the lease, of the version that was seen.
    Take,
    /// Write into the lease, of the version that was seen, that it still lives.
    Renew,
    /// Look again later.
    Wait,
    /// Stop to act, for good.
    Stop,
}

impl Sighting {
    /// Looks at the lease, or at its absence. A lease that vanishes has changed like one that was
    /// written: its holder may act until its own deadline.
    #[must_use]
    pub(super) fn look(before: Option<&Self>, record: Option<&Record>, now: Duration) -> Self {
        let version = record.map(|record| record.version.clone());
        if let Some(before) = before.filter(|before| before.version == version) {
            return before.clone();
        }
        let (holder, lasts) = match (record, before) {
            (Some(record), _) => (record.holder.clone(), record.lasts),
            (None, Some(before)) => (before.holder.clone(), before.lasts),
            (None, None) => (String::new(), Duration::ZERO),
        };
        Self {
            holder,
            lasts,
            version,
            since: now,
        }
    }

    /// Who held the lease when it was seen last; empty: nobody.
    pub(super) fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether somebody holds the lease who may still act.
    pub(super) fn is_live(&self, now: Duration, terms: Terms) -> bool {
        !self.holder.is_empty() && !self.has_ended(now, terms)
    }

    /// Whether nothing was written for as long as the lease lasts: by its holder, or by this process if
    /// that is longer.
    fn has_ended(&self, now: Duration, terms: Terms) -> bool {
        now.saturating_sub(self.since) >= self.lasts.max(terms.lease())
    }
}

/// Decides what the process named `me` does.
pub(super) fn decide(me: &str, role: Role, seen: &Sighting, now: Duration, terms: Terms) -> Next {
    let is_mine = seen.holder == me;
    match role {
        Role::Leader { until } if now >= until || !is_mine => Next::Stop,
        Role::Leader { .. } => Next::Renew,
        // Its own name without office: a write whose answer was lost.
        Role::Standby if is_mine || seen.holder.is_empty() || seen.has_ended(now, terms) => {
            Next::Take
        }
        Role::Standby => Next::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn record(holder: &str, lasts: u64, version: &str) -> Record {
        Record {
            holder: holder.to_owned(),
            lasts: seconds(lasts),
            version: version.to_owned(),
        }
    }

    /// What was seen at second 0.
    fn seen(holder: &str, lasts: u64, version: &str) -> Sighting {
        let record = record(holder, lasts, version);
        Sighting::look(None, Some(&record), Duration::ZERO)
    }

    #[test]
    fn a_standby_takes_what_nobody_holds_and_waits_for_the_end_of_a_lease_by_its_own_clock() {
        let free = || seen("", 1, "1");
        let other = |lasts| seen("other", lasts, "1");
        let table = [
            (
                "no lease yet",
                Sighting::look(None, None, Duration::ZERO),
                0,
                Next::Take,
            ),
            ("released", free(), 0, Next::Take),
            (
                "its own name, from a write whose answer was lost",
                seen("me", 15, "1"),
                0,
                Next::Take,
            ),
            ("held", other(15), 0, Next::Wait),
            ("held, nearly over", other(15), 14, Next::Wait),
            ("held, over", other(15), 15, Next::Take),
            ("held, for longer than usual", other(40), 39, Next::Wait),
            (
                "held, for longer than usual, over",
                other(40),
                40,
                Next::Take,
            ),
            ("held by who says too little", other(0), 14, Next::Wait),
            (
                "held by who says too little, over",
                other(0),
                15,
                Next::Take,
            ),
        ];
        for (name, seen, now, next) in table {
            let decided = decide("me", Role::Standby, &seen, seconds(now), Terms::default());
            assert_eq!(decided, next, "{name}");
        }
    }

    #[test]
    fn a_leader_renews_what_is_its_own_until_its_deadline_and_stops_at_anything_else() {
        let mine = || seen("me", 15, "1");
        let gone = Sighting::look(Some(&mine()), None, seconds(1));
        let table = [
            ("its own", mine(), 9, Next::Renew),
            ("its own, at the deadline", mine(), 10, Next::Stop),
            ("its own, much later", mine(), 100, Next::Stop),
            ("another has it", seen("other", 15, "2"), 1, Next::Stop),
            ("somebody released it", seen("", 1, "2"), 1, Next::Stop),
            ("somebody deleted it", gone, 2, Next::Renew),
        ];
        let until = seconds(10);
        for (name, seen, now, next) in table {
            let role = Role::Leader { until };
            let decided = decide("me", role, &seen, seconds(now), Terms::default());
            assert_eq!(decided, next, "{name}");
        }
    }

    #[test]
    fn only_a_change_that_was_seen_prolongs_the_wait() {
        let first = seen("other", 15, "1");
        let same = Sighting::look(Some(&first), Some(&record("other", 15, "1")), seconds(9));
        assert_eq!(same, first);
        let renewed = Sighting::look(Some(&first), Some(&record("other", 15, "2")), seconds(9));
        let ends = |seen: &Sighting| {
            (0..100)
                .find(|now| seen.has_ended(seconds(*now), Terms::default()))
                .unwrap()
        };
        assert_eq!((ends(&first), ends(&renewed)), (15, 24));
        // The former holder does not know yet that it is gone.
        let gone = Sighting::look(Some(&renewed), None, seconds(12));
        assert_eq!((gone.holder(), ends(&gone)), ("other", 27));
        let still_gone = Sighting::look(Some(&gone), None, seconds(20));
        assert_eq!(still_gone, gone);
    }
}
