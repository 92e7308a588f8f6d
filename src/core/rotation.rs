//! When a person has to rotate the credential.

use chrono::{DateTime, TimeDelta, Utc};

use super::conditions::{Finding, condition, finding};
use super::facts::Facts;
use super::renewal::SeedState;
use super::schedule::{earlier, later};
use super::trouble;
use crate::api::{ConditionStatus, ConditionType, Method, Reason};

/// Whether a person must rotate the credential, and the times at which that changes.
pub fn rotation_due(facts: &Facts) -> (Finding, Option<DateTime<Utc>>, Vec<DateTime<Utc>>) {
    use ConditionStatus::{False, True};
    let not_due = || finding(False, Reason::NotDue, "No rotation is due.");
    let Ok(plan) = &facts.plan else {
        return (not_due(), None, Vec::new());
    };
    let warn = plan.periods.warn_before;
    let begin = plan.issued_at.or(facts.status.first_seen_time);
    let too_old = plan
        .periods
        .max_age
        .zip(begin)
        .map(|(age, begin)| later(begin, age));
    let (consent, idle) = (facts.consent_ends(), facts.idle_ends());
    let end = facts.static_end();
    let all = [end, too_old, consent, idle];
    let ends: Vec<DateTime<Utc>> = all.into_iter().flatten().collect();
    let due = ends.iter().min().map(|end| earlier(*end, warn));
    let mut changes: Vec<DateTime<Utc>> = ends.clone();
    changes.extend(ends.iter().map(|end| earlier(*end, warn)));
    let passed = |end: Option<DateTime<Utc>>, before: TimeDelta| {
        end.is_some_and(|end| earlier(end, before) <= facts.now)
    };
    let date = |end: Option<DateTime<Utc>>| {
        end.map(|end| end.format("%Y-%m-%d").to_string())
            .unwrap_or_default()
    };
    let finding = if let Some(reason) = facts.succession_failure() {
        finding(True, reason, trouble::succession_words(facts, reason))
    } else if let Some(reason) = facts.rotation_trouble() {
        finding(True, reason.told(), trouble_words(facts, &reason))
    } else if passed(consent, warn) {
        finding(
            True,
            Reason::ConsentExpiring,
            format!(
                "The consent ends on {}. Consent again before then and store the new refresh token in the source.",
                date(consent)
            ),
        )
    } else if passed(idle, warn) {
        finding(
            True,
            Reason::GrantIdle,
            format!(
                "The refresh token has not been used for long and dies on {} if it is not used before then. Have it renewed, or consent again.",
                date(idle)
            ),
        )
    } else if passed(end, TimeDelta::zero()) {
        finding(True, Reason::Expired, expiry_words(facts, &date(end), true))
    } else if facts.looked_up().is_some_and(|looked| looked.blocked) {
        let label = facts.spec.expiry_lookup.as_ref();
        finding(
            True,
            Reason::TokenBlocked,
            format!(
                "The organisation has blocked the API token {}. Have it allowed again, or store another one in the source.",
                label
                    .map(|lookup| lookup.label.as_str())
                    .unwrap_or_default()
            ),
        )
    } else if passed(end, warn) {
        finding(
            True,
            Reason::ExpiresSoon,
            expiry_words(facts, &date(end), false),
        )
    } else if passed(too_old, TimeDelta::zero()) {
        finding(
            True,
            Reason::MaxAgeReached,
            format!(
                "The credential reached spec.rotation.maxAge on {}. Store a new one in the source.",
                date(too_old)
            ),
        )
    } else if passed(too_old, warn) {
        finding(
            True,
            Reason::MaxAgeReached,
            format!(
                "The credential reaches spec.rotation.maxAge on {}. Store a new one in the source before then.",
                date(too_old)
            ),
        )
    } else {
        not_due()
    };
    (finding, due, changes)
}

/// An end that the user stated, or one that follows from what the user stated.
fn expiry_words(facts: &Facts, date: &str, passed: bool) -> String {
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
    format!("The credential {verb} on {date}. Store a new one in the source{before}.")
}

/// Why what a person stored anew has not taken the place of the credential in use.
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

impl Facts {
    fn rotation_trouble(&self) -> Option<Unused> {
        if !self.renews() {
            return None;
        }
        let recorded = self.status.grant.as_ref();
        let recorded = recorded.and_then(|grant| grant.candidate.as_ref());
        let refused = |attempt: &crate::api::Attempt| {
            let refused = attempt.outcome == crate::api::AttemptOutcome::Refused;
            attempt.reason.filter(|_| refused)
        };
        let reason = self.seed_trouble().or_else(|| {
            let seed = self.renewal.as_ref().map(|renewal| &renewal.seed);
            if matches!(seed, Some(SeedState::Missing)) {
                self.candidate_attempt().and_then(refused)
            } else if self.grant_unread() {
                recorded.and_then(refused)
            } else {
                self.candidate_attempt().or(recorded).and_then(refused)
            }
        });
        let told = || {
            condition(&self.status, ConditionType::RotationDue)
                .is_some_and(|told| told.reason == Reason::OfflineAccessMissing)
        };
        let offline = match self.chain() {
            Some(chain) => chain.offline_missing,
            None => told(),
        };
        reason
            .map(Unused::Seed)
            .or_else(|| offline.then_some(Unused::NotOffline))
    }
}

fn trouble_words(facts: &Facts, unused: &Unused) -> String {
    match unused {
        Unused::Seed(reason) => trouble::seed_words_of(facts, *reason),
        Unused::NotOffline => "Atlassian gave a token without a refresh token and without the scope offline_access: it cannot be renewed for long. Consent again with offline_access among the scopes, and store the new refresh token in the source.".to_owned(),
    }
}
