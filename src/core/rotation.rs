//! When a person has to rotate the credential.

use chrono::{DateTime, TimeDelta, Utc};

use super::conditions::{Finding, finding};
use super::facts::Facts;
use super::schedule::{earlier, later};
use crate::api::{ConditionStatus, Reason};

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
    let ends: Vec<DateTime<Utc>> = [plan.expires_at, too_old].into_iter().flatten().collect();
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
    let finding = if passed(plan.expires_at, TimeDelta::zero()) {
        finding(
            True,
            Reason::Expired,
            format!(
                "The credential expired on {}. Store a new one in the source.",
                date(plan.expires_at)
            ),
        )
    } else if passed(plan.expires_at, warn) {
        finding(
            True,
            Reason::ExpiresSoon,
            format!(
                "The credential expires on {}. Store a new one in the source before then.",
                date(plan.expires_at)
            ),
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
