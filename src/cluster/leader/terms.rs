//! The times of an election.

use std::time::Duration;

/// The times of an election. All follow from the length of the lease, so that a leader stops before
/// another process may begin, whatever the length is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    lease_millis: u64,
}

/// The length of the lease outside of tests, in milliseconds.
const LEASE: u64 = 15_000;

const fn renew_deadline(lease: u64) -> u64 {
    lease / 3 * 2
}

const fn renew_every(lease: u64) -> u64 {
    lease / 15 * 2
}

const fn look_every(lease: u64) -> u64 {
    lease / 15
}

const fn request(lease: u64) -> u64 {
    lease / 5
}

// A leader that has not renewed its lease stops before the lease ends for anybody else, and has the
// time for more than one try before. A request that hangs ends before the deadline, too.
const _: () = {
    assert!(renew_deadline(LEASE) + renew_every(LEASE) < LEASE);
    assert!(2 * (request(LEASE) + renew_every(LEASE)) <= renew_deadline(LEASE));
    assert!(look_every(LEASE) < LEASE - renew_deadline(LEASE));
};

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease_millis: LEASE,
        }
    }
}

impl Terms {
    /// All times divided by one number, for tests. Zero counts as 1.
    #[must_use]
    pub fn divided_by(self, divisor: u64) -> Self {
        Self {
            lease_millis: self.lease_millis / divisor.max(1),
        }
    }

    /// How long another process waits for a sign of life before it takes the lease.
    pub fn lease(self) -> Duration {
        Duration::from_millis(self.lease_millis)
    }

    /// How long a leader acts after it began the request that renewed its lease last.
    pub fn renew_deadline(self) -> Duration {
        Duration::from_millis(renew_deadline(self.lease_millis))
    }

    /// How often a leader renews its lease.
    pub fn renew_every(self) -> Duration {
        Duration::from_millis(renew_every(self.lease_millis))
    }

    /// How often a standby reads the lease.
    pub fn look_every(self) -> Duration {
        Duration::from_millis(look_every(self.lease_millis))
    }

    /// When a request of the election is given up.
    pub fn request(self) -> Duration {
        Duration::from_millis(request(self.lease_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_stops_before_another_may_begin_at_any_length() {
        for divisor in [0, 1, 2, 5, 7, 100] {
            let terms = Terms::default().divided_by(divisor);
            let left = terms.lease().checked_sub(terms.renew_deadline()).unwrap();
            assert!(left > terms.look_every(), "{divisor}");
            let try_takes = terms.request() + terms.renew_every();
            assert!(2 * try_takes <= terms.renew_deadline(), "{divisor}");
        }
        let terms = Terms::default();
        assert_eq!(terms.lease(), Duration::from_secs(15));
        assert_eq!(terms.renew_deadline(), Duration::from_secs(10));
        assert_eq!(terms.renew_every(), Duration::from_secs(2));
        assert_eq!(terms.look_every(), Duration::from_secs(1));
        assert_eq!(terms.request(), Duration::from_secs(3));
    }
}
