//! One answer of Jira for all credentials that use the same secret at the same site: when a Secret
//! with many users changes, Jira is asked once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::api::MethodName;
use crate::clock::Clock;
use crate::core::probe::Verdict;
use crate::core::spec::Site;

/// An answer is shared for this time. A refusal is confirmed after a longer one.
const SHARED_FOR: Duration = Duration::from_secs(20);

/// Old answers are dropped this often: with each call, a pass over those of thousands of credentials would cost
/// more than what the call itself needs.
const SWEEP: Duration = Duration::from_secs(1);

/// The last answers.
#[derive(Default)]
pub(super) struct SharedVerdicts {
    by_call: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    all: HashMap<SameCall, Arc<Shared>>,
    swept: Option<Instant>,
}

/// Everything that the answer of Jira depends on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct SameCall {
    /// The site that is called.
    pub(super) site: Site,
    /// How the secret is sent.
    pub(super) method: MethodName,
    /// Stands for user and secret, in one namespace.
    pub(super) fingerprint: String,
    /// The authorities that are trusted.
    pub(super) ca_pem: Option<Vec<u8>>,
}

#[derive(Default)]
struct Shared {
    // Held during the call, so that those who come meanwhile wait for its answer.
    answer: tokio::sync::Mutex<Option<Answer>>,
}

struct Answer {
    verdict: Verdict,
    got: Instant,
    time: DateTime<Utc>,
    /// Who has it. They ask again for another one.
    users: HashSet<String>,
}

impl SharedVerdicts {
    /// The answer that another credential got within the last seconds, or else that of `call`, which is
    /// made on behalf of the credential with the uid `user`.
    pub(super) async fn verdict(
        &self,
        same: SameCall,
        user: &str,
        clock: &Clock,
        call: impl Future<Output = Verdict>,
    ) -> Verdict {
        let came = Instant::now();
        let shared = {
            let mut calls = self.lock();
            if calls.swept.is_none_or(|swept| came - swept >= SWEEP) {
                calls.all.retain(|_, shared| shared.is_wanted());
                calls.swept = Some(came);
            }
            Arc::clone(calls.all.entry(same).or_default())
        };
        let mut answer = shared.answer.lock().await;
        if let Some(known) = answer.as_mut()
            && known.is_for_those_who_came(came, clock.now())
            && known.users.insert(user.to_owned())
        {
            return known.verdict.clone();
        }
        let verdict = call.await;
        *answer = Some(Answer {
            verdict: verdict.clone(),
            got: Instant::now(),
            time: clock.now(),
            users: HashSet::from([user.to_owned()]),
        });
        verdict
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.by_call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn is_wanted(self: &Arc<Self>) -> bool {
        // One that is locked has a call under way.
        let fresh = |answer: &Option<Answer>| {
            answer
                .as_ref()
                .is_some_and(|answer| answer.got.elapsed() < SHARED_FOR)
        };
        Arc::strong_count(self) > 1 || self.answer.try_lock().is_ok_and(|answer| fresh(&answer))
    }
}

impl Answer {
    /// An outage is shared only with those who waited for it.
    fn is_for_those_who_came(&self, came: Instant, now: DateTime<Utc>) -> bool {
        let limit = TimeDelta::from_std(SHARED_FOR).unwrap_or_default();
        let is_fresh = self.got.elapsed() < SHARED_FOR && (now - self.time).abs() < limit;
        match self.verdict {
            Verdict::Accepted(_) | Verdict::Refused(_) => is_fresh,
            Verdict::NoVerdict(_) | Verdict::NotAllowed(_) => is_fresh && came < self.got,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::api::Hosting;
    use crate::core::probe::{Outage, Refusal};

    const REFUSED: Verdict = Verdict::Refused(Refusal::Rejected);

    #[tokio::test(start_paused = true)]
    async fn those_who_come_together_share_an_answer() {
        let (verdicts, calls) = (SharedVerdicts::default(), AtomicUsize::new(0));
        let clock = Clock::standing_at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ask = async |credential: &str, user: &str, verdict: Verdict| {
            // Longer than some sites take.
            let call = async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                calls.fetch_add(1, Ordering::SeqCst);
                verdict
            };
            let same = SameCall {
                site: Site {
                    hosting: Hosting::Cloud,
                    base: "https://acme.atlassian.net".to_owned(),
                    host: "acme.atlassian.net".to_owned(),
                },
                method: MethodName::ApiToken,
                fingerprint: credential.to_owned(),
                ca_pem: None,
            };
            verdicts.verdict(same, user, &clock, call).await
        };
        let calls = || calls.swap(0, Ordering::SeqCst);
        let users: Vec<String> = (0..20).map(|number| format!("user-{number}")).collect();
        let all = users.iter().map(|user| ask("one", user, REFUSED));
        let answers = futures::future::join_all(all).await;
        assert_eq!((answers, calls()), (vec![REFUSED; 20], 1));
        // One who comes later, another secret, and the same user for a second time.
        ask("one", "late", REFUSED).await;
        assert_eq!(calls(), 0);
        ask("other", "user-1", REFUSED).await;
        ask("one", "user-1", REFUSED).await;
        assert_eq!(calls(), 2);
        ask("one", "user-2", REFUSED).await;
        assert_eq!(calls(), 0, "of the second answer");
        clock.advance(TimeDelta::hours(1));
        ask("one", "user-3", REFUSED).await;
        assert_eq!(calls(), 1, "an hour later");
        tokio::time::sleep(SHARED_FOR).await;
        ask("one", "user-4", REFUSED).await;
        assert_eq!(calls(), 1);
        assert_eq!(verdicts.lock().all.len(), 1, "what is too old is forgotten");
        // Outages are shared with those who waited, and with nobody else.
        let outage = Verdict::NoVerdict(Outage::Timeout);
        let all = users.iter().map(|user| ask("silent", user, outage.clone()));
        futures::future::join_all(all).await;
        assert_eq!(calls(), 1);
        ask("silent", "late", outage.clone()).await;
        assert_eq!(calls(), 1);
    }
}
