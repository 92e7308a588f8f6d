//! The refusals that outlive the process.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Passwords, Register, Scope, Sent, What};
use crate::cluster::RefusedPassword;
use crate::core::fingerprint::Fingerprint;

/// A refusal that is older is not taken over from an earlier process.
const LONGEST_RECORDED: TimeDelta = TimeDelta::days(30);

/// A Secret holds 1 MiB, and an entry takes about 200 bytes of it.
const MOST_RECORDED: usize = 4_000;

impl Register {
    /// Learns a refusal that the operator of another shard has recorded since this one looked last.
    fn hear(&mut self, scope: Scope, refused: Sent) {
        let Some(known) = self.sent.get_mut(&scope) else {
            self.sent.insert(scope, refused);
            return;
        };
        let is_refused = known.what.refusal().is_some();
        match &mut known.what {
            // Its own answer follows.
            What::InFlight(before) if !is_refused => *before = Some(Box::new(refused)),
            What::Accepted | What::Answered | What::NotSent(_) if !is_refused => *known = refused,
            // It stands against sending the password already.
            _ => {}
        }
    }
}

impl Passwords {
    /// Forgets everything but what an earlier process recorded.
    pub(in crate::controller) fn start_over(
        &self,
        recorded: &BTreeMap<Fingerprint, RefusedPassword>,
        now: DateTime<Utc>,
    ) {
        *self.lock() = Register::default();
        self.restore(recorded, now);
    }

    /// Takes over what an earlier process recorded.
    pub(in crate::controller) fn restore(
        &self,
        recorded: &BTreeMap<Fingerprint, RefusedPassword>,
        now: DateTime<Utc>,
    ) {
        let mut all = self.lock();
        for (print, refused) in recorded {
            if now - refused.since < LONGEST_RECORDED {
                let sent = Sent::new(&refused.uid, What::Refused(refused.reason));
                all.sent.insert(Scope::Everywhere(print.clone()), sent);
            }
        }
    }

    /// Takes over what the operators of other shards have recorded since `before`, and what they have removed.
    pub(in crate::controller) fn hear(
        &self,
        before: &BTreeMap<Fingerprint, RefusedPassword>,
        recorded: &BTreeMap<Fingerprint, RefusedPassword>,
    ) {
        let mut all = self.lock();
        for (print, refused) in recorded {
            if before.get(print) != Some(refused) {
                let sent = Sent::new(&refused.uid, What::Refused(refused.reason));
                all.hear(Scope::Everywhere(print.clone()), sent);
            }
        }
        for (print, refused) in before {
            let scope = Scope::Everywhere(print.clone());
            let is_theirs = all.sent.get(&scope).is_some_and(|sent| {
                sent.uid == refused.uid && matches!(sent.what, What::Refused(_))
            });
            if is_theirs && !recorded.contains_key(print) {
                all.sent.remove(&scope);
            }
        }
    }

    /// What is to be recorded beyond this process, after what is recorded already. `alone`: no operator of
    /// another shard records anything.
    pub(in crate::controller) fn changes(
        &self,
        recorded: &BTreeMap<Fingerprint, RefusedPassword>,
        alone: bool,
        now: DateTime<Utc>,
    ) -> BTreeMap<Fingerprint, Option<RefusedPassword>> {
        let refused = self.refused(now);
        let gone = recorded.iter().filter(|(print, told)| {
            !refused.contains_key(*print) && self.may_remove(print, told, alone, now)
        });
        let mut changes: BTreeMap<_, _> = gone.map(|(print, _)| (print.clone(), None)).collect();
        let room = MOST_RECORDED.saturating_sub(recorded.len());
        let (known, new): (BTreeMap<_, _>, BTreeMap<_, _>) = refused
            .into_iter()
            .partition(|(print, _)| recorded.contains_key(print));
        let differs = |print: &Fingerprint, refused: &RefusedPassword| {
            let known = recorded.get(print);
            let is_outdated = |known: &RefusedPassword| {
                (&known.uid, known.reason) != (&refused.uid, refused.reason)
            };
            known.is_some_and(is_outdated) && (alone || !self.is_under_way(print))
        };
        let outdated = known
            .into_iter()
            .filter(|(print, refused)| differs(print, refused));
        // A full record takes no others; what it holds is kept up to date.
        let all = outdated.chain(new.into_iter().take(room));
        changes.extend(all.map(|(print, refused)| (print, Some(refused))));
        changes
    }

    /// Whether a refusal that counts no more in this process counts no more in any other.
    fn may_remove(
        &self,
        print: &Fingerprint,
        told: &RefusedPassword,
        alone: bool,
        now: DateTime<Utc>,
    ) -> bool {
        let all = self.lock();
        let sent = all.sent.get(&Scope::Everywhere(print.clone()));
        match sent.map(|sent| &sent.what) {
            Some(What::Accepted) => true,
            // Whether Jira has counted it is not known.
            Some(What::Interrupted | What::InFlight(_)) => false,
            Some(What::Answered | What::NotSent(_) | What::Refused(_)) | None => {
                alone || all.own.contains(&told.uid) || now - told.since >= LONGEST_RECORDED
            }
        }
    }

    /// Whether the refusal is an earlier one, of whichever credential, that may or may not be confirmed.
    fn is_under_way(&self, print: &Fingerprint) -> bool {
        let all = self.lock();
        let sent = all.sent.get(&Scope::Everywhere(print.clone()));
        sent.is_some_and(|sent| !matches!(sent.what, What::Refused(_)))
    }

    fn refused(&self, now: DateTime<Utc>) -> BTreeMap<Fingerprint, RefusedPassword> {
        let all = self.lock();
        let refused = |(scope, sent): (&Scope, &Sent)| match scope {
            Scope::Everywhere(print) => Some((
                print.clone(),
                RefusedPassword {
                    uid: sent.uid.clone(),
                    reason: sent.what.refusal()?,
                    since: now,
                },
            )),
            Scope::Namespace(_) => None,
        };
        all.sent.iter().filter_map(refused).collect()
    }

    /// All credentials are known: those that sent a password and are none of them are gone.
    pub(in crate::controller) fn forget_others(&self, uids: &HashSet<String>, now: DateTime<Utc>) {
        let mut all = self.lock();
        let others = all
            .sent
            .values_mut()
            .filter(|sent| !uids.contains(&sent.uid));
        for sent in others {
            sent.gone.get_or_insert(now);
        }
    }

    /// Waits until something changed that may have to be recorded.
    pub(in crate::controller) async fn changed(&self) {
        self.changed.notified().await;
    }
}
