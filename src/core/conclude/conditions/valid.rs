//! The condition `Valid`: whether Jira accepts the credential.

use crate::api::{AttemptOutcome, ConditionStatus, ConditionType, Reason};
use crate::core::conclude::conditions::unanswered::failing_validation;
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::decide::renewal::blocker;
use crate::core::decide::renewal::blocker::renewal_blocker;
use crate::core::decide::validation::{ValidationDue, validation};
use crate::core::facts::attempt::refuses_login;
use crate::core::facts::{Facts, Peer};
use crate::core::messages;
use crate::core::messages::{meanwhile, outage, refusal, renewal};
use crate::core::probe::{Cause, Judgement};

/// Whether Jira accepts the credential.
pub fn valid(facts: &Facts) -> ConditionDraft {
    use ConditionStatus::Unknown;
    if let Some(draft) = renewal_finding(facts) {
        return draft;
    }
    if let Some(refusal) = facts.refusal() {
        return refused(facts, refusal);
    }
    if let Some(elsewhere) = refused_for_another(facts) {
        return elsewhere;
    }
    let Some(attempt) = facts.attempt() else {
        return without_attempt(facts);
    };
    match attempt.outcome {
        AttemptOutcome::Unconfirmed => {
            draft(Unknown, Reason::Confirming, refusal::confirming(facts))
        }
        AttemptOutcome::Refused
        | AttemptOutcome::NoVerdict
        | AttemptOutcome::Started
        | AttemptOutcome::Interrupted
            if still_validated(facts) =>
        {
            accepted(facts)
        }
        AttemptOutcome::Started | AttemptOutcome::Interrupted if facts.is_validated() => {
            without_attempt(facts)
        }
        AttemptOutcome::Started => draft(Unknown, Reason::NotValidated, outage::interrupted(facts)),
        AttemptOutcome::Interrupted => {
            draft(Unknown, Reason::NotValidated, outage::unanswered(facts))
        }
        AttemptOutcome::Refused | AttemptOutcome::NoVerdict => no_verdict(facts, attempt.reason),
    }
}

/// What the renewal says of the credential, before Jira is listened to.
fn renewal_finding(facts: &Facts) -> Option<ConditionDraft> {
    use ConditionStatus::{False, Unknown};
    let renewal_blocker = renewal_blocker(facts);
    let ends = |reason: &Reason| {
        matches!(
            reason,
            Reason::ReconsentRequired | Reason::ClientRejected | Reason::Expired
        ) || refuses_login(*reason)
    };
    if let Some(reason) = renewal_blocker.filter(ends) {
        // What the password looks like is known only when it was read.
        let told = facts.grant_unread() && refuses_login(reason);
        let text = if told {
            told_refusal(facts, reason)
        } else {
            renewal::message(facts, reason)
        };
        return Some(draft(False, reason, text));
    }
    if facts.lacks_scopes() {
        let reason = Reason::InsufficientScope;
        let missing = facts.missing_scopes();
        let text = if facts.grant_unread() {
            told_refusal(facts, reason)
        } else if missing.is_empty() {
            renewal::message(facts, reason)
        } else {
            refusal::missing_scopes(facts, &missing)
        };
        return Some(draft(False, reason, text));
    }
    let unvalidated = facts.is_provisional() && facts.refusal().is_none();
    unvalidated.then(|| {
        let text = refusal::unvalidated(facts);
        draft(Unknown, Reason::PublishedUnvalidated, text)
    })
}

fn refused(facts: &Facts, reason: Reason) -> ConditionDraft {
    use ConditionStatus::False;
    let reason = if facts.source_has_ended() && reason == Reason::Rejected {
        Reason::Expired
    } else {
        reason
    };
    let message = refusal_message(facts, reason).unwrap_or_else(|| told_refusal(facts, reason));
    draft(False, reason, message)
}

/// The words of an earlier reconcile for a refusal.
fn told_refusal(facts: &Facts, reason: Reason) -> String {
    // Between a refusal and the end of the credential's life only the reason changes.
    let told = facts
        .status
        .condition(ConditionType::Valid)
        .filter(|old| old.status == ConditionStatus::False)
        .filter(|old| old.reason == reason || reason == Reason::Expired);
    told.map_or_else(|| refusal::refused_before(facts), |old| old.message.clone())
}

