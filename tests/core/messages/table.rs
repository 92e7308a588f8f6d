//! Every message of every reason, as the table of `docs/messages.md`.
//!
//! `cargo xtask messages` writes the table; here it is compared with what the code says.

mod validation;

mod cluster;
mod details;
mod spec;
mod standing;

use spec::ready;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use validation::{valid_false, valid_unknown};

use chrono::TimeDelta;
use jira_credential_operator::api::{
    ConditionType, CreationPolicy, GrantStatus, Hosting, JiraCredentialStatus, MergeStatus,
    MethodName, Preset, Reason, Target, TargetVersion,
};
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::facts::{Barrier, Facts, Holder, TargetState};
use jira_credential_operator::core::messages::{renewal, replacement};
use jira_credential_operator::core::probe::token_list::{Found, LookupError};
use jira_credential_operator::core::probe::{Forbidden, Outage};
use jira_credential_operator::core::spec::{
    Client, RenewalKind, RenewalPlan, Site, SourceError, Stated,
};
use jira_credential_operator::render::{Validated, target_contents};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::expiry_lookup;
use crate::simulator::{World, at};

/// Where the table is kept.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/messages.md");

/// Set to write the table instead of comparing it.
const WRITE: &str = "JCO_WRITE_MESSAGES";

/// Reasons without a message of their own.
const SILENT: [Reason; 1] = [Reason::Unrecognised];

/// One message.
struct Row {
    reason: Reason,
    methods: BTreeSet<&'static str>,
    text: String,
}

/// The messages of one condition.
#[derive(Default)]
struct Section {
    rows: Vec<Row>,
    /// The statuses of which some were taken.
    concluded: Vec<JiraCredentialStatus>,
}

impl Section {
    fn add(&mut self, reason: Reason, method: &'static str, text: String) {
        let known = self
            .rows
            .iter_mut()
            .find(|row| row.reason == reason && row.text == text);
        match known {
            Some(row) => {
                row.methods.insert(method);
            }
            None => self.rows.push(Row {
                reason,
                methods: BTreeSet::from([method]),
                text,
            }),
        }
    }

    fn print(&self, title: &str, to: &mut String) {
        write!(
            to,
            "\n## {title}\n\n| reason | method | message |\n|---|---|---|\n"
        )
        .unwrap();
        for row in &self.rows {
            let methods = if row.methods.len() == METHODS {
                "every".to_owned()
            } else {
                row.methods.iter().copied().collect::<Vec<_>>().join(", ")
            };
            let text = row.text.replace('|', "\\|");
            writeln!(to, "| `{:?}` | {methods} | {text} |", row.reason).unwrap();
        }
    }
}

/// A credential of one method.
struct Sample {
    method: &'static str,
    facts: Facts,
}

const METHODS: usize = 10;

fn sample(
    method: &'static str,
    auth: Value,
    kind: Option<RenewalKind>,
    hosting: Hosting,
) -> Sample {
    let mut world = World::token();
    world.spec.auth = serde_json::from_value(auth).unwrap();
    if hosting == Hosting::DataCenter {
        world.spec.site = "https://jira.acme.example".into();
        world.spec.hosting = Some(hosting);
    }
    let mut facts = world.observe();
    if let (Ok(plan), Some(kind)) = (&mut facts.plan, kind) {
        plan.site = Site::of(&facts.spec).unwrap();
        plan.renewal = Some(RenewalPlan {
            grant: "jco-grant-a".into(),
            kind,
            client: Client {
                endpoint: "https://auth.atlassian.com/oauth/token".into(),
                id: "app".into(),
            },
            gateway: (hosting == Hosting::Cloud).then(|| "https://api.atlassian.com".into()),
            redirect_uri: None,
            cloud_id: None,
            scopes: Vec::new(),
            renew_before: None,
            retention: TimeDelta::hours(24),
            stated: Stated::default(),
        });
    }
    Sample { method, facts }
}

