//! What each reason means to tooling: whether the operator waits, or a person must act, now or later.

use std::collections::{BTreeMap, BTreeSet};

use jira_credential_operator::api::{
    Attempt, AttemptOutcome, ConditionStatus, ConditionType, GrantStatus, JiraCredentialStatus,
    Reason,
};
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::facts::{Facts, Source};
use jira_credential_operator::core::probe::{Cause, outage_reason};
use jira_credential_operator::core::spec::SourceError;

use super::details::unread;
use super::validation::{outages, refusals};
use super::{
    Sample, blockers, cluster, details, no_replacement, published, ready, rotation, samples,
};
use crate::simulator::{World, at};

/// The reasons that each of these conditions can have, when it is True.
const STALLED: &str = "AccountChanged AccountInactive BasicAuthDisabled CaptchaRequired ClientRejected \
    DuplicatesUnknown Expired GrantConflict GrantForeign GrantLost GrantRestored GrantVersionUnsupported \
    GrantWriteRefused HostNotAllowed InsufficientScope IpBlocked LoginDenied MergeConflict MergeNotAllowed \
    MergeUnsuitable NamespaceNotServed NotValidated OperatorRightMissing PermissionMissing PolicyNotInForce \
    ReconsentRequired Rejected SignatureRejected SourceIsTarget SourceMalformed SourceNotAllowed SpecInvalid \
    Suspended TargetConflict TargetForeign TemplateInvalid WriteRefused WrongHost";
const RECONCILING: &str = "ClockSkew Confirming CrossSiteCheck MergeTargetMissing NamespaceMissing NotValidated \
    PublishedUnvalidated RateLimited RenewalInterrupted SiteUnavailable SourceMalformed SourceMissing Waiting";
const ROTATION_DUE: &str = "ConsentExpiring CrossSiteCheck Expired ExpiresSoon ExpiryUnknown GrantIdle GrantLost \
    IpBlocked MaxAgeReached MintingForbidden MintingUnsupported OfflineAccessMissing RateLimited \
    ReconsentRequired Rejected RotationFailed SeedStale SiteUnavailable TokenBlocked TokenLimitReached";

fn concluded(facts: &Facts) -> JiraCredentialStatus {
    conclude(facts, &facts.status).status
}

/// A validation of the credential that ended like this.
fn attempt(print: &str, outcome: AttemptOutcome, reason: Option<Reason>) -> Attempt {
    Attempt {
        failures: 1,
        last_failure_time: at(0),
        next_attempt_time: None,
        fingerprint: print.to_owned(),
        outcome,
        reason,
    }
}

/// Every answer of Jira that the method can get.
fn answers(sample: &Sample) -> Vec<JiraCredentialStatus> {
    let Some(print) = sample.facts.fingerprint() else {
        return Vec::new();
    };
    let refused = refusals(sample).into_iter().map(Cause::Jira);
    let others = [Cause::AccountChanged, Cause::PermissionMissing];
    let refused = refused.chain(others).map(Cause::reason);
    let silent = outages().into_iter().map(outage_reason);
    let silent = silent.chain([Reason::HostNotAllowed, Reason::ClockSkew]);
    let refused = refused.map(|reason| (AttemptOutcome::Refused, Some(reason)));
    let silent = silent.map(|reason| (AttemptOutcome::NoVerdict, Some(reason)));
    let rest = [
        (AttemptOutcome::Unconfirmed, Some(Reason::Confirming)),
        (AttemptOutcome::Started, None),
        (AttemptOutcome::Interrupted, None),
    ];
    refused
        .chain(silent)
        .chain(rest)
        .map(|(outcome, reason)| {
            let mut facts = sample.facts.clone();
            facts.status.attempt = Some(attempt(print.as_str(), outcome, reason));
            concluded(&facts)
        })
        .collect()
}

/// Everything that can be in the way of a renewal, of a replacement, or of what a person stored.
fn renewals(sample: &Sample) -> Vec<JiraCredentialStatus> {
    let Some(kind) = sample.facts.renewal_plan().map(|plan| plan.kind) else {
        return Vec::new();
    };
    let blocked = blockers(kind).into_iter().map(|reason| GrantStatus {
        blocked_by: Some(reason),
        ..GrantStatus::default()
    });
    let unreplaced = no_replacement(kind).iter().chain(&[Reason::IpBlocked]);
    let unreplaced = unreplaced.map(|reason| GrantStatus {
        replacement_blocked_by: Some(*reason),
        ..GrantStatus::default()
    });
    let stored = [Reason::SeedStale, Reason::Rejected].map(|reason| GrantStatus {
        candidate: Some(attempt("print", AttemptOutcome::Refused, Some(reason))),
        ..GrantStatus::default()
    });
    let unvalidated = GrantStatus {
        provisional: Some("print".to_owned()),
        ..GrantStatus::default()
    };
    let all = blocked.chain(unreplaced).chain(stored).chain([unvalidated]);
    all.map(|grant| {
        let mut facts = sample.facts.clone();
        facts.renewal = Some(unread());
        facts.status.grant = Some(grant);
        concluded(&facts)
    })
    .collect()
}

fn everything() -> Vec<JiraCredentialStatus> {
    let sections = [
        ready(),
        published(),
        rotation(),
        cluster::denied(),
        details::waiting(),
    ];
    let mut all: Vec<_> = sections.into_iter().flat_map(|one| one.concluded).collect();
    let mut suspended = World::token().observe();
    suspended.spec.suspend = true;
    all.push(concluded(&suspended));
    let mut unlabelled = World::token().observe();
    let name = "source".to_owned();
    unlabelled.source = Source::Unusable(SourceError::NotAllowed { name });
    all.push(concluded(&unlabelled));
    for sample in samples() {
        all.extend(answers(&sample));
        all.extend(renewals(&sample));
    }
    all
}

/// Tools see a credential that is not ready either wait or need a person, and why.
#[test]
fn what_is_not_ready_waits_or_needs_a_person_for_the_same_reason() {
    let statuses = everything();
    assert!(statuses.len() > 500, "{}", statuses.len());
    for status in statuses {
        let is = |kind| {
            let found = status.condition(kind);
            found.filter(|condition| condition.status == ConditionStatus::True)
        };
        let (waits, stuck) = (is(ConditionType::Reconciling), is(ConditionType::Stalled));
        assert!(waits.is_none() || stuck.is_none(), "{status:#?}");
        let ready = status.condition(ConditionType::Ready).unwrap();
        if ready.status == ConditionStatus::True {
            continue;
        }
        let why = waits.or(stuck).map(|condition| condition.reason);
        assert_eq!(why, Some(ready.reason), "{status:#?}");
    }
}

#[test]
fn each_reason_occurs_where_it_can_and_nowhere_else() {
    let mut found: BTreeMap<ConditionType, BTreeSet<String>> = BTreeMap::new();
    for condition in everything().iter().flat_map(|status| &status.conditions) {
        if condition.status == ConditionStatus::True {
            let reasons = found.entry(condition.kind).or_default();
            reasons.insert(format!("{:?}", condition.reason));
        }
    }
    let kinds = [
        (ConditionType::Stalled, STALLED),
        (ConditionType::Reconciling, RECONCILING),
        (ConditionType::RotationDue, ROTATION_DUE),
    ];
    let expected = |reasons: &str| reasons.split_whitespace().map(str::to_owned).collect();
    let expected = kinds.map(|(kind, reasons)| (kind, expected(reasons)));
    let found = kinds.map(|(kind, _)| (kind, found.remove(&kind).unwrap_or_default()));
    assert_eq!(found, expected);
}
