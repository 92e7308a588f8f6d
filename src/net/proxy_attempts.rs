//! How often the proxy is sent credentials that it refuses. A proxy often asks a directory, which locks
//! an account after a few wrong passwords, so that what was refused once is not sent by every call to
//! every site.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::MutexGuard as Turn;

use crate::core::probe::ProxyFault;

/// The wait after a first refusal; it doubles with each one that follows.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(2);
/// The longest wait. Directories commonly count wrong passwords within half an hour.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(30);

const REFUSED: ProxyFault = ProxyFault::Unauthorized { sent: true };

type Digest = [u8; SHA256_OUTPUT_LEN];

/// What is known of the credentials that were sent last.
#[derive(Default)]
pub(super) struct Attempts {
    known: Mutex<Known>,
    /// Held while credentials are sent of which nothing is known: calls that start together send a wrong
    /// password once.
    first: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Default)]
enum Known {
    #[default]
    Nothing,
    /// Of these: the proxy did not refuse them.
    Passed(Digest),
    /// Of these: the proxy refused them so often in a row.
    Refused {
        digest: Digest,
        in_a_row: u32,
        until: DateTime<Utc>,
    },
}

/// Whether credentials may be sent.
enum Answer {
    Yes,
    /// By one call at a time.
    OneByOne,
    No,
}

/// One use of credentials.
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    digest: Digest,
}

impl Attempts {
    /// A use of these credentials.
    pub(super) fn of(&self, sent: &SecretString) -> Attempt<'_> {
        let mut key = Digest::default();
        key.copy_from_slice(digest(&SHA256, sent.expose_secret().as_bytes()).as_ref());
        Attempt {
            attempts: self,
            digest: key,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A digest of a password is nothing to print.
impl fmt::Debug for Attempts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attempts").finish_non_exhaustive()
    }
}

impl<'a> Attempt<'a> {
    /// Fails when the proxy has refused the credentials, and the wait is not over.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), ProxyFault> {
        match self.ask(now) {
            Answer::Yes | Answer::OneByOne => Ok(()),
            Answer::No => Err(REFUSED),
        }
    }

    /// Waits until the credentials may be sent. What it returns is kept until the answer is learnt.
    pub(super) async fn enter(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<Turn<'a, ()>>, ProxyFault> {
        if let Answer::Yes = self.ask(now) {
            return Ok(None);
        }
        let turn = self.attempts.first.lock().await;
        match self.ask(now) {
            Answer::Yes => Ok(None),
            Answer::OneByOne => Ok(Some(turn)),
            Answer::No => Err(REFUSED),
        }
    }

    /// Learns from what became of the CONNECT.
    pub(super) fn learn(&self, opened: Result<(), ProxyFault>, now: DateTime<Utc>) {
        let mut known = self.attempts.lock();
        match opened {
            Err(ProxyFault::Unauthorized { .. }) => {}
            // A proxy looks at credentials before it looks at the site.
            Ok(()) | Err(ProxyFault::Refused(_) | ProxyFault::Failed(_)) => {
                *known = Known::Passed(self.digest);
                return;
            }
            // Nobody knows whether it has looked at them.
            Err(_) => return,
        }
        let before = match *known {
            Known::Refused {
                digest,
                in_a_row,
                until,
            } if digest == self.digest => {
                // Calls under way together are refused together: that is one refusal.
                if now < until {
                    return;
                }
                in_a_row
            }
            _ => 0,
        };
        *known = Known::Refused {
            digest: self.digest,
            in_a_row: before.saturating_add(1),
            until: now + wait(before),
        };
    }

    fn ask(&self, now: DateTime<Utc>) -> Answer {
        match *self.attempts.lock() {
            Known::Passed(digest) if digest == self.digest => Answer::Yes,
            Known::Refused { digest, until, .. } if digest == self.digest && now < until => {
                Answer::No
            }
            _ => Answer::OneByOne,
        }
    }
}

/// The wait after a refusal that followed so many.
fn wait(before: u32) -> TimeDelta {
    (FIRST_WAIT * 2_i32.pow(before.min(10))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[tokio::test]
    async fn what_was_refused_waits_longer_each_time_and_what_is_new_does_not() {
        let attempts = Attempts::default();
        let (wrong, right) = (SecretString::from("wrong"), SecretString::from("right"));
        let wrong = attempts.of(&wrong);
        let mut tries = Vec::new();
        for minute in 0..=120 {
            if wrong.check(at(minute)).is_ok() {
                let turn = wrong.enter(at(minute)).await.unwrap();
                assert!(turn.is_some(), "one by one");
                wrong.learn(Err(REFUSED), at(minute));
                // An answer to a call that was under way counts once.
                wrong.learn(Err(REFUSED), at(minute));
                tries.push(minute);
            }
        }
        assert_eq!(tries, [0, 2, 6, 14, 30, 60, 90, 120]);
        assert_eq!(wrong.enter(at(121)).await.err(), Some(REFUSED));
        assert_eq!(attempts.of(&right).check(at(121)), Ok(()));
    }

    #[tokio::test]
    async fn what_is_not_refused_is_sent_by_all_at_once() {
        for other in [
            Ok(()),
            Err(ProxyFault::Refused(403)),
            Err(ProxyFault::Failed(502)),
        ] {
            let attempts = Attempts::default();
            let secret = SecretString::from("secret");
            let attempt = attempts.of(&secret);
            let turn = attempt.enter(at(0)).await.unwrap();
            attempt.learn(other, at(0));
            assert!(attempt.enter(at(0)).await.unwrap().is_none(), "{other:?}");
            drop(turn);
        }
    }

    #[tokio::test]
    async fn what_got_no_answer_goes_on_one_by_one() {
        let attempts = Attempts::default();
        let secret = SecretString::from("secret");
        let attempt = attempts.of(&secret);
        attempt.learn(Err(REFUSED), at(0));
        for minute in [2, 3] {
            let turn = attempt.enter(at(minute)).await.unwrap();
            assert!(turn.is_some(), "{minute}");
            attempt.learn(Err(ProxyFault::Silent), at(minute));
        }
        attempt.learn(Err(REFUSED), at(4));
        assert_eq!(
            attempt.check(at(7)),
            Err(REFUSED),
            "the second wait is longer"
        );
        assert_eq!(attempt.check(at(8)), Ok(()));
    }
}
