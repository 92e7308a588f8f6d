//! When the credential is validated, and what comes before that.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{Attempt, AttemptOutcome, Reason};
use crate::core::decide::step::Step;
use crate::core::facts::attempt::refuses_login;
use crate::core::facts::{Facts, Peer};
use crate::core::probe::Judgement;

/// What has to be known before a token can be validated on Atlassian's gateway. Data Center has
/// none.
pub(crate) fn before_validation(facts: &Facts) -> Option<Step> {
    if facts.gateway().is_some() && facts.cloud_id().is_none() {
        return Some(Step::ResolveCloudId);
    }
    survey_is_due(facts).then_some(Step::ListSites)
}

/// Whether a validation is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValidationDue {
    /// Now.
    Now,
    /// At this time.
    At(DateTime<Utc>),
    /// Not before something changes.
    OnChange,
}

/// Tells when the credential in the source is to be validated next.
pub fn validation(facts: &Facts) -> ValidationDue {
    let asked = facts.progress.judgement.is_some() || facts.progress.pending_account.is_some();
    if asked || !facts.has_token() {
        return ValidationDue::OnChange;
    }
    let due = due_by_record(facts);
    match facts.no_call_until() {
        Some(until) if due == ValidationDue::Now && until > facts.now => ValidationDue::At(until),
        _ => due,
    }
}

/// Whether what stands against sending a password is out of date once Jira has accepted it elsewhere. Whose
/// it is, and what that account may do, is not.
fn is_released(facts: &Facts) -> bool {
    facts
        .attempt()
        .is_some_and(|attempt| match attempt.outcome {
            // One that was to be sent, and was not, waits like any other.
            AttemptOutcome::Refused => {
                let waits = attempt
                    .next_attempt_time
                    .is_some_and(|time| time > facts.now);
                !waits && attempt.reason.is_none_or(refuses_login)
            }
            AttemptOutcome::Started | AttemptOutcome::Interrupted => true,
            AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict => false,
        })
}

fn due_by_record(facts: &Facts) -> ValidationDue {
    let at = |time: DateTime<Utc>| {
        if time <= facts.now {
            ValidationDue::Now
        } else {
            ValidationDue::At(time)
        }
    };
    let (asked, unsent) = (facts.renew_requested(), facts.unsent_request());
    match facts.peer {
        _ if facts.progress.attempt_recorded => return ValidationDue::Now,
        _ if facts.progress.attempt_denied => return ValidationDue::OnChange,
        Peer::InFlight => return ValidationDue::OnChange,
        _ if asked => return ValidationDue::Now,
        _ if unsent.is_some() => return unsent.map_or(ValidationDue::OnChange, at),
        Peer::Refused(_) => return ValidationDue::OnChange,
        Peer::Interrupted if !facts.is_validated() => return ValidationDue::OnChange,
        Peer::Accepted if is_released(facts) => return ValidationDue::Now,
        Peer::Interrupted | Peer::Silent | Peer::Accepted => {}
    }
    let regular = |last| facts.validation_after(last).map_or(ValidationDue::Now, at);
    match facts.attempt() {
        Some(attempt) => match attempt.outcome {
            // Whether Jira counted it is unknown. What it accepted before may be asked again in
            // due time; what it never accepted, or refused before, waits for a person.
            AttemptOutcome::Started | AttemptOutcome::Interrupted
                if facts.is_validated() && facts.refusal().is_none() =>
            {
                let next = facts.validation_after_silence(attempt.last_failure_time);
                next.map_or(ValidationDue::Now, at)
            }
            AttemptOutcome::Started | AttemptOutcome::Interrupted => ValidationDue::OnChange,
            AttemptOutcome::Refused if facts.request_is_withdrawn() => ValidationDue::OnChange,
            AttemptOutcome::Refused if facts.spec_changed() && may_mend(facts, attempt) => {
                ValidationDue::Now
            }
            // The change may be the remedy, such as another CA.
            AttemptOutcome::NoVerdict if facts.spec_changed() => ValidationDue::Now,
            AttemptOutcome::NoVerdict if facts.authorities_edited() && !counts(facts) => {
                ValidationDue::Now
            }
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict => {
                attempt
                    .next_attempt_time
                    .map_or(ValidationDue::OnChange, at)
            }
        },
        // What was published without a validation, while no call could be made, gets it at once.
        None if facts.is_provisional() => ValidationDue::Now,
        None if facts.is_validated() && !facts.pin_moved() && facts.permissions_are_settled() => {
            facts
                .status
                .last_validated_time
                .map_or(ValidationDue::Now, regular)
        }
        None => ValidationDue::Now,
    }
}

/// Whether an answer that was lost may have been a refusal that Jira counts.
pub(crate) fn counts(facts: &Facts) -> bool {
    facts.is_password() && facts.is_validated()
}

/// Whether another spec can end a refusal. A password is sent again only if Jira accepted it and
/// nothing but the pinned account or a required permission was wrong.
fn may_mend(facts: &Facts, attempt: &Attempt) -> bool {
    let accepted = [Reason::AccountChanged, Reason::PermissionMissing].map(Some);
    !facts.is_password() || accepted.contains(&attempt.reason)
}

pub(crate) fn validate(facts: &Facts) -> Step {
    if facts.is_password() && !facts.progress.attempt_recorded {
        let failures = facts.attempt().map_or(0, |attempt| attempt.failures);
        let fingerprint = facts.fingerprint().map(|print| print.as_str().to_owned());
        return Step::RecordAttempt(Attempt {
            failures,
            last_failure_time: facts.now,
            next_attempt_time: None,
            fingerprint: fingerprint.unwrap_or_default(),
            outcome: AttemptOutcome::Started,
            reason: facts.refusal(),
        });
    }
    before_validation(facts).unwrap_or(Step::Validate)
}

/// Whether what a token covers has to be asked before it can be validated: its chain has not been
/// validated for this site.
pub fn survey_is_due(facts: &Facts) -> bool {
    let Some(chain) = facts.asked_about().filter(|_| facts.gateway().is_some()) else {
        return false;
    };
    let known = facts
        .status
        .grant
        .as_ref()
        .and_then(|grant| grant.chain.as_ref());
    let validated = known == Some(&chain.family_id()) && facts.site_recorded();
    !validated && !facts.progress.sites_listed
}

/// Whether it is time to check for unrequired administrator permissions.
pub(crate) fn may_look_for_rights(facts: &Facts) -> bool {
    let accepted = matches!(facts.progress.judgement, Some(Judgement::Accepted(_)));
    let due = facts
        .status
        .permissions
        .as_ref()
        .is_none_or(|status| facts.now - status.checked_time >= LOOK_AGAIN);
    accepted && due && !facts.progress.permissions_asked
}

/// How often it is looked whether the account has become an administrator.
pub(crate) const LOOK_AGAIN: TimeDelta = TimeDelta::days(1);