fn samples() -> Vec<Sample> {
    use Hosting::{Cloud, DataCenter};
    let key = |name: &str, key: &str| json!({"name": name, "key": key});
    let clients = || json!([key("client", "secret")]);
    let oauth2 = || {
        json!({"oauth2": {
            "clientId": "app", "clientSecretRefs": clients(), "refreshTokenSecretRef": key("source", "token"),
        }})
    };
    let service =
        || json!({"clientCredentials": {"clientId": "app", "clientSecretRefs": clients()}});
    let pat = |rotation: &str| json!({"personalAccessToken": {"tokenSecretRef": key("source", "token"), "rotation": rotation}});
    let secret = || json!({"secretRef": {"name": "source"}});
    vec![
        sample(
            "apiToken",
            json!({"apiToken": {"email": "bot@acme.example", "tokenSecretRef": key("source", "token")}}),
            None,
            Cloud,
        ),
        sample("personalAccessToken", pat("Manual"), None, DataCenter),
        sample(
            "personalAccessToken (Automatic)",
            pat("Automatic"),
            Some(RenewalKind::Successor),
            DataCenter,
        ),
        sample("basic", json!({"basic": secret()}), None, DataCenter),
        sample(
            "session",
            json!({"session": secret()}),
            Some(RenewalKind::Login),
            DataCenter,
        ),
        sample(
            "oauth1",
            json!({"oauth1": {"secretRef": {"name": "source"}, "consumerKey": "operator"}}),
            None,
            DataCenter,
        ),
        sample(
            "oauth2 (Cloud)",
            oauth2(),
            Some(RenewalKind::Refresh),
            Cloud,
        ),
        sample(
            "oauth2 (Data Center)",
            oauth2(),
            Some(RenewalKind::Refresh),
            DataCenter,
        ),
        sample(
            "clientCredentials (Cloud)",
            service(),
            Some(RenewalKind::ClientCredentials),
            Cloud,
        ),
        sample(
            "clientCredentials (Data Center)",
            service(),
            Some(RenewalKind::ClientCredentials),
            DataCenter,
        ),
    ]
}

fn of_oauth2() -> Sample {
    let mut all = samples().into_iter();
    all.find(|sample| sample.method == "oauth2 (Cloud)")
        .unwrap()
}

/// What can block a renewal of this kind.
fn blockers(kind: RenewalKind) -> Vec<Reason> {
    let mut all = vec![
        Reason::GrantForeign,
        Reason::GrantVersionUnsupported,
        Reason::GrantConflict,
    ];
    all.extend(match kind {
        RenewalKind::Refresh => vec![
            Reason::ReconsentRequired,
            Reason::ClientRejected,
            Reason::GrantLost,
            Reason::GrantRestored,
            Reason::RateLimited,
            Reason::RenewalInterrupted,
            Reason::HostNotAllowed,
            Reason::SiteUnavailable,
        ],
        RenewalKind::ClientCredentials => vec![
            Reason::ClientRejected,
            Reason::InsufficientScope,
            Reason::RateLimited,
            Reason::HostNotAllowed,
            Reason::SiteUnavailable,
        ],
        RenewalKind::Successor => {
            vec![Reason::Expired, Reason::GrantLost, Reason::GrantRestored]
        }
        RenewalKind::Login => vec![
            Reason::Rejected,
            Reason::CaptchaRequired,
            Reason::LoginDenied,
            Reason::BasicAuthDisabled,
            Reason::IpBlocked,
            Reason::AccountInactive,
            Reason::NotValidated,
            Reason::RenewalInterrupted,
            Reason::RateLimited,
            Reason::WrongHost,
            Reason::HostNotAllowed,
            Reason::SiteUnavailable,
            Reason::CrossSiteCheck,
        ],
    });
    all
}

fn blocked() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let Some(plan) = sample.facts.renewal_plan() else {
            continue;
        };
        // Scopes of a service account are asked for on Data Center only.
        let cloud = plan.hosting() == Hosting::Cloud;
        let possible = blockers(plan.kind).into_iter();
        for reason in possible.filter(|reason| !cloud || *reason != Reason::InsufficientScope) {
            let text = renewal::message(&sample.facts, reason);
            section.add(reason, sample.method, text);
        }
    }
    section
}

