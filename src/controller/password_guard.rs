//! Who has sent which password, across all credentials: Jira counts refusals, so the same
//! password must not be tried once per object.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use crate::api::{AttemptOutcome, JiraCredential, JiraCredentialStatus, MethodName, Reason};
use crate::core::decide::renewal::blocker::refuses_login;
use crate::core::facts::{Facts, Peer, SeedState};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{RenewalFailure, SeedOutcome};
use crate::core::spec::{RenewalKind, RenewalPlan};

use crate::controller::Operator;

/// The passwords that were sent and not accepted, by their fingerprint.
#[derive(Debug, Default)]
pub(super) struct Passwords(Mutex<HashMap<String, Sent>>);

#[derive(Debug)]
struct Sent {
    uid: String,
    what: What,
}

/// What stood against sending a password, when a person wanted that set aside.
type Before = Option<Box<Sent>>;

#[derive(Debug)]
enum What {
    /// Kept, because a status on its way through the watch may still say that it was started.
    Answered,
    /// Kept for the case that the status could not be written.
    Accepted,
    /// Nor will it be by what was claimed.
    NotSent(Before),
    InFlight(Before),
    Interrupted,
    Refused(Reason),
}

impl Passwords {
    /// What others know of a password.
    pub(super) fn look(&self, fingerprint: &Fingerprint, me: &str) -> Peer {
        match self.lock().get(fingerprint.as_str()) {
            Some(Sent {
                what: What::Refused(reason),
                ..
            }) => Peer::Refused(*reason),
            Some(Sent { uid, what }) if uid != me => what.as_peer(),
            Some(_) | None => Peer::Silent,
        }
    }

    /// Claims the right to send a password. `asked`: a person wants it tried whatever is known.
    ///
    /// # Errors
    /// What others know of it, which stands against that.
    pub(super) fn claim(&self, fingerprint: &str, me: &str, asked: bool) -> Result<(), Peer> {
        let mut all = self.lock();
        match all.get(fingerprint) {
            Some(Sent {
                uid,
                what: What::InFlight(_),
            }) if uid != me => return Err(Peer::InFlight),
            Some(Sent {
                what: What::Answered | What::Accepted,
                ..
            }) => {}
            Some(Sent { uid, what }) if uid != me && !asked => match what.as_peer() {
                Peer::Silent => {}
                known => return Err(known),
            },
            Some(Sent {
                what: What::Refused(reason),
                ..
            }) if !asked => return Err(Peer::Refused(*reason)),
            Some(_) | None => {}
        }
        let before = all.remove(fingerprint).and_then(Sent::doubt);
        let ours = Sent {
            uid: me.to_owned(),
            what: What::InFlight(before),
        };
        all.insert(fingerprint.to_owned(), ours);
        Ok(())
    }

    /// Gives a claim back, as nothing was sent. What was to be set aside holds again for others; to
    /// whom it was claimed for, the person's word still goes.
    pub(super) fn unclaim(&self, fingerprint: &str, me: &str) {
        let mut all = self.lock();
        if let Some(sent) = all.get_mut(fingerprint)
            && let What::InFlight(before) = &mut sent.what
            && sent.uid == me
        {
            sent.what = What::NotSent(before.take());
        }
    }

    /// Tells what became of a password that was sent.
    pub(super) fn settle(&self, fingerprint: &str, me: &str, outcome: Settled) {
        let mut all = self.lock();
        let what = match outcome {
            Settled::Free => What::Answered,
            Settled::Accepted => What::Accepted,
            Settled::Interrupted => What::Interrupted,
            Settled::Refused(reason) => What::Refused(reason),
        };
        all.insert(
            fingerprint.to_owned(),
            Sent {
                uid: me.to_owned(),
                what,
            },
        );
    }

    /// Whether this process knows that an attempt which stands in the status without an answer
    /// was never made, or was accepted.
    pub(super) fn did_no_harm(&self, fingerprint: &str, me: &str) -> bool {
        let all = self.lock();
        let sent = all.get(fingerprint);
        let harmless = |what: &What| matches!(what, What::NotSent(_) | What::Accepted);
        sent.is_some_and(|sent| sent.uid == me && harmless(&sent.what))
    }

    /// Records what a credential records of its last attempt: it outlives the process.
    pub(super) fn note(&self, object: &JiraCredential) {
        let (Some(uid), Some(status)) = (object.uid(), &object.status) else {
            return;
        };
        if let Some((print, reason)) = refused_login(object, status) {
            let what = What::Refused(reason);
            self.lock().entry(print).or_insert_with(|| Sent {
                uid: uid.clone(),
                what,
            });
        }
        if let Some(print) = unanswered_login(object, status) {
            self.lock().entry(print).or_insert_with(|| Sent {
                uid: uid.clone(),
                what: What::Interrupted,
            });
        }
        let Some(attempt) = &status.attempt else {
            return self.forget_interruption(&uid, status);
        };
        let what = match attempt.outcome {
            // Recorded for passwords only, and at first before the status names the method.
            AttemptOutcome::Started | AttemptOutcome::Interrupted => What::Interrupted,
            // Jira accepted the password; whose it is, and what that account may do, matters to
            // this credential alone.
            AttemptOutcome::Refused
                if matches!(
                    attempt.reason,
                    Some(Reason::AccountChanged | Reason::PermissionMissing)
                ) =>
            {
                return;
            }
            AttemptOutcome::Refused if is_password(object) => {
                What::Refused(attempt.reason.unwrap_or(Reason::Rejected))
            }
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict => {
                return;
            }
        };
        // What this process knows itself is fresher than a status on its way through the watch.
        self.lock()
            .entry(attempt.fingerprint.clone())
            .or_insert_with(|| Sent { uid, what });
    }