fn no_verdict(facts: &Facts, reason: Option<Reason>) -> ConditionDraft {
    use ConditionStatus::Unknown;
    let recorded = reason;
    let reason = reason
        .filter(|reason| {
            matches!(
                reason,
                Reason::RateLimited
                    | Reason::SiteUnavailable
                    | Reason::ClockSkew
                    | Reason::SourceMalformed
                    | Reason::CrossSiteCheck
            )
        })
        .unwrap_or(Reason::NotValidated);
    let message = match &facts.progress.judgement {
        Some(Judgement::NoVerdict(outage)) => outage::outage(facts, *outage),
        Some(Judgement::NotAllowed(why)) => outage::not_allowed(facts, *why),
        _ => facts
            .status
            .condition(ConditionType::Valid)
            .filter(|old| old.status == Unknown && old.reason == reason)
            .map(|old| old.message.clone())
            .or_else(|| {
                let cause = meanwhile::told_cause(facts, recorded?)?;
                Some(format!("{cause} {}", messages::still(facts)))
            })
            .unwrap_or_else(|| outage::not_asked(facts)),
    };
    draft(Unknown, reason, message)
}

/// A refusal of a password counts for every credential that would send the same.
fn refused_for_another(facts: &Facts) -> Option<ConditionDraft> {
    let Peer::Refused(reason) = facts.peer else {
        return None;
    };
    let text = format!(
        "Jira refused the same user name and password for another JiraCredential; the operator does not send them again. Correct the Secret, or set the annotation jira-operator.dev/renew to a new value to retry anyway. {}",
        messages::still_refused(facts)
    );
    Some(draft(ConditionStatus::False, reason, text))
}

fn without_attempt(facts: &Facts) -> ConditionDraft {
    use ConditionStatus::Unknown;
    if still_validated(facts) {
        return accepted(facts);
    }
    if let Some(reason) = renewal_blocker(facts).filter(|_| !facts.has_token()) {
        return draft(Unknown, reason, renewal::message(facts, reason));
    }
    if facts.peer == Peer::Interrupted && !facts.is_validated() {
        return draft(Unknown, Reason::NotValidated, outage::interrupted(facts));
    }
    if matches!(validation(facts), ValidationDue::At(_)) {
        if let Some((reason, why)) = outage::pause(facts) {
            let text = format!("{why} {}", messages::still(facts));
            return draft(Unknown, reason, text);
        }
        if facts.progress.queued_until.is_some() {
            return draft(Unknown, Reason::NotValidated, outage::queued(facts));
        }
    }
    let what = if facts.is_validated() {
        "The last validation is too old to be relied on."
    } else {
        "The credential has not been validated yet."
    };
    draft(
        Unknown,
        Reason::NotValidated,
        format!("{what} {}", messages::still(facts)),
    )
}

fn accepted(facts: &Facts) -> ConditionDraft {
    let account = facts
        .account()
        .map(|account| match account.known_as() {
            name if name == account.id => name,
            name => format!("{name}, account {}", account.id),
        })
        .unwrap_or_default();
    let host = messages::host(facts);
    let text = if failing_validation(facts).is_some() {
        format!(
            "Jira at {host} accepted the credential as {account}, and has not confirmed it since."
        )
    } else {
        format!("Jira at {host} accepts the credential as {account}.")
    };
    draft(ConditionStatus::True, Reason::Accepted, text)
}

/// Whether the credential in the source was validated for the account that the spec asks for, and
/// the validation has not grown stale.
fn still_validated(facts: &Facts) -> bool {
    // Without its grant the state of the token is unknown.
    if renewal_blocker(facts).is_some_and(blocker::leaves_no_token) {
        return false;
    }
    // Until a renewed token is validated, pods have the one before it.
    let validated = facts.is_validated() || (facts.renews() && facts.is_of_validated_chain());
    validated
        && !facts.pin_moved()
        && facts.permissions_are_settled()
        && facts
            .validation_is_stale_from()
            .is_some_and(|stale| facts.now < stale)
}

fn refusal_message(facts: &Facts, reason: Reason) -> Option<String> {
    match &facts.progress.judgement {
        Some(Judgement::Refused(cause)) if reason == Reason::Expired => Some(format!(
            "The credential has reached its stated expiry date, and {}",
            lower_first(&refusal::refused(facts, *cause))
        )),
        Some(Judgement::Refused(cause)) => Some(refusal::refused(facts, *cause)),
        _ if reason == Reason::AccountChanged => {
            Some(refusal::refused(facts, Cause::AccountChanged))
        }
        _ => None,
    }
}

fn lower_first(text: &str) -> String {
    // Every refusal starts with a name or an article; only articles change.
    text.strip_prefix("The ")
        .map_or_else(|| text.to_owned(), |rest| format!("the {rest}"))
}