fn add_age_of_oauth1(section: &mut Section) {
    for sample in samples().iter().filter(|sample| sample.method == "oauth1") {
        let mut facts = sample.facts.clone();
        let day = 24 * 3600;
        facts.plan.as_mut().unwrap().expires_at = Some(at(10 * day));
        for now in [0, 11] {
            facts.now = at(now * day);
            add_concluded(section, ConditionType::RotationDue, "oauth1", &facts);
        }
    }
}

/// What can stand in the way of a replacement.
fn no_replacement(kind: RenewalKind) -> &'static [Reason] {
    match kind {
        RenewalKind::Successor => &[
            Reason::TokenLimitReached,
            Reason::MintingForbidden,
            Reason::MintingUnsupported,
            Reason::CrossSiteCheck,
            Reason::RateLimited,
            Reason::SiteUnavailable,
            Reason::Rejected,
            Reason::ExpiryUnknown,
            Reason::RotationFailed,
        ],
        RenewalKind::Login => &[Reason::RotationFailed],
        RenewalKind::Refresh | RenewalKind::ClientCredentials => &[],
    }
}

fn rotation() -> Section {
    let mut section = Section::default();
    for sample in samples() {
        let Some(plan) = sample.facts.renewal_plan() else {
            continue;
        };
        let stored: &[Reason] = match plan.kind {
            RenewalKind::Refresh => &[
                Reason::SeedStale,
                Reason::SourceMalformed,
                Reason::SourceIsTarget,
                Reason::SourceNotAllowed,
                Reason::RotationFailed,
                Reason::AccountChanged,
                Reason::PermissionMissing,
                Reason::InsufficientScope,
                Reason::WrongHost,
            ],
            RenewalKind::Successor | RenewalKind::Login => &[
                Reason::SeedStale,
                Reason::SourceMalformed,
                Reason::SourceIsTarget,
                Reason::SourceNotAllowed,
                Reason::RotationFailed,
                Reason::AccountChanged,
                Reason::PermissionMissing,
            ],
            RenewalKind::ClientCredentials => &[],
        };
        for reason in stored {
            let text = renewal::stored_token_message(&sample.facts, *reason);
            section.add(*reason, sample.method, text);
        }
        for reason in no_replacement(plan.kind) {
            let text = replacement::replacement_message(&sample.facts, *reason);
            section.add(*reason, sample.method, text);
        }
    }
    let day = 24 * 3600;
    for (end, now) in [(10, 0), (10, 11)] {
        let mut world = World::token();
        world.edit(|spec| {
            spec.auth.api_token.as_mut().unwrap().expires_at = Some(at(end * day).into());
        });
        let mut facts = world.pass().facts;
        facts.now = at(now * day);
        add_concluded(&mut section, ConditionType::RotationDue, "apiToken", &facts);
    }
    add_age_of_oauth1(&mut section);
    let mut world = World::token();
    let periods = json!({"maxAge": "90d", "warnBefore": "7d"});
    world.edit(|spec| spec.rotation = serde_json::from_value(periods).unwrap());
    let mut facts = world.pass().facts;
    add_concluded(&mut section, ConditionType::RotationDue, "apiToken", &facts);
    facts.now = at(85 * day);
    add_concluded(&mut section, ConditionType::RotationDue, "apiToken", &facts);
    let blocked = Found {
        blocked: true,
        ..expiry_lookup::found(300)
    };
    let (facts, _) = expiry_lookup::after(expiry_lookup::facts(), Ok(blocked));
    add_concluded(&mut section, ConditionType::RotationDue, "apiToken", &facts);
    for (consent, idle) in [(Some(at(day)), None), (None, Some(at(day)))] {
        let oauth2 = of_oauth2();
        let mut facts = oauth2.facts;
        facts.status.grant = Some(GrantStatus {
            consent_expires_at: consent,
            idle_expires_at: idle,
            ..GrantStatus::default()
        });
        add_concluded(
            &mut section,
            ConditionType::RotationDue,
            oauth2.method,
            &facts,
        );
    }
    let oauth2 = of_oauth2();
    let mut facts = oauth2.facts;
    let told = json!([{
        "type": "RotationDue", "status": "True", "reason": "OfflineAccessMissing",
        "message": "told", "lastTransitionTime": at(0),
    }]);
    facts.status.conditions = serde_json::from_value(told).unwrap();
    add_concluded(
        &mut section,
        ConditionType::RotationDue,
        oauth2.method,
        &facts,
    );
    section
}

