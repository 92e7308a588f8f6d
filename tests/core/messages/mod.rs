//! The words of credentials that renew themselves fit the method.

mod table;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::simulator::World;
use jira_credential_operator::api::{Hosting, Reason};
use jira_credential_operator::core::facts::Facts;
use jira_credential_operator::core::messages::renewal::{message, stored_token_message};
use jira_credential_operator::core::messages::{outage, refusal};
use jira_credential_operator::core::probe::{Cause, Outage, Refusal};
use jira_credential_operator::core::spec::{Client, RenewalKind, RenewalPlan, Site, Stated};

const TROUBLES: [Reason; 10] = [
    Reason::ReconsentRequired,
    Reason::ClientRejected,
    Reason::GrantForeign,
    Reason::GrantVersionUnsupported,
    Reason::GrantLost,
    Reason::GrantRestored,
    Reason::GrantConflict,
    Reason::RateLimited,
    Reason::RenewalInterrupted,
    Reason::SiteUnavailable,
];

fn facts(auth: Value) -> Facts {
    let mut world = World::token();
    let kind = if auth.get("oauth2").is_some() {
        RenewalKind::Refresh
    } else {
        RenewalKind::ClientCredentials
    };
    world.spec.auth = serde_json::from_value(auth).unwrap();
    let mut facts = world.observe();
    if let Ok(plan) = &mut facts.plan {
        plan.renewal = Some(RenewalPlan {
            grant: "jco-grant-a".into(),
            kind,
            client: Client {
                endpoint: "https://auth.atlassian.com/oauth/token".into(),
                id: "app".into(),
            },
            gateway: Some("https://api.atlassian.com".into()),
            redirect_uri: None,
            cloud_id: None,
            scopes: Vec::new(),
            renew_before: None,
            retention: TimeDelta::hours(24),
            stated: Stated::default(),
        });
    }
    facts
}

fn clients() -> Value {
    json!([{"name": "client", "key": "new"}, {"name": "client", "key": "old"}])
}

/// Everything that can be said about a renewal and its token.
fn all(facts: &Facts, troubles: &[Reason]) -> Vec<String> {
    let refusals = [
        Refusal::Rejected,
        Refusal::IpBlocked,
        Refusal::InsufficientScope,
        Refusal::WrongHost,
        Refusal::AccountInactive,
        Refusal::Forbidden,
        Refusal::NoSite,
        Refusal::AnotherSite,
        Refusal::AnotherProduct,
        Refusal::CloudIdOfAnotherSite,
    ];
    let troubles = troubles.iter().map(|reason| message(facts, *reason));
    let refusals = refusals.map(|refusal| refusal::refused(facts, Cause::Jira(refusal)));
    let rest = [
        refusal::missing_scopes(facts, &["write:jira-work"]),
        outage::outage(facts, Outage::NotFound),
    ];
    troubles.chain(refusals).chain(rest).collect()
}

#[test]
fn client_credentials_are_told_nothing_of_a_consent() {
    let auth = json!({"clientCredentials": {"clientId": "app", "clientSecretRefs": clients()}});
    let facts = facts(auth);
    // The others are about a refresh token.
    let possible = TROUBLES.map(|reason| match reason {
        Reason::ReconsentRequired | Reason::GrantLost | Reason::GrantRestored => {
            Reason::GrantForeign
        }
        other => other,
    });
    for text in all(&facts, &possible) {
        let lower = text.to_lowercase();
        assert!(!lower.contains("refresh token"), "{text}");
        assert!(!lower.contains("onsent"), "{text}");
    }
    let rejected = message(&facts, Reason::ClientRejected);
    let both = "the key new of the Secret client or the key old of the Secret client";
    assert!(rejected.contains(both), "{rejected}");
}

#[test]
fn a_consent_that_is_to_be_given_again_is_told_where_its_refresh_token_goes() {
    let auth = json!({"oauth2": {
        "clientId": "app", "clientSecretRefs": clients(),
        "refreshTokenSecretRef": {"name": "seed", "key": "token"}
    }});
    let facts = facts(auth);
    for text in all(&facts, &TROUBLES) {
        if text.contains("onsent again") {
            assert!(text.contains("key token of the Secret seed"), "{text}");
        }
        assert!(text.len() < 600, "{text}");
    }
}

/// The same credential at a Data Center.
fn at_home(mut facts: Facts) -> Facts {
    facts.spec.site = "https://jira.example".into();
    facts.spec.hosting = Some(Hosting::DataCenter);
    if let Ok(plan) = &mut facts.plan {
        plan.site = Site::of(&facts.spec).unwrap();
        let renewal = plan.renewal.as_mut().unwrap();
        renewal.gateway = None;
    }
    facts
}

#[test]
fn a_data_center_is_told_nothing_of_atlassian_and_its_leeway() {
    let oauth2 = json!({"oauth2": {
        "clientId": "app", "clientSecretRefs": clients(),
        "refreshTokenSecretRef": {"name": "seed", "key": "token"}
    }});
    let service = json!({"clientCredentials": {"clientId": "app", "clientSecretRefs": clients()}});
    for auth in [oauth2, service] {
        let facts = at_home(facts(auth));
        let more = [Reason::InsufficientScope, Reason::HostNotAllowed];
        let troubles = TROUBLES
            .iter()
            .chain(&more)
            .map(|reason| message(&facts, *reason));
        let seeds = TROUBLES.map(|reason| stored_token_message(&facts, reason));
        for text in troubles.chain(seeds).chain([refusal::unvalidated(&facts)]) {
            for wrong in ["Atlassian", "offline_access", "ten minutes", "--auth-url"] {
                assert!(!text.contains(wrong), "{text}");
            }
        }
    }
}
