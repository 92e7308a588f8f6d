//! Who may send a password: the claims of a reconcile on the passwords that all of them share.

use crate::api::Method;
use crate::cluster::{PasswordPrints, key_of};
use crate::controller::Operator;
use crate::controller::password_guard::{Password, Settled};
use crate::core::facts::{Facts, Peer, SeedState};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{RenewalFailure, SeedOutcome};
use crate::core::spec::{RenewalKind, RenewalPlan};

impl Operator {
    /// Claims the right to log in with a password.
    pub(in crate::controller) fn claim_login(
        &self,
        facts: &Facts,
        plan: &RenewalPlan,
    ) -> Result<(), Peer> {
        match login_print(facts).filter(|_| plan.kind == RenewalKind::Login) {
            Some(print) => {
                let (uid, asked) = (&facts.object.uid, facts.renew_requested());
                let password = Password::of(facts, print);
                match self.passwords.claim(&password, uid, asked) {
                    // What Jira has accepted before may be sent again, even if a response was lost.
                    Err(Peer::Interrupted) if is_accepted(facts, print) => {
                        self.passwords.claim(&password, uid, true)
                    }
                    claimed => claimed,
                }
            }
            None => Ok(()),
        }
    }

    /// Nothing was sent after all.
    pub(in crate::controller) fn unclaim_login(&self, facts: &Facts) {
        if let Some(print) = login_print(facts).filter(|_| logs_in(facts)) {
            self.unclaim(facts, print);
        }
    }

    /// Lets the other credentials with the same password know what became of a login.
    pub(in crate::controller) fn settle_login(&self, facts: &Facts, miss: Option<RenewalFailure>) {
        let settled = match miss {
            None => Settled::Accepted,
            Some(RenewalFailure::Refused(reason)) => Settled::Refused(reason),
            Some(RenewalFailure::Unknown(_)) => Settled::Interrupted,
            Some(RenewalFailure::NotSpent(_)) => return self.unclaim_login(facts),
            Some(RenewalFailure::Dead) => Settled::Free,
        };
        if let Some(print) = login_print(facts).filter(|_| logs_in(facts)) {
            self.settle_password(facts, print, settled);
        }
    }

    pub(in crate::controller) fn unclaim(&self, facts: &Facts, print: &Fingerprint) {
        let password = Password::of(facts, print);
        self.passwords.unclaim(&password, &facts.object.uid);
    }

    pub(in crate::controller) fn settle_password(
        &self,
        facts: &Facts,
        print: &Fingerprint,
        settled: Settled,
    ) {
        let password = Password::of(facts, print);
        let (uid, namespace) = (&facts.object.uid, &facts.object.namespace);
        if self.passwords.settle(&password, uid, settled) {
            self.wake_password_users(namespace, uid);
        }
    }

    /// The others in the namespace that send passwords look again: one may have been released.
    pub(in crate::controller) fn wake_password_users(&self, namespace: &str, me: &str) {
        let Some(store) = self.store.get() else {
            return;
        };
        for other in store.state() {
            let Ok(other) = other.0.as_ref() else {
                continue;
            };
            let sends = matches!(
                other.spec.auth.method(),
                Some(Method::Basic(_) | Method::Session(_))
            );
            let is_here = other.metadata.namespace.as_deref() == Some(namespace);
            if sends && is_here && other.metadata.uid.as_deref() != Some(me) {
                self.wake.wake(&key_of(other));
            }
        }
    }

    /// The result of this credential's password at other credentials.
    pub(in crate::controller) fn peer(
        &self,
        namespace: &str,
        uid: &str,
        prints: &PasswordPrints,
    ) -> Peer {
        let password = Password::new(namespace, prints.here.as_str());
        if let Some(everywhere) = &prints.everywhere {
            self.passwords.learn(&password, everywhere, uid);
        }
        self.passwords.look(&password, uid)
    }
}

fn logs_in(facts: &Facts) -> bool {
    let plan = facts.renewal_plan();
    plan.is_some_and(|plan| plan.kind == RenewalKind::Login)
}

/// Whether Jira has accepted the user name and password before.
fn is_accepted(facts: &Facts, print: &Fingerprint) -> bool {
    let seed = facts
        .held()
        .and_then(|held| held.grant.seed(print.as_str()));
    seed.is_some_and(|seed| seed.outcome == SeedOutcome::Accepted)
}

/// The fingerprint of the user name and password of a session.
fn login_print(facts: &Facts) -> Option<&Fingerprint> {
    match &facts.renewal.as_ref()?.seed {
        SeedState::Read { print, .. } => Some(print),
        SeedState::NotRead | SeedState::Missing | SeedState::Unusable(_) => None,
    }
}