/// Adds what a reconcile that ends with these facts says.
fn add_concluded(section: &mut Section, kind: ConditionType, method: &'static str, facts: &Facts) {
    let status = conclude(facts, &facts.status).status;
    let said = status.condition(kind).unwrap();
    section.add(said.reason, method, said.message.clone());
    section.concluded.push(status);
}

fn expiry_known() -> Section {
    let mut section = Section::default();
    let answers = [
        Ok(expiry_lookup::found(300)),
        Ok(Found::default()),
        Err(LookupError::KeyRejected),
        Err(LookupError::Forbidden),
        Err(LookupError::IpBlocked),
        Err(LookupError::UnknownOrganization),
        Err(LookupError::NotListed),
        Err(LookupError::Ambiguous),
        Err(LookupError::TooLong),
        Err(LookupError::NoVerdict(Outage::Timeout)),
        Err(LookupError::NoVerdict(Outage::RateLimited {
            retry_after: None,
        })),
        Err(LookupError::NotAllowed(Forbidden::Loopback)),
        Err(LookupError::NoKey(SourceError::Missing {
            kind: "Secret",
            name: "organisation".into(),
        })),
    ];
    for answer in answers {
        let (facts, _) = expiry_lookup::after(expiry_lookup::facts(), answer);
        add_concluded(&mut section, ConditionType::ExpiryKnown, "apiToken", &facts);
    }
    let mut facts = expiry_lookup::facts();
    if let Ok(plan) = &mut facts.plan {
        plan.expires_at = Some(at(30 * 24 * 3600));
    }
    let (facts, _) = expiry_lookup::after(facts, Ok(expiry_lookup::found(300)));
    add_concluded(&mut section, ConditionType::ExpiryKnown, "apiToken", &facts);
    let unused = Found {
        last_active: Some(at(-100 * 24 * 3600)),
        ..expiry_lookup::found(300)
    };
    let mut facts = expiry_lookup::facts();
    facts.status.first_seen_time = Some(at(-30 * 24 * 3600));
    let (facts, _) = expiry_lookup::after(facts, Ok(unused));
    add_concluded(&mut section, ConditionType::ExpiryKnown, "apiToken", &facts);
    section
}

/// What stands in the way of keys in a Secret of somebody else.
fn merge_problems(published: &Facts, version: &TargetVersion, section: &mut Section) {
    let mut facts = published.clone();
    facts.targets[0].target.creation_policy = CreationPolicy::Merge;
    for (reason, detail, again) in [
        (Reason::MergeTargetMissing, None, None),
        (Reason::MergeNotAllowed, None, None),
        (
            Reason::MergeUnsuitable,
            Some("its type is kubernetes.io/tls"),
            None,
        ),
        (
            Reason::MergeConflict,
            Some("the key token (kubectl-edit)"),
            None,
        ),
        (Reason::MergeConflict, Some("token"), Some(facts.now)),
    ] {
        let merge = MergeStatus {
            blocked_by: Some(reason),
            detail: detail.map(str::to_owned),
            next_repair_time: again,
            ..MergeStatus::default()
        };
        let version = TargetVersion {
            hash: None,
            merge: Some(merge),
            ..version.clone()
        };
        facts.targets[0].state = match reason {
            Reason::MergeTargetMissing => TargetState::Absent,
            _ => TargetState::NotMerged(version),
        };
        add_concluded(section, ConditionType::Published, "apiToken", &facts);
    }
    let cause = "Forbidden (403); check quotas, admission policies and the operator's RBAC rules.";
    facts.targets[0].state = TargetState::Refused(cause.into());
    add_concluded(section, ConditionType::Published, "apiToken", &facts);
}