    /// An attempt that came through the watch only when its answer was here already: the
    /// answer follows.
    fn forget_interruption(&self, me: &str, status: &JiraCredentialStatus) {
        let Some(validated) = &status.validated_fingerprint else {
            return;
        };
        let mut all = self.lock();
        if let Some(Sent {
            uid,
            what: What::Interrupted,
        }) = all.get(validated)
            && uid == me
        {
            all.remove(validated);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Sent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operator {
    /// Claims the right to log in with a password.
    pub(super) fn claim_login(&self, facts: &Facts, plan: &RenewalPlan) -> Result<(), Peer> {
        match login_print(facts).filter(|_| plan.kind == RenewalKind::Login) {
            Some(print) => {
                let (uid, asked) = (&facts.object.uid, facts.renew_requested());
                match self.passwords.claim(print.as_str(), uid, asked) {
                    // What Jira has accepted before may be sent again, even if a response was lost.
                    Err(Peer::Interrupted) if is_accepted(facts, print) => {
                        self.passwords.claim(print.as_str(), uid, true)
                    }
                    claimed => claimed,
                }
            }
            None => Ok(()),
        }
    }

    /// Nothing was sent after all.
    pub(super) fn unclaim_login(&self, facts: &Facts) {
        if let Some(print) = login_print(facts).filter(|_| logs_in(facts)) {
            self.passwords.unclaim(print.as_str(), &facts.object.uid);
        }
    }

    /// Lets the other credentials with the same password know what became of a login.
    pub(super) fn settle_login(&self, facts: &Facts, miss: Option<RenewalFailure>) {
        let settled = match miss {
            None => Settled::Accepted,
            Some(RenewalFailure::Refused(reason)) => Settled::Refused(reason),
            Some(RenewalFailure::Unknown(_)) => Settled::Interrupted,
            Some(RenewalFailure::NotSpent(_)) => return self.unclaim_login(facts),
            Some(RenewalFailure::Dead) => Settled::Free,
        };
        if let Some(print) = login_print(facts).filter(|_| logs_in(facts)) {
            self.passwords
                .settle(print.as_str(), &facts.object.uid, settled);
        }
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

/// A user name and password that Jira refused at login.
fn refused_login(
    object: &JiraCredential,
    status: &JiraCredentialStatus,
) -> Option<(String, Reason)> {
    let method = object.spec.auth.method()?.name();
    let grant = status
        .grant
        .as_ref()
        .filter(|_| method == MethodName::Session)?;
    if let Some(reason) = grant.blocked_by.filter(|reason| refuses_login(*reason)) {
        return Some((grant.seed.clone()?, reason));
    }
    // One that was refused beside a session that goes on.
    let beside = grant.candidate.as_ref()?;
    let refused = beside.outcome == AttemptOutcome::Refused
        && beside.reason == Some(Reason::RotationFailed)
        && !beside.fingerprint.is_empty();
    refused.then(|| (beside.fingerprint.clone(), Reason::Rejected))
}

/// A user name and password that were sent to start a session, and never accepted or refused.
fn unanswered_login(object: &JiraCredential, status: &JiraCredentialStatus) -> Option<String> {
    let method = object.spec.auth.method()?.name();
    let grant = status
        .grant
        .as_ref()
        .filter(|_| method == MethodName::Session)?;
    let unknown = grant.blocked_by == Some(Reason::NotValidated);
    grant.seed.clone().filter(|_| unknown)
}

/// Whether a credential sends a password, or did when its status was written.
fn is_password(object: &JiraCredential) -> bool {
    let recorded = object.status.as_ref().and_then(|status| status.method);
    let wanted = object.spec.auth.method().map(|method| method.name());
    [recorded, wanted].contains(&Some(MethodName::Basic))
}

/// What became of a password that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settled {
    /// Accepted.
    Accepted,
    /// Not checked: it may be sent again.
    Free,
    /// No one knows whether Jira counted it.
    Interrupted,
    /// Refused.
    Refused(Reason),
}

impl Sent {
    /// What stands against sending the password again.
    fn doubt(self) -> Before {
        match self.what {
            What::Refused(_) | What::Interrupted => Some(Box::new(self)),
            What::InFlight(before) | What::NotSent(before) => before,
            What::Answered | What::Accepted => None,
        }
    }
}

impl What {
    fn as_peer(&self) -> Peer {
        match self {
            What::Answered | What::Accepted => Peer::Silent,
            What::NotSent(before) => match before {
                Some(before) => before.what.as_peer(),
                None => Peer::Silent,
            },
            What::InFlight(_) => Peer::InFlight,
            What::Interrupted => Peer::Interrupted,
            What::Refused(reason) => Peer::Refused(*reason),
        }
    }
}

#[cfg(test)]
mod tests;
