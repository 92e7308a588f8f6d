//! The messages that depend on more than a reason: hints, interruptions, what is waited for.

use super::{Section, add_concluded, samples};
use crate::simulator::{World, at};
use chrono::TimeDelta;
use jira_credential_operator::api::{
    ConditionType, GrantStatus, Reason, Target, Workload, WorkloadKind,
};
use jira_credential_operator::core::facts::{
    GrantState, Peer, Process, Renewal, SeedState, TargetState, TimeScale, Twin,
};
use jira_credential_operator::core::messages::readers::not_restarted;
use jira_credential_operator::core::messages::{
    CLOCK_WAS_AHEAD, ROTATED, meanwhile, outage, refusal, renewal,
};
use jira_credential_operator::core::probe::{Cause, Judgement, Outage, Refusal};
use jira_credential_operator::core::spec::{RenewalKind, TokenFormat, TokenKind};

/// A refusal of a value that looks like something else, or is damaged.
pub(super) fn hints() -> Section {
    let mut section = Section::default();
    let cause = Cause::Jira(Refusal::Rejected);
    for sample in samples() {
        if sample.facts.renewal_plan().is_some() {
            continue;
        }
        let plain = refusal::refused(&sample.facts, cause);
        let kinds = [
            TokenKind::PersonalAccessToken,
            TokenKind::ApiToken,
            TokenKind::OrganizationKey,
        ];
        let forms = kinds.map(|kind| (kind, false));
        for (kind, damaged) in forms.into_iter().chain([(TokenKind::ApiToken, true)]) {
            let mut facts = sample.facts.clone();
            facts.form = TokenFormat { kind, damaged };
            let text = refusal::refused(&facts, cause);
            if text != plain {
                section.add(cause.reason(), sample.method, text);
            }
        }
    }
    section
}

/// What the site's own answer leaves open, and what was sent without a usable answer.
pub(super) fn unclear() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let mut facts = sample.facts.clone();
        match sample.method {
            "apiToken" => {
                facts.progress.refused_at_site = Some(Refusal::Rejected);
                facts.progress.cloud_id = Some("d1e2".into());
                let text = refusal::refused(&facts, Cause::Jira(Refusal::Rejected));
                section.add(Reason::Rejected, sample.method, text);
                let text = outage::outage(&facts, Outage::Timeout);
                section.add(Reason::SiteUnavailable, sample.method, text);
                let plan = facts.plan.as_mut().unwrap();
                plan.gateway_fallback = Some("https://api.atlassian.com".into());
                let text = refusal::refused(&facts, Cause::Jira(Refusal::Rejected));
                section.add(Reason::Rejected, sample.method, text);
                let text = refusal::refused_before(&sample.facts);
                section.add(Reason::Rejected, sample.method, text);
            }
            "basic" => {
                facts.progress.judgement = Some(Judgement::NoVerdict(Outage::Timeout));
                let text = outage::unanswered(&facts);
                section.add(Reason::NotValidated, sample.method, text);
                let text = outage::unanswered(&sample.facts);
                section.add(Reason::NotValidated, sample.method, text);
            }
            _ => {}
        }
    }
    section
}

/// A renewal that was interrupted, and an initial token that another `JiraCredential` uses.
/// A renewal of which the grant was not read in this reconcile.
pub(super) fn unread() -> Renewal {
    Renewal {
        grant: GrantState::NotRead,
        seed: SeedState::NotRead,
        rival: None,
        others: Vec::new(),
        login: Peer::Silent,
        clients_changed: false,
        missing: None,
        clients_read: false,
        process: Process::default(),
        time_scale: TimeScale::default(),
    }
}

pub(super) fn renewals() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let Some(kind) = sample.facts.renewal_plan().map(|plan| plan.kind) else {
            continue;
        };
        let mut facts = sample.facts.clone();
        let unread = unread();
        facts.renewal = Some(unread.clone());
        if kind == RenewalKind::Refresh {
            facts.status.grant = Some(GrantStatus {
                interrupted_time: Some(at(0)),
                ..GrantStatus::default()
            });
            let text = renewal::message(&facts, Reason::ReconsentRequired);
            section.add(Reason::ReconsentRequired, sample.method, text);
        }
        if matches!(kind, RenewalKind::Refresh | RenewalKind::Successor) {
            for twin in [Twin::Here("first".into()), Twin::Elsewhere] {
                facts.progress.twin = Some(twin);
                let text = renewal::message(&facts, Reason::GrantConflict);
                section.add(Reason::GrantConflict, sample.method, text);
            }
            facts.progress.twin = None;
        }
        facts.renewal = Some(Renewal {
            rival: Some("other".into()),
            ..unread
        });
        let text = renewal::message(&facts, Reason::GrantConflict);
        section.add(Reason::GrantConflict, sample.method, text);
    }
    section
}

/// What is waited for.
pub(super) fn waiting() -> Section {
    let mut section = Section::default();
    let mut add = |kind, facts: &_| add_concluded(&mut section, kind, "apiToken", facts);
    let fresh = World::token().observe();
    add(ConditionType::Published, &fresh);
    let mut facts = World::token().pass().facts;
    facts.targets[0].state = TargetState::Absent;
    add(ConditionType::Published, &facts);
    let mut refused = World::token().with(|world| world.jira.clear());
    let mut facts = refused.pass().facts;
    facts.targets[0].state = TargetState::Absent;
    add(ConditionType::Published, &facts);
    let mut old = World::token().pass().facts;
    old.progress.judgement = None;
    old.now += TimeDelta::days(2);
    add(ConditionType::Valid, &old);
    section
}

pub(super) fn events() -> Section {
    let mut section = Section::default();
    for (reason, text) in [
        (Reason::ClockSkew, CLOCK_WAS_AHEAD),
        (Reason::Rotated, ROTATED),
        (Reason::Validated, meanwhile::RECOVERED),
        (Reason::Validated, meanwhile::INPUT_IS_BACK),
    ] {
        section.add(reason, "apiToken", text.to_owned());
    }
    for (namespace, count) in [(None, 2), (None, 9), (Some("team-b"), 11)] {
        let target = Target {
            name: "bot".to_owned(),
            namespace: namespace.map(str::to_owned),
            ..Target::default()
        };
        let workload = |number: usize| Workload {
            kind: WorkloadKind::Deployment,
            name: format!("sync-{number}"),
        };
        let workloads: Vec<Workload> = (1..=count).map(workload).collect();
        let text = not_restarted(&target, &workloads);
        section.add(Reason::ReadersNotRestarted, "apiToken", text);
    }
    section
}
