//! The condition `RotationDue`: when a person has to rotate the credential.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{ConditionStatus, ConditionType, Method, Reason};
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::decide::renewal::blocker::replacement_blocker;
use crate::core::facts::{Facts, SeedState};
use crate::core::messages::{renewal, replacement, source_names};
use crate::core::spec::Plan;
use crate::core::time::{earlier, later};

/// Whether a person must rotate the credential, and the times at which that changes.
/// `ready` is what `Ready` says: a credential that is dead is to be rotated, whatever its dates are.
pub fn rotation_due(
    facts: &Facts,
    ready: &ConditionDraft,
) -> (ConditionDraft, Option<DateTime<Utc>>, Vec<DateTime<Utc>>) {
    let not_due = || {
        draft(
            ConditionStatus::False,
            Reason::NotDue,
            "No rotation is due.",
        )
    };
    let Ok(plan) = &facts.plan else {
        return (not_due(), None, Vec::new());
    };
    let warn = plan.periods.warn_before;
    let ends = Ends::of(facts, plan);
    let all = [ends.source, ends.too_old, ends.consent, ends.idle];
    let all: Vec<DateTime<Utc>> = all.into_iter().flatten().collect();
    let due = all.iter().min().map(|end| earlier(*end, warn));
    let warnings = all.iter().map(|end| earlier(*end, warn));
    let changes = warnings.chain(all.iter().copied()).collect();
    let told = troubled(facts)
        .or_else(|| dead(facts, ready))
        .or_else(|| ends.told(facts, warn));
    let found = told.map_or_else(not_due, |(reason, message)| {
        draft(ConditionStatus::True, reason, message)
    });
    (found, due, changes)
}

/// What has gone wrong already.
fn troubled(facts: &Facts) -> Option<(Reason, String)> {
    if let Some(reason) = replacement_blocker(facts) {
        return Some((reason, replacement::replacement_message(facts, reason)));
    }
    let reason = rotation_blocker(facts)?;
    Some((reason.told(), rotation_message(facts, &reason)))
}

/// Whether only a new credential can help.
fn dead(facts: &Facts, ready: &ConditionDraft) -> Option<(Reason, String)> {
    if ready.status == ConditionStatus::True {
        return None;
    }
    let spent = matches!(facts.spec.auth.method(), Some(Method::OAuth2(_)));
    let text = match ready.reason {
        Reason::ReconsentRequired | Reason::GrantLost if spent => {
            let remedy = renewal::consent_remedy(facts);
            format!("The consent can no longer be used. {remedy}")
        }
        // It may be blocked for a time only.
        Reason::Rejected => format!(
            "Jira refuses the credential. Store a valid one in {}.",
            source_names(facts)
        ),
        Reason::ReconsentRequired | Reason::GrantLost | Reason::Expired => {
            format!(
                "The credential can no longer be used. Store a new one in {}.",
                source_names(facts)
            )
        }
        _ => return None,
    };
    Some((ready.reason, text))
}

/// When a credential has to be replaced, each for its own reason.
struct Ends {
    /// What is in the source ends.
    source: Option<DateTime<Utc>>,
    /// It reaches the age that the spec allows.
    too_old: Option<DateTime<Utc>>,
    /// The consent ends.
    consent: Option<DateTime<Utc>>,
    /// An unused refresh token expires.
    idle: Option<DateTime<Utc>>,
}

impl Ends {
    fn of(facts: &Facts, plan: &Plan) -> Self {
        let begin = plan.issued_at.or(facts.status.first_seen_time);
        let age = plan.periods.max_age.zip(begin);
        Self {
            source: facts.static_end(),
            too_old: age.map(|(age, begin)| later(begin, age)),
            consent: facts.consent_ends(),
            idle: facts.idle_ends(),
        }
    }

    /// What is to be said of them now, the worst first.
    fn told(&self, facts: &Facts, warn: TimeDelta) -> Option<(Reason, String)> {
        let passed = |end: Option<DateTime<Utc>>, before: TimeDelta| {
            end.is_some_and(|end| earlier(end, before) <= facts.now)
        };
        let ended = |end| passed(end, TimeDelta::zero());
        let date = |end: Option<DateTime<Utc>>| {
            end.map(|end| end.format("%Y-%m-%d").to_string())
                .unwrap_or_default()
        };
        if passed(self.consent, warn) {
            let text = format!(
                "The consent expires on {}. Consent again before then and store the new refresh token in the source.",
                date(self.consent)
            );
            return Some((Reason::ConsentExpiring, text));
        }
        if passed(self.idle, warn) {
            let text = format!(
                "The refresh token has not been used for a long time and expires on {} unless it is used before then. Set the annotation jira-operator.dev/renew to a new value to renew it, or consent again.",
                date(self.idle)
            );
            return Some((Reason::GrantIdle, text));
        }
        if ended(self.source) {
            let message = expiry_message(facts, &date(self.source), true);
            return Some((Reason::Expired, message));
        }
        if facts.looked_up().is_some_and(|looked| looked.blocked) {
            return Some((Reason::TokenBlocked, blocked_token_message(facts)));
        }
        if passed(self.source, warn) {
            let message = expiry_message(facts, &date(self.source), false);
            return Some((Reason::ExpiresSoon, message));
        }
        let (verb, before) = if ended(self.too_old) {
            ("reached", "")
        } else {
            ("reaches", " before then")
        };
        passed(self.too_old, warn).then(|| {
            let text = format!(
                "The credential {verb} spec.rotation.maxAge on {}. Store a new one in the source{before}.",
                date(self.too_old)
            );
            (Reason::MaxAgeReached, text)
        })
    }
}

