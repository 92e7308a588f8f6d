//! Who has sent which password, across all credentials: Jira counts refusals, so the same
//! password must not be tried once per object.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use crate::api::Reason;
use crate::core::facts::{Facts, Peer};
use crate::core::fingerprint::Fingerprint;

mod recorded;
mod refused;

/// How long a refusal is remembered after its `JiraCredential` is gone: deleting and
/// creating it again must not send the same password each time.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// The passwords that were sent and not accepted.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    register: Mutex<Register>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Register {
    sent: HashMap<Scope, Sent>,
    /// The fingerprint that all namespaces share.
    everywhere: HashMap<Password, Shared>,
    /// The uids of the credentials that sent a password here, or were seen to be deleted: what is recorded of
    /// others is for other operators to remove.
    own: HashSet<String>,
}

#[derive(Debug)]
struct Shared {
    print: Fingerprint,
    /// Whose password it is.
    uid: String,
    /// Whether that credential is gone.
    gone: bool,
}

/// A user name and password as one namespace knows it: by the fingerprint that the status records.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Password {
    namespace: String,
    print: String,
}

/// Where something is known of a password.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Scope {
    /// In one namespace. A status counts in its own namespace only: a user who can write one must not
    /// make the passwords of other tenants count as refused.
    Namespace(Password),
    /// Everywhere: what this process did itself.
    Everywhere(Fingerprint),
}

impl Scope {
    fn is_namespace(&self) -> bool {
        matches!(self, Self::Namespace(_))
    }
}

#[derive(Debug)]
struct Sent {
    uid: String,
    what: What,
    /// Since when the credential is gone.
    gone: Option<DateTime<Utc>>,
}

/// The earlier result of a password: a refusal that a person asked to ignore, or an acceptance that
/// releases others.
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

impl Password {
    pub(super) fn new(namespace: &str, print: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            print: print.to_owned(),
        }
    }

    pub(super) fn of(facts: &Facts, print: &Fingerprint) -> Self {
        Self::new(&facts.object.namespace, print.as_str())
    }
}

impl Register {
    /// Where to look for a password, and where to record what becomes of it.
    fn scopes(&self, password: &Password) -> Vec<Scope> {
        let everywhere = self.everywhere.get(password);
        let everywhere = everywhere.map(|shared| Scope::Everywhere(shared.print.clone()));
        let here = Scope::Namespace(password.clone());
        everywhere.into_iter().chain([here]).collect()
    }

    fn look(&self, scope: &Scope, me: &str) -> Peer {
        match self.sent.get(scope) {
            Some(Sent {
                what: What::Refused(reason),
                ..
            }) => Peer::Refused(*reason),
            Some(sent) if scope.is_namespace() && sent.was_accepted_for_another(me) => {
                Peer::Accepted
            }
            Some(Sent { uid, what, .. }) if uid != me => what.as_peer(),
            Some(_) | None => Peer::Silent,
        }
    }

    fn may_claim(&self, scope: &Scope, me: &str, asked: bool) -> Result<(), Peer> {
        match self.sent.get(scope) {
            Some(Sent {
                uid,
                what: What::InFlight(_),
                ..
            }) if uid != me => Err(Peer::InFlight),
            Some(Sent {
                what: What::Answered | What::Accepted,
                ..
            }) => Ok(()),
            Some(Sent { uid, what, .. }) if uid != me && !asked => match what.as_peer() {
                Peer::Silent => Ok(()),
                known => Err(known),
            },
            Some(Sent {
                what: What::Refused(reason),
                ..
            }) if !asked => Err(Peer::Refused(*reason)),
            Some(_) | None => Ok(()),
        }
    }

    /// Records what a status says, unless this process knows more itself.
    fn note(&mut self, password: Password, uid: &str, what: What) {
        let scope = Scope::Namespace(password);
        self.sent
            .entry(scope)
            .or_insert_with(|| Sent::new(uid, what));
    }
}

impl Passwords {
    /// Learns that a password of this credential, which was just read, has this fingerprint in every
    /// namespace.
    pub(super) fn learn(&self, password: &Password, everywhere: &Fingerprint, me: &str) {
        let shared = Shared {
            print: everywhere.clone(),
            uid: me.to_owned(),
            gone: false,
        };
        self.lock().everywhere.insert(password.clone(), shared);
    }

    /// The result of this password at other credentials.
    pub(super) fn look(&self, password: &Password, me: &str) -> Peer {
        let all = self.lock();
        let scopes = all.scopes(password);
        let known = scopes.iter().map(|scope| all.look(scope, me));
        known
            .into_iter()
            .find(|peer| *peer != Peer::Silent)
            .unwrap_or(Peer::Silent)
    }