fn published() -> Section {
    let mut section = Section::default();
    let passed = World::token().pass();
    let version = passed.conclusion.status.targets[0].clone();
    let seen = version.clone();
    let facts = passed.facts;
    add_concluded(&mut section, ConditionType::Published, "apiToken", &facts);
    for state in [
        TargetState::OwnedByOther(Holder::Stranger, version.clone()),
        TargetState::OwnedByOther(Holder::Credential("other".into()), version.clone()),
        TargetState::OwnedByOther(Holder::Elsewhere, version),
        TargetState::Refused("admission webhook denied the request".into()),
        TargetState::NotRendered(too_large()),
    ] {
        let mut facts = facts.clone();
        facts.targets[0].state = state;
        add_concluded(&mut section, ConditionType::Published, "apiToken", &facts);
    }
    for barrier in [
        Barrier::Policy,
        Barrier::NotWatched,
        Barrier::NotListed,
        Barrier::Missing,
    ] {
        let mut facts = facts.clone();
        facts.targets[0].target.namespace = Some("team-b".to_owned());
        facts.targets[0].state = TargetState::Absent;
        facts.targets[0].barrier = Some(barrier);
        add_concluded(&mut section, ConditionType::Published, "apiToken", &facts);
    }
    merge_problems(&facts, &seen, &mut section);
    for text in [
        "{{ passwrod }}",
        "\n{{ token",
        "{{ token | base64 }}",
        "{{ token * 2 }}",
        "{{ 1e999 }}",
    ] {
        let mut facts = facts.clone();
        facts.targets[0].target = templated(text);
        add_concluded(&mut section, ConditionType::Published, "apiToken", &facts);
    }
    let mut typed = facts.clone();
    typed.targets[0].target = templated("{{ token }}");
    let template = typed.targets[0].target.template.as_mut().unwrap();
    template.kind = Some("kubernetes.io/basic-auth".to_owned());
    add_concluded(&mut section, ConditionType::Published, "apiToken", &typed);
    for presets in preset_faults() {
        let (mut facts, oauth2) = (facts.clone(), presets.contains(&Preset::Env));
        facts.targets[0].target.presets = presets;
        let plan = facts.plan.as_mut().unwrap();
        plan.method = if oauth2 {
            MethodName::OAuth2
        } else {
            MethodName::OAuth1
        };
        let shown = if oauth2 { "oauth2 (Cloud)" } else { "oauth1" };
        add_concluded(&mut section, ConditionType::Published, shown, &facts);
    }
    let mut refused = World::token().with(|world| world.jira.clear());
    let facts = refused.pass().facts;
    add_concluded(&mut section, ConditionType::Published, "apiToken", &facts);
    // A target goes while Jira refuses the credential.
    let mut refused = World::token();
    refused.pass();
    refused.jira.clear();
    for _ in 0..3 {
        refused.wait(2 * 3600);
        refused.pass();
    }
    refused.secrets.clear();
    let facts = refused.pass().facts;
    add_concluded(&mut section, ConditionType::Published, "apiToken", &facts);
    section
}

fn templated(text: &str) -> Target {
    let target = json!({"name": "bot", "template": {"data": {"auth.json": text}}});
    serde_json::from_value(target).unwrap()
}

/// What a template of a target says that makes a value of more than it may.
fn too_large() -> String {
    let token = SecretString::from("x".repeat(40_000));
    let validated = Validated {
        name: "team-a/bot",
        hosting: Hosting::DataCenter,
        method: MethodName::PersonalAccessToken,
        url: "https://jira.example",
        site: "https://jira.example",
        cloud_id: None,
        user: None,
        secret: &token,
        previous: None,
        signing: None,
        account: "JIRAUSER10000",
        expires_at: None,
    };
    target_contents(&validated, &templated("{{ token }}{{ token }}")).unwrap_err()
}

