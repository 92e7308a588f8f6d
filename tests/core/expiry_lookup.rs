use chrono::TimeDelta;
use serde_json::json;

use crate::simulator::{World, at};
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredentialStatus, Reason, SourceVersion, TargetVersion,
};
use jira_credential_operator::core::apply::Answer;
use jira_credential_operator::core::apply::expiry_lookup::SILENT_OUTAGES;
use jira_credential_operator::core::conclude::{Conclusion, conclude};
use jira_credential_operator::core::decide::expiry_lookup::lookup_is_due;
use jira_credential_operator::core::decide::expiry_lookup::next_lookup;
use jira_credential_operator::core::decide::expiry_lookup::wants_api_key;
use jira_credential_operator::core::decide::{Step, decide, needs_source};
use jira_credential_operator::core::facts::{ApiKey, Facts, Progress, Source, TargetState};
use jira_credential_operator::core::fingerprint::FingerprintKey;
use jira_credential_operator::core::probe::token_list::{Found, LookupError};
use jira_credential_operator::core::probe::{Forbidden, Outage};
use jira_credential_operator::core::spec::SourceError;

/// A credential that is validated and published, in a reconcile with nothing else to do, which has
/// read the organisation's key.
pub(crate) fn facts() -> Facts {
    facts_of(|_| {})
}

fn facts_of(change: impl FnOnce(&mut World)) -> Facts {
    let mut world = World::token();
    let lookup = json!({
        "apiKeySecretRef": {"name": "organisation", "key": "key"},
        "organizationId": "o-1", "label": "ci bot",
    });
    world.spec.expiry_lookup = Some(serde_json::from_value(lookup).unwrap());
    change(&mut world);
    let first = world.pass();
    assert!(
        !lookup_is_due(&first.facts),
        "it comes after everything else"
    );
    let mut facts = world.pass().facts;
    facts.api_key = read("the key", "1");
    facts
}

fn read(key: &str, version: &str) -> ApiKey {
    let print = FingerprintKey::new(b"key").fingerprint(&[key.as_bytes()]);
    ApiKey::Read {
        fingerprint: (!key.is_empty()).then_some(print),
        version: SourceVersion {
            name: "organisation".into(),
            uid: "uid".into(),
            resource_version: version.into(),
        },
    }
}

pub(crate) fn found(days: i64) -> Found {
    Found {
        expires_at: Some(at(days * 86_400)),
        last_active: Some(at(0)),
        blocked: false,
    }
}

/// The end of the reconcile in which the organisation answered.
pub(crate) fn after(facts: Facts, answer: Result<Found, LookupError>) -> (Facts, Conclusion) {
    let recorded = facts.status.clone();
    let mut facts = facts.apply(Answer::LookedUp(answer));
    // An end that was not known before is published.
    while let Some(Step::Publish(publish)) = decide(&facts) {
        let written = TargetVersion {
            namespace: None,
            name: facts.targets[publish.index].target.name.clone(),
            uid: publish.holds.clone().unwrap(),
            resource_version: "rewritten".into(),
            hash: Some(publish.digest.clone()),
            held_by: None,
            merge: None,
        };
        facts = facts.apply(Answer::TargetWritten(publish.index, written));
    }
    let conclusion = conclude(&facts, &recorded);
    (facts, conclusion)
}

/// The beginning of a later reconcile, in which the key was not read.
fn later_pass(facts: &Facts, status: JiraCredentialStatus, seconds: i64) -> Facts {
    let mut status = status;
    // Validations are another matter.
    status.last_validated_time = Some(at(seconds));
    let mut targets = facts.targets.clone();
    for target in &mut targets {
        let seen = status
            .targets
            .iter()
            .find(|seen| seen.name == target.target.name);
        let seen = seen.unwrap();
        target.state = TargetState::Present {
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
        };
    }
    Facts {
        now: at(seconds),
        status,
        targets,
        api_key: ApiKey::Unmoved,
        source: Source::Unchanged,
        texts: Vec::new(),
        batches: None,
        progress: Progress::default(),
        ..facts.clone()
    }
}

fn says(status: &JiraCredentialStatus, kind: ConditionType) -> (ConditionStatus, Reason) {
    let found = status.condition(kind).unwrap();
    (found.status, found.reason)
}

#[test]
fn it_comes_last_and_then_twice_a_day() {
    let facts = facts();
    assert_eq!(decide(&facts), Some(Step::LookUp));
    let (facts, first) = after(facts, Ok(found(300)));
    let next = next_lookup(&facts).unwrap();
    let wait = (next - facts.now).num_minutes();
    assert!((11 * 60..12 * 60).contains(&wait), "{wait}");
    for (seconds, due) in [(60, false), (11 * 3600 - 1, false), (12 * 3600, true)] {
        let later = later_pass(&facts, first.status.clone(), seconds);
        assert_eq!(wants_api_key(&later), due, "after {seconds} s");
        assert_eq!(decide(&later), None, "nothing without the key");
    }
}

