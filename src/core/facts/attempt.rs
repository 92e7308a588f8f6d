//! What the status remembers of validations that were not accepted.

use chrono::{DateTime, Utc};

use crate::api::{Attempt, AttemptOutcome, JiraCredentialStatus, Reason};
use crate::core::facts::Facts;
use crate::core::facts::types::{Peer, Source};

impl Facts {
    /// Whether the status names the credential in the source: as validated, or as tried. Only then
    /// may the next reconcile take it as known without reading it.
    pub fn is_on_record(&self) -> bool {
        let validated = || {
            let validated = self.status.validated_fingerprint.as_deref()?;
            Some(self.is_same(&self.fingerprint()?, validated))
        };
        self.attempt().is_some() || validated().unwrap_or(false)
    }

    /// The recorded attempt, if it was made with the credential that is in the source now.
    pub fn attempt(&self) -> Option<&Attempt> {
        let fingerprint = self.fingerprint()?;
        let attempt = self.status.attempt.as_ref()?;
        self.is_same(&fingerprint, &attempt.fingerprint)
            .then_some(attempt)
    }

    /// Why Jira refuses the credential that is in the source now, as far as is recorded. An
    /// attempt that started again keeps the earlier refusal until a response replaces it.
    pub fn refusal(&self) -> Option<Reason> {
        let attempt = self.attempt()?;
        match attempt.outcome {
            AttemptOutcome::Refused => Some(attempt.reason.unwrap_or(Reason::Rejected)),
            AttemptOutcome::Started => attempt.reason,
            AttemptOutcome::Unconfirmed
            | AttemptOutcome::NoVerdict
            | AttemptOutcome::Interrupted => None,
        }
    }

    /// When a password that Jira refused is sent again because a person asked for that, if nothing
    /// was sent when it was tried.
    pub fn unsent_request(&self) -> Option<DateTime<Utc>> {
        let wanted = self.is_password() && self.renew_is_pending();
        let attempt = self.attempt().filter(|_| wanted)?;
        match attempt.outcome {
            AttemptOutcome::Refused if refuses_password(attempt) => attempt.next_attempt_time,
            AttemptOutcome::Refused
            | AttemptOutcome::Started
            | AttemptOutcome::Unconfirmed
            | AttemptOutcome::NoVerdict
            | AttemptOutcome::Interrupted => None,
        }
    }

    /// Whether a request of a person to send a refused password again was withdrawn before it was sent.
    pub fn request_is_withdrawn(&self) -> bool {
        let refused = |attempt: &Attempt| {
            attempt.outcome == AttemptOutcome::Refused && refuses_password(attempt)
        };
        let asked = self.password_is_asked_for() || self.peer == Peer::Accepted;
        self.is_password() && !asked && self.attempt().is_some_and(refused)
    }

    /// Whether a person wants the password sent, whatever is known of it.
    pub fn password_is_asked_for(&self) -> bool {
        self.renew_requested() || self.unsent_request().is_some()
    }

    /// The status to write before a password is sent. The annotation that asked for it is
    /// handled with it: a crash must not make two attempts of one request.
    pub fn with_attempt(&self, attempt: Attempt) -> JiraCredentialStatus {
        JiraCredentialStatus {
            attempt: Some(attempt),
            last_handled_renew: self.object.renew.clone(),
            pending_renew: None,
            ..self.without_old_attempt()
        }
    }

    /// The status without an attempt with what is no longer in the source. If Jira refused what it
    /// had accepted, the validation is dropped too: when it returns, it is validated again.
    pub(crate) fn without_old_attempt(&self) -> JiraCredentialStatus {
        let mut status = self.status.clone();
        let is_old = matches!(self.source, Source::Read { .. }) && self.attempt().is_none();
        if let Some(old) = status.attempt.take_if(|_| is_old) {
            let was_validated = Some(&old.fingerprint) == status.validated_fingerprint.as_ref();
            let was_refused = match old.outcome {
                AttemptOutcome::Refused | AttemptOutcome::Unconfirmed => true,
                AttemptOutcome::Started => old.reason.is_some(),
                AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => false,
            };
            status
                .last_validated_time
                .take_if(|_| was_validated && was_refused);
        }
        status
    }
}

/// The status as it stood before an attempt that was recorded and never sent: what was asked for
/// is still to be done, and what was refused is still refused.
pub fn without_unsent(status: &JiraCredentialStatus) -> JiraCredentialStatus {
    let mut before = JiraCredentialStatus {
        last_handled_renew: None,
        ..status.clone()
    };
    match &mut before.attempt {
        Some(attempt) if attempt.reason.is_some() => attempt.outcome = AttemptOutcome::Refused,
        _ => before.attempt = None,
    }
    before
}

/// Whether Jira refused the password itself, and not what its account is or may do.
fn refuses_password(attempt: &Attempt) -> bool {
    attempt.reason.is_none_or(refuses_login)
}

/// Whether Jira refuses the user name and password of a login.
pub fn refuses_login(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Rejected
            | Reason::CaptchaRequired
            | Reason::LoginDenied
            | Reason::BasicAuthDisabled
            | Reason::IpBlocked
            | Reason::WrongHost
            | Reason::AccountInactive
    )
}