fn preset_faults() -> [Vec<Preset>; 3] {
    [
        vec![Preset::Netrc],
        vec![Preset::Alertmanager],
        vec![Preset::Env, Preset::McpAtlassian],
    ]
}

fn over_privileged() -> Section {
    let mut section = Section::default();
    let mut facts = World::token().pass().facts;
    let status = json!({"checkedTime": at(0), "administrator": ["ADMINISTER"]});
    facts.status.permissions = Some(serde_json::from_value(status).unwrap());
    add_concluded(
        &mut section,
        ConditionType::OverPrivileged,
        "apiToken",
        &facts,
    );
    section
}

fn restart_failed() -> Section {
    let mut section = Section::default();
    for reason in [
        Reason::OperatorRightMissing,
        Reason::WorkloadMissing,
        Reason::RestartHeld,
        Reason::RestartRefused,
    ] {
        let mut facts = World::token().pass().facts;
        let workload = json!({"kind": "Deployment", "name": "sync"});
        let failed = json!({"kind": "Deployment", "name": "sync", "reason": reason});
        let print = facts.published_print().unwrap();
        facts.spec.restart = vec![serde_json::from_value(workload).unwrap()];
        let status = json!({"fingerprint": print, "revision": "5a", "failed": [failed]});
        facts.status.restart = Some(serde_json::from_value(status).unwrap());
        add_concluded(
            &mut section,
            ConditionType::RestartFailed,
            "apiToken",
            &facts,
        );
    }
    section
}

/// The table, and the reasons in it.
fn table() -> (String, BTreeSet<String>) {
    let mut text = String::from(
        "# Messages\n\nPrinted by `cargo xtask messages`. Do not edit: change `src/core/messages` and print it \
         again.\n\nWhat each reason says, by an example. A message says what happened, what still works \
         and what to do.\n",
    );
    let mut reasons = BTreeSet::new();
    for (title, section) in [
        ("Ready: the spec, the source, and everything well", ready()),
        ("Valid is False: Jira refuses the credential", valid_false()),
        ("Valid is Unknown: no usable answer", valid_unknown()),
        ("Ready and Valid: a renewal is blocked", blocked()),
        ("Published", published()),
        ("RotationDue", rotation()),
        ("ExpiryKnown", expiry_known()),
        ("OverPrivileged", over_privileged()),
        (
            "Denied: the API server refuses a request",
            cluster::denied(),
        ),
        (
            "RestartFailed: pods may still use the previous credential",
            restart_failed(),
        ),
        ("Events without a condition", cluster::events()),
        ("Refusals with a hint", details::hints()),
        ("Unclear answers", details::unclear()),
        ("Renewals in detail", details::renewals()),
        ("What is waited for", details::waiting()),
        (
            "Ready is True and something fails",
            validation::beside_ready(),
        ),
        ("Events without a condition", details::events()),
    ] {
        section.print(title, &mut text);
        reasons.extend(section.rows.iter().map(|row| format!("{:?}", row.reason)));
    }
    (text, reasons)
}

#[test]
fn the_document_holds_every_message() {
    let (text, _) = table();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(TABLE, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert!(kept == text, "stale: cargo xtask messages");
}

#[test]
fn every_reason_has_a_message() {
    let (_, told) = table();
    let source = include_str!("../../../src/api/condition.rs");
    let (_, body) = source.split_once("pub enum Reason {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let reasons = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|word| word.chars().all(char::is_alphanumeric));
    let silent = SILENT.map(|reason| format!("{reason:?}"));
    let missing: Vec<&str> = reasons
        .filter(|reason| !told.contains(*reason) && !silent.iter().any(|silent| silent == reason))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn no_message_reads_oddly() {
    let (text, _) = table();
    for line in text.lines() {
        for word in [
            "anew",
            "whoever",
            "hence",
            "nobody",
            "somebody",
            "by itself",
            "begun",
            "is told",
        ] {
            assert!(!line.contains(word), "{word}: {line}");
        }
    }
}