    /// Claims the right to send a password. `asked`: a person wants it tried whatever is known.
    ///
    /// # Errors
    /// What others know of it, which stands against that.
    pub(super) fn claim(&self, password: &Password, me: &str, asked: bool) -> Result<(), Peer> {
        let mut all = self.lock();
        let scopes = all.scopes(password);
        for scope in &scopes {
            all.may_claim(scope, me, asked)?;
        }
        all.own.insert(me.to_owned());
        for scope in scopes {
            let before = all.sent.remove(&scope).and_then(Sent::before);
            all.sent
                .insert(scope, Sent::new(me, What::InFlight(before)));
        }
        Ok(())
    }

    /// Releases a claim after nothing was sent. Other credentials see the earlier result again; for this
    /// one the person's request stays open.
    pub(super) fn unclaim(&self, password: &Password, me: &str) {
        let mut all = self.lock();
        for scope in all.scopes(password) {
            if let Some(sent) = all.sent.get_mut(&scope)
                && let What::InFlight(before) = &mut sent.what
                && sent.uid == me
            {
                sent.what = What::NotSent(before.take());
            }
        }
    }

    /// Tells what became of a password that was sent. Returns whether an acceptance has ended what stood
    /// against sending it, here or elsewhere in its namespace.
    pub(super) fn settle(&self, password: &Password, me: &str, outcome: Settled) -> bool {
        let mut all = self.lock();
        let here = all.sent.get(&Scope::Namespace(password.clone()));
        let in_doubt = here.is_some_and(|sent| match &sent.what {
            What::InFlight(Some(before)) => before.what.is_doubt(),
            _ => false,
        });
        for scope in all.scopes(password) {
            let what = match outcome {
                Settled::Free => What::Answered,
                Settled::Accepted => What::Accepted,
                Settled::Interrupted => What::Interrupted,
                Settled::Refused(reason) => What::Refused(reason),
            };
            all.sent.insert(scope, Sent::new(me, what));
        }
        self.changed.notify_one();
        in_doubt && matches!(outcome, Settled::Accepted)
    }

    /// Whether this process knows that an attempt which stands in the status without an answer
    /// was never made, or was accepted.
    pub(super) fn did_no_harm(&self, password: &Password, me: &str) -> bool {
        let all = self.lock();
        let sent = all.sent.get(&Scope::Namespace(password.clone()));
        let harmless = |what: &What| matches!(what, What::NotSent(_) | What::Accepted);
        sent.is_some_and(|sent| sent.uid == me && harmless(&sent.what))
    }

    /// The credential is gone. What stands against sending its password is kept for a while.
    pub(super) fn forget(&self, uid: &str, now: DateTime<Utc>) {
        let mut all = self.lock();
        let Register {
            sent,
            everywhere,
            own,
        } = &mut *all;
        sent.retain(|_, sent| {
            if sent.uid == uid {
                own.insert(uid.to_owned());
                sent.gone.get_or_insert(now);
            }
            match sent.gone {
                Some(gone) => sent.what.as_peer() != Peer::Silent && now - gone < REMEMBERED,
                None => true,
            }
        });
        // What is under way for it still has to be settled everywhere.
        everywhere.retain(|password, shared| {
            shared.gone |= shared.uid == uid;
            !shared.gone || sent.contains_key(&Scope::Namespace(password.clone()))
        });
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    fn new(uid: &str, what: What) -> Self {
        Self {
            uid: uid.to_owned(),
            what,
            gone: None,
        }
    }

    /// What holds again if the next attempt is not sent.
    fn before(self) -> Before {
        match self.what {
            What::Refused(_) | What::Interrupted | What::Accepted => Some(Box::new(self)),
            What::InFlight(before) | What::NotSent(before) => before,
            What::Answered => None,
        }
    }

    /// Whether the last answer of Jira was an acceptance for another credential. It releases all others
    /// until one of them has sent the password, not only claimed it.
    fn was_accepted_for_another(&self, me: &str) -> bool {
        match &self.what {
            What::Accepted => self.uid != me,
            What::NotSent(Some(before)) => before.was_accepted_for_another(me),
            What::NotSent(None)
            | What::Answered
            | What::InFlight(_)
            | What::Interrupted
            | What::Refused(_) => false,
        }
    }
}

impl What {
    /// Whether it stands against sending the password again.
    fn is_doubt(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Interrupted)
    }

    /// Why Jira refused the password, also while a person has it tried once more.
    fn refusal(&self) -> Option<Reason> {
        match self {
            What::Refused(reason) => Some(*reason),
            What::InFlight(Some(before)) | What::NotSent(Some(before)) => before.what.refusal(),
            What::Answered
            | What::Accepted
            | What::Interrupted
            | What::InFlight(None)
            | What::NotSent(None) => None,
        }
    }

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