#[test]
fn what_changes_the_question_has_it_asked_again_at_once() {
    let (before, first) = after(facts(), Ok(found(300)));
    let later = || later_pass(&before, first.status.clone(), 60);
    let with = |key: ApiKey| Facts {
        api_key: key,
        ..later()
    };
    assert!(!needs_source(&later()));
    assert!(needs_source(&with(ApiKey::Moved)), "its contents decide");
    assert!(!lookup_is_due(&with(read("the key", "2"))), "labels only");
    assert!(lookup_is_due(&with(read("another", "2"))));
    assert!(lookup_is_due(&with(read("", "2"))), "gone");
    let mut changed = with(read("the key", "1"));
    changed.object.generation += 1;
    assert!(!lookup_is_due(&changed), "in a pass of its own");
    changed.status.observed_generation += 1;
    assert!(lookup_is_due(&changed));
    let mut suspended = changed.clone();
    suspended.spec.suspend = true;
    assert_eq!(next_lookup(&suspended), None);
    changed.spec.expiry_lookup = None;
    assert_eq!(next_lookup(&changed), None);
    let mut renewed = with(read("the key", "1"));
    renewed.status.validated_fingerprint = Some("k0000:another".into());
    assert_eq!(renewed.looked_up(), None, "that was another token");
    let labelled = with(read("the key", "2"));
    let conclusion = conclude(&labelled, &labelled.status);
    let looked = conclusion.status.expiry_lookup.unwrap();
    assert_eq!(looked.source.resource_version, "2", "not read again");
}

#[test]
fn a_new_key_seen_in_a_busy_pass_is_not_forgotten() {
    let (before, first) = after(facts(), Ok(found(300)));
    let mut busy = later_pass(&before, first.status, 60);
    busy.api_key = read("another", "2");
    busy.progress.renewed = true;
    assert!(!lookup_is_due(&busy));
    let conclusion = conclude(&busy, &busy.status);
    let looked = conclusion.status.expiry_lookup.unwrap();
    assert_eq!(looked.source.resource_version, "1");
    assert_eq!(conclusion.wake, TimeDelta::seconds(1));
}

#[test]
fn a_lookup_without_a_free_slot_makes_no_call_and_is_retried_soon() {
    let (before, first) = after(facts(), Ok(found(300)));
    for (seconds, key) in [(12 * 3600, ApiKey::PutOff), (60, read("another", "2"))] {
        let mut late = later_pass(&before, first.status.clone(), seconds);
        late.api_key = key;
        let late = late.apply(Answer::LookUpPutOff);
        assert!(!needs_source(&late));
        assert_eq!(decide(&late), None);
        let conclusion = conclude(&late, &late.status);
        assert_eq!(conclusion.status, late.status, "nothing to write");
        assert!((5..25).contains(&conclusion.wake.num_seconds()));
    }
}

#[test]
fn every_miss_is_told_and_leaves_ready_alone() {
    use ConditionStatus::{False, Unknown};
    let missing = SourceError::Missing {
        kind: "Secret",
        name: "organisation".into(),
    };
    let outage = |outage| LookupError::NoVerdict(outage);
    let asked = Some(std::time::Duration::from_secs(9000));
    let limited = outage(Outage::RateLimited { retry_after: asked });
    let hours = |hours: i64| hours * 3600;
    for (miss, status, reason, wait) in [
        (
            LookupError::NoKey(missing),
            False,
            Reason::SourceMissing,
            hours(6),
        ),
        (
            LookupError::KeyRejected,
            False,
            Reason::LookupKeyRejected,
            hours(6),
        ),
        (
            LookupError::Forbidden,
            False,
            Reason::LookupForbidden,
            hours(6),
        ),
        (LookupError::IpBlocked, False, Reason::IpBlocked, hours(6)),
        (
            LookupError::UnknownOrganization,
            False,
            Reason::OrganizationUnknown,
            hours(6),
        ),
        (
            LookupError::NotListed,
            False,
            Reason::TokenNotListed,
            hours(6),
        ),
        (
            LookupError::TooLong,
            False,
            Reason::TokenNotListed,
            hours(6),
        ),
        (
            LookupError::Ambiguous,
            False,
            Reason::TokenAmbiguous,
            hours(6),
        ),
        (
            LookupError::NotAllowed(Forbidden::Private),
            False,
            Reason::HostNotAllowed,
            hours(6),
        ),
        (
            outage(Outage::Timeout),
            Unknown,
            Reason::SiteUnavailable,
            15,
        ),
        (limited, Unknown, Reason::RateLimited, 9000),
    ] {
        let (facts, conclusion) = after(facts(), Err(miss.clone()));
        let told = says(&conclusion.status, ConditionType::ExpiryKnown);
        assert_eq!(told, (status, reason), "{miss:?}");
        let ready = says(&conclusion.status, ConditionType::Ready);
        assert_eq!(
            ready,
            (ConditionStatus::True, Reason::Validated),
            "{miss:?}"
        );
        let next = (next_lookup(&facts).unwrap() - facts.now).num_seconds();
        assert!((wait..=wait + wait / 5).contains(&next), "{miss:?}: {next}");
        assert_eq!(conclusion.events.len(), usize::from(status == False));
        // A later reconcile says the same.
        let later = later_pass(&facts, conclusion.status.clone(), 1);
        let again = conclude(&later, &conclusion.status);
        assert_eq!(again.status, later.status, "{miss:?}");
    }
}