fn blocked_token_message(facts: &Facts) -> String {
    let label = facts.spec.expiry_lookup.as_ref();
    let label = label.map(|lookup| lookup.label.as_str());
    format!(
        "The organisation has blocked the API token {}. Unblock it, or store another one in the source.",
        label.unwrap_or_default()
    )
}

/// An end that the user stated, or one that follows from what the user stated.
fn expiry_message(facts: &Facts, date: &str, passed: bool) -> String {
    let (verb, before) = if passed {
        ("expired", "")
    } else {
        ("expires", " before then")
    };
    if let Some(Method::OAuth1(_)) = facts.spec.auth.method() {
        let reached = if passed { "reached" } else { "reaches" };
        return format!(
            "The access token {reached} the age of five years on {date}, which is as long as Jira lets it live. Authorise again{before} and store the new token in the source."
        );
    }
    if let Some(text) = date_of_another(facts, date, verb) {
        return text;
    }
    format!("The credential {verb} on {date}. Store a new one in the source{before}.")
}

/// What to say of a stated end when the credential has replaced another since the warning of that end
/// began: the date may be that of the one before.
fn date_of_another(facts: &Facts, date: &str, verb: &str) -> Option<String> {
    let plan = facts.plan.as_ref().ok()?;
    let (end, rotated) = plan.expires_at.zip(facts.status.rotated_time)?;
    (rotated >= earlier(end, plan.periods.warn_before)).then(|| {
        format!(
            "By spec.auth the credential {verb} on {date}, but it was replaced when that date was near or had passed. If it is the date of the credential before, set expiresAt to the end of the new one; otherwise store a new one in the source."
        )
    })
}

/// Why what a person stored has not replaced the credential in use.
enum Unused {
    /// By what is recorded of it.
    Seed(Reason),
    /// The grant cannot be renewed for long.
    NotOffline,
}

impl Unused {
    fn told(&self) -> Reason {
        match self {
            Unused::Seed(Reason::SeedStale) => Reason::SeedStale,
            Unused::Seed(_) => Reason::RotationFailed,
            Unused::NotOffline => Reason::OfflineAccessMissing,
        }
    }
}

fn rotation_blocker(facts: &Facts) -> Option<Unused> {
    if !facts.renews() {
        return None;
    }
    let recorded = facts.status.grant.as_ref();
    let recorded = recorded.and_then(|grant| grant.candidate.as_ref());
    let refused = |attempt: &crate::api::Attempt| {
        let refused = attempt.outcome == crate::api::AttemptOutcome::Refused;
        attempt.reason.filter(|_| refused)
    };
    let reason = facts.seed_trouble().or_else(|| {
        let seed = facts.renewal.as_ref().map(|renewal| &renewal.seed);
        if matches!(seed, Some(SeedState::Missing)) {
            facts.candidate_attempt().and_then(refused)
        } else if facts.grant_unread() {
            recorded.and_then(refused)
        } else {
            facts.candidate_attempt().or(recorded).and_then(refused)
        }
    });
    let told = || {
        facts
            .status
            .condition(ConditionType::RotationDue)
            .is_some_and(|told| told.reason == Reason::OfflineAccessMissing)
    };
    let offline = match facts.chain() {
        Some(chain) => chain.offline_missing,
        None => told(),
    };
    reason
        .map(Unused::Seed)
        .or_else(|| offline.then_some(Unused::NotOffline))
}

fn rotation_message(facts: &Facts, unused: &Unused) -> String {
    match unused {
        Unused::Seed(reason) => renewal::stored_token_message(facts, *reason),
        Unused::NotOffline => "Atlassian gave a token without a refresh token and without the scope offline_access: it can be renewed only for a limited time. Consent again with offline_access among the scopes, and store the new refresh token in the source.".to_owned(),
    }
}
