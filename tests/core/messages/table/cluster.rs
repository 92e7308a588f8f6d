//! Messages about the API server, and the events that belong to no condition.

use jira_credential_operator::api::{ConditionType, Reason};
use jira_credential_operator::core::conclude::line_ends::line_end_ignored;
use jira_credential_operator::core::facts::{Denial, Denied, DeniedWork, Facts};
use jira_credential_operator::core::messages::CLOCK_WAS_AHEAD;
use jira_credential_operator::core::spec::{MissingRight, RenewalKind};

use super::{Section, add_concluded, samples};
use crate::simulator::World;

fn right(verb: &str, resource: &str) -> MissingRight {
    MissingRight {
        account: Some("jira-credential-operator/jira-credential-operator".into()),
        verb: verb.into(),
        resource: resource.into(),
        namespace: Some("team".into()),
    }
}

fn refused() -> Denial {
    let cause = "Forbidden (403); check quotas, admission policies and the operator's RBAC rules.";
    Denial::Refused(cause.into())
}

/// The condition `Denied`.
pub(super) fn denied() -> Section {
    let mut section = Section::default();
    let published = World::token().pass().facts;
    let works = [
        (DeniedWork::Deletion("old".into()), true),
        (DeniedWork::Deletion("old".into()), false),
        (DeniedWork::Removal("app".into()), false),
        (DeniedWork::Other, true),
        (DeniedWork::Other, false),
    ];
    for (work, is_right) in works {
        let cause = if is_right {
            Denial::Right(right("delete", "secrets"))
        } else {
            refused()
        };
        let mut facts = published.clone();
        facts.progress.denied = Some(Denied { work, cause });
        add(&mut section, "apiToken", &facts);
    }
    for sample in samples() {
        if sample.facts.renewal_plan().is_none() {
            continue;
        }
        let grant = || "jco-grant-a".to_owned();
        for work in [DeniedWork::Grant(grant()), DeniedWork::Keep(grant())] {
            let mut facts = sample.facts.clone();
            let cause = refused();
            facts.progress.denied = Some(Denied { work, cause });
            add(&mut section, sample.method, &facts);
        }
    }
    for sample in samples() {
        let plan = sample.facts.renewal_plan();
        if !plan
            .is_some_and(|plan| matches!(plan.kind, RenewalKind::Refresh | RenewalKind::Successor))
        {
            continue;
        }
        let cause = "a JiraCredential in the namespace team cannot be read by this version of the operator; the log names it. Correct its spec.";
        for cause in [
            Denial::Right(right("list", "secrets")),
            Denial::Refused(cause.into()),
        ] {
            let mut facts = sample.facts.clone();
            facts.progress.twins_unknown = Some(cause);
            add(&mut section, sample.method, &facts);
        }
    }
    let mut facts = published;
    facts.progress.events_denied = Some(Denial::Right(right("create", "events")));
    add(&mut section, "apiToken", &facts);
    section
}

fn add(section: &mut Section, method: &'static str, facts: &Facts) {
    add_concluded(section, ConditionType::Denied, method, facts);
}

/// Events without a condition.
pub(super) fn events() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let text = CLOCK_WAS_AHEAD.to_owned();
        section.add(Reason::ClockSkew, sample.method, text);
        let text = line_end_ignored("source", "token");
        section.add(Reason::LineEndIgnored, sample.method, text);
    }
    section
}