#[test]
fn what_was_known_stays_until_the_organisation_says_otherwise() {
    let (before, first) = after(facts(), Ok(found(300)));
    assert_eq!(first.status.expires_at, found(300).expires_at);
    assert!(first.events.is_empty(), "no news");
    for (miss, kept) in [
        (LookupError::KeyRejected, true),
        (LookupError::Forbidden, true),
        (LookupError::NoVerdict(Outage::Timeout), true),
        (LookupError::NotListed, false),
        (LookupError::Ambiguous, false),
    ] {
        let mut later = later_pass(&before, first.status.clone(), 12 * 3600);
        later.api_key = read("the key", "1");
        let (_, second) = after(later, Err(miss.clone()));
        assert_eq!(second.status.expires_at.is_some(), kept, "{miss:?}");
    }
}

#[test]
fn an_outage_is_told_when_it_lasts() {
    let (mut facts, first) = after(facts(), Ok(found(300)));
    let mut status = first.status;
    for failure in 1..=SILENT_OUTAGES {
        let mut next = later_pass(&facts, status, 12 * 3600 + i64::from(failure));
        next.api_key = read("the key", "1");
        let (after, conclusion) = after(next, Err(LookupError::NoVerdict(Outage::Timeout)));
        (facts, status) = (after, conclusion.status);
        let told = says(&status, ConditionType::ExpiryKnown).1;
        let silent = failure < SILENT_OUTAGES;
        assert_eq!(told == Reason::ExpiryFound, silent, "after {failure}");
    }
    assert!(status.expires_at.is_some());
}

#[test]
fn the_spec_counts_and_a_difference_is_told() {
    use ConditionStatus::{False, True};
    for (days, expected) in [
        (300, (True, Reason::ExpiryFound)),
        (301, (True, Reason::ExpiryFound)),
        (302, (False, Reason::ExpiryDiffers)),
    ] {
        let facts = facts_of(|world| {
            world.spec.auth.api_token.as_mut().unwrap().expires_at = Some(at(300 * 86_400).into());
        });
        let (_, conclusion) = after(facts, Ok(found(days)));
        let told = says(&conclusion.status, ConditionType::ExpiryKnown);
        assert_eq!(told, expected, "{days}");
        assert_eq!(conclusion.status.expires_at, Some(at(300 * 86_400)));
    }
}

#[test]
fn an_expiry_or_a_blocked_token_makes_rotation_due() {
    use ConditionStatus::{False, True};
    let blocked = Found {
        blocked: true,
        ..found(300)
    };
    let endless = Found {
        expires_at: None,
        ..found(0)
    };
    for (answer, expected) in [
        (found(300), (False, Reason::NotDue)),
        (found(5), (True, Reason::ExpiresSoon)),
        (blocked, (True, Reason::TokenBlocked)),
        (endless, (False, Reason::NotDue)),
    ] {
        let (_, conclusion) = after(facts(), Ok(answer));
        let told = says(&conclusion.status, ConditionType::RotationDue);
        assert_eq!(told, expected, "{answer:?}");
        let told = says(&conclusion.status, ConditionType::ExpiryKnown);
        assert_eq!(told, (True, Reason::ExpiryFound));
    }
}

#[test]
fn an_entry_that_nobody_uses_is_another_token() {
    let unused = |days: i64| Found {
        last_active: Some(at(-days * 86_400)),
        ..found(300)
    };
    for (in_use, idle, expected) in [
        (3, 91, Reason::TokenUnused),
        (3, 80, Reason::ExpiryFound),
        // Of a token that was stored yesterday the organisation may not know yet.
        (1, 91, Reason::ExpiryFound),
    ] {
        let mut facts = facts();
        facts.status.first_seen_time = Some(at(-in_use * 86_400));
        let (_, conclusion) = after(facts, Ok(unused(idle)));
        let told = says(&conclusion.status, ConditionType::ExpiryKnown);
        assert_eq!(told.1, expected, "{in_use} {idle}");
        let known = conclusion.status.expires_at.is_some();
        assert_eq!(known, expected == Reason::ExpiryFound);
    }
}

#[test]
fn it_waits_as_long_as_the_credential_is_in_the_queue_of_its_site() {
    let mut facts = facts();
    let until = facts.now + TimeDelta::minutes(5);
    facts.progress.queued_until = Some(until);
    assert_eq!(decide(&facts), None);
    let wake = conclude(&facts, &facts.status.clone()).wake;
    assert_eq!(
        wake,
        TimeDelta::minutes(5),
        "it is not looked again at once"
    );
    facts.progress.queued_until = None;
    assert_eq!(decide(&facts), Some(Step::LookUp));
}
