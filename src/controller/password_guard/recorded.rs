//! What the status of a credential says of its password.

use kube::ResourceExt;

use super::{Password, Passwords, Scope, Sent, What};
use crate::api::{AttemptOutcome, JiraCredential, JiraCredentialStatus, MethodName, Reason};
use crate::core::facts::attempt::refuses_login;

impl Passwords {
    /// Learns the last attempt from a status, which survives a restart.
    pub(in crate::controller) fn note(&self, object: &JiraCredential) {
        let (Some(uid), Some(status)) = (object.uid(), &object.status) else {
            return;
        };
        // A suspended credential sends nothing, so that nothing can correct what it says.
        if object.spec.suspend {
            return;
        }
        let namespace = object.namespace().unwrap_or_default();
        let password = |print: &str| Password::new(&namespace, print);
        if let Some((print, reason)) = refused_login(object, status) {
            let what = What::Refused(reason);
            self.lock().note(password(&print), &uid, what);
        }
        if let Some(print) = unanswered_login(object, status) {
            self.lock().note(password(&print), &uid, What::Interrupted);
        }
        let Some(attempt) = &status.attempt else {
            return self.forget_interruption(&uid, &namespace, status);
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
        let password = password(&attempt.fingerprint);
        self.lock().note(password, &uid, what);
    }

    /// Learns the same from the status of a credential that another operator serves: that one knows best. Returns
    /// whether nothing stands any more against sending a password.
    pub(in crate::controller) fn note_elsewhere(&self, object: &JiraCredential) -> bool {
        let uid = object.uid().unwrap_or_default();
        let doubts = |(scope, sent): (&Scope, &Sent)| {
            let is_doubt = scope.is_namespace() && sent.uid == uid && sent.what.is_doubt();
            is_doubt.then(|| scope.clone())
        };
        let before: Vec<Scope> = self.lock().sent.iter().filter_map(doubts).collect();
        for scope in &before {
            self.lock().sent.remove(scope);
        }
        self.note(object);
        let all = self.lock();
        before.iter().any(|scope| !all.sent.contains_key(scope))
    }

    /// An attempt that came through the watch only when its answer was here already: the
    /// answer follows.
    fn forget_interruption(&self, me: &str, namespace: &str, status: &JiraCredentialStatus) {
        let Some(validated) = &status.validated_fingerprint else {
            return;
        };
        let scope = Scope::Namespace(Password::new(namespace, validated));
        let mut all = self.lock();
        if let Some(Sent {
            uid,
            what: What::Interrupted,
            ..
        }) = all.sent.get(&scope)
            && uid == me
        {
            all.sent.remove(&scope);
        }
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
