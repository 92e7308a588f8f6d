//! OAuth 2.0 and client credentials of a Data Center: nothing is honoured twice there.

use atlassian_sim::{Consent, Fault, OAuthApp, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use serde_json::{Value, json};

use super::{RENEWAL_IS_DUE, assert_at_rest};
use crate::redaction::{Canaries, Log};
use crate::support::{PATIENCE, Running, World, keys, says, value};

const REDIRECT: &str = "https://app.example/callback";
pub(super) const TOKEN_PATH: &str = "/jira/rest/oauth2/latest/token";

impl World {
    /// A consent on the Data Center, its refresh token and the client secret in Secrets.
    async fn own_consent(&self) -> (OAuthApp, Consent) {
        let link = self.data_center().oauth_link(&[REDIRECT]);
        let consent = self.data_center().consent(&link, "bot", &["WRITE"]);
        self.seed("bot", &consent.refresh_token()).await;
        self.client_secret("bot", &link.secret()).await;
        (link, consent)
    }

    fn own_spec(&self, link: &OAuthApp) -> Value {
        json!({
            "site": self.data_center().url(),
            "hosting": "DataCenter",
            "auth": {"oauth2": {
                "clientId": link.client_id(),
                "clientSecretRefs": [{"name": "bot-client", "key": "secret"}],
                "refreshTokenSecretRef": {"name": "bot-seed", "key": "refresh-token"},
                "scopes": ["READ"],
                "redirectUri": REDIRECT,
            }},
        })
    }

    pub(super) fn at_endpoint(&self, fault: Fault) -> Rule {
        Rule {
            path_prefix: Some(TOKEN_PATH.into()),
            ..Rule::new(fault).host(self.data_center().host()).once()
        }
    }

    pub(super) async fn lost(&self, reason: Reason) -> JiraCredential {
        let kind = ConditionType::Ready;
        self.wait("bot", kind, ConditionStatus::False, reason).await
    }

    pub(super) async fn times_told(&self, reason: &str) -> usize {
        let events = self.events("bot").await;
        let of = |event: &&_| {
            let event: &k8s_openapi::api::events::v1::Event = event;
            event.reason.as_deref() == Some(reason)
        };
        events.iter().filter(of).count()
    }
}

pub(super) async fn renewing() -> (World, Running, OAuthApp, Consent) {
    let world = World::new().await;
    let operator = world.operator().await;
    let (link, consent) = world.own_consent().await;
    world.create("bot", world.own_spec(&link)).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    (world, operator, link, consent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_published_for_the_site_itself_and_renewed() {
    let (world, operator, _, consent) = renewing().await;
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), world.data_center().url());
    assert_eq!(value(&secret, "site"), world.data_center().url());
    let bearer = format!("Bearer {}", value(&secret, "token"));
    assert_eq!(value(&secret, "authorization"), bearer);
    assert!(!keys(&secret).contains(&"cloudId"));
    let status = world.credential("bot").await.status.unwrap();
    let grant = status.grant.unwrap();
    assert_eq!(grant.consent_expires_at, None, "it has no end of its own");
    let idle = world.clock.now() + TimeDelta::days(90);
    assert_eq!(grant.idle_expires_at, Some(idle));
    for _ in 0..2 {
        let first = world.published("bot").await;
        let (mark, calls) = (operator.mark(), world.calls());
        world.renewal_falls_due(&operator).await;
        let expected = [
            "get secrets",
            "get secrets",
            "update secrets",
            "update secrets",
            "patch secrets",
            "update jiracredentials/status",
        ];
        assert_eq!(operator.requests_since(mark), expected);
        assert_eq!(world.calls() - calls, 2);
        world.wait_ready("bot").await;
        assert!(!world.sim.access_token_lives(&first));
        let next = world.published("bot").await;
        assert!(world.sim.access_token_lives(&next));
        assert!(consent.holds_newest(&world.kept("bot").await));
    }
    assert_eq!(world.outcomes(), vec!["exchanged"; 3]);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_response_is_reported_once_as_reconsent_required() {
    let (world, operator, link, consent) = renewing().await;
    world.sim.fault(world.at_endpoint(Fault::DropAfter));
    world.renewal_falls_due(&operator).await;
    // What became of the renewal is not known, and one more attempt tells.
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    let object = world.lost(Reason::ReconsentRequired).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(
        said.contains("was interrupted on") && said.contains("only once"),
        "{said}"
    );
    assert!(!said.contains("ten minutes"), "{said}");
    assert_eq!(world.outcomes(), ["exchanged", "exchanged", "Dead"]);
    for _ in 0..3 {
        world.renewal_falls_due(&operator).await;
    }
    assert_eq!(world.outcomes().len(), 3, "nothing is tried again");
    assert_eq!(world.times_told("ReconsentRequired").await, 1);
    assert_at_rest(&world, &operator).await;
    // A new consent mends it.
    assert!(consent.is_alive());
    let fresh = world.data_center().consent(&link, "bot", &["WRITE"]);
    world.seed("bot", &fresh.refresh_token()).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert!(fresh.holds_newest(&world.kept("bot").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_without_a_call_is_completed() {
    // The answer is lost before the request has done anything.
    let (world, operator, _, consent) = renewing().await;
    world.sim.fault(world.at_endpoint(Fault::DropBefore));
    world.renewal_falls_due(&operator).await;
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);

    // The process dies with its intent written down. Its successor watches that before it goes on.
    let hang = world.sim.hang_before(world.at_endpoint(Fault::HangBefore));
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    operator.crash();
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(world.outcomes().len(), 2, "nobody is overtaken");
    for _ in 0..5 {
        world.advance(TimeDelta::seconds(50));
        operator.look_again(1).await;
    }
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 3]);
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_is_published_at_once_though_jira_is_silent() {
    let (world, operator, _, _) = renewing().await;
    let first = world.published("bot").await;
    let silent = world.sim.fault(Rule {
        path_prefix: Some("/jira/rest/api".into()),
        ..Rule::new(Fault::ServerError { status: 503 }).host(world.data_center().host())
    });
    world.renewal_falls_due(&operator).await;
    let kind = ConditionType::Ready;
    let object = world.wait(
        "bot",
        kind,
        ConditionStatus::Unknown,
        Reason::PublishedUnvalidated,
    );
    let said = says(&object.await, kind).message;
    assert!(said.contains("invalidated the previous token"), "{said}");
    assert!(!world.sim.access_token_lives(&first));
    let published = world.published("bot").await;
    assert!(world.sim.access_token_lives(&published));
    assert_at_rest(&world, &operator).await;
    world.sim.remove_fault(silent.id());
    world.advance(TimeDelta::hours(1));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
}

/// A renewal that is due does not wait for limits of other accounts; the validation behind it does.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_without_a_validation_is_validated_when_the_limit_ends() {
    let (world, operator, _, _) = renewing().await;
    let seldom = json!({"validation": {"interval": "2h"}});
    world.change("bot", seldom).await;
    let before = TimeDelta::minutes(8);
    world.advance(RENEWAL_IS_DUE - before);
    let jira = world.data_center();
    for name in ["one", "two"] {
        let (source, token) = (format!("{name}-source"), jira.pat(name));
        world.secret(&source, &[("token", token.secret())]).await;
        let reference = json!({"name": source, "key": "token"});
        let auth = json!({"personalAccessToken": {"tokenSecretRef": reference}});
        world
            .create(name, json!({"site": jira.url(), "auth": auth}))
            .await;
        world.wait_ready(name).await;
    }
    operator.look_again(1).await;
    let limited = world.sim.fault(Rule {
        path_prefix: Some("/jira/rest/api".into()),
        ..Rule::new(Fault::RateLimit {
            retry_after: Some(900),
            html: false,
        })
        .host(jira.host())
    });
    let (status, kind) = (ConditionStatus::True, ConditionType::Reconciling);
    for name in ["one", "two"] {
        world.annotate(name, "jira-operator.dev/renew", "1").await;
        world.wait(name, kind, status, Reason::RateLimited).await;
    }
    world.sim.remove_fault(limited.id());
    world.advance(before);
    operator.poke();
    let (status, kind) = (ConditionStatus::Unknown, ConditionType::Ready);
    let reason = Reason::PublishedUnvalidated;
    world.wait("bot", kind, status, reason).await;
    world.advance(before);
    operator.look_again(1).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_jira_refuses_is_not_published() {
    let (world, operator, _, _) = renewing().await;
    let first = world.published("bot").await;
    let user = atlassian_sim::UserState::Deactivated;
    world.data_center().set_user_state("bot", user);
    world.renewal_falls_due(&operator).await;
    world.lost(Reason::Rejected).await;
    assert_eq!(world.published("bot").await, first);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_redirect_url_costs_nothing_but_its_correction() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (link, consent) = world.own_consent().await;
    let mut spec = world.own_spec(&link);
    spec["auth"]["oauth2"]["redirectUri"] = json!("https://app.example/other");
    world.create("bot", spec).await;
    let object = world.lost(Reason::ReconsentRequired).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(
        said.contains("If redirectUri is wrong, correct it"),
        "{said}"
    );
    operator.quiet().await;
    assert_eq!(world.outcomes(), ["WrongRedirect"]);
    // Another change of the spec is no reason to try it again.
    world
        .change("bot", json!({"validation": {"interval": "2h"}}))
        .await;
    operator.look_again(1).await;
    assert_eq!(world.outcomes().len(), 1);
    world
        .change(
            "bot",
            json!({"auth": {"oauth2": {"redirectUri": REDIRECT}}}),
        )
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_of_a_service_account() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center().version("11.3.5");
    let app = jira.service_client("robot", &["READ"]);
    let (old, new) = (app.secret(), app.add_secret());
    world
        .secret("client", &[("new", "not-known-yet"), ("old", &old)])
        .await;
    let refs = json!([{"name": "client", "key": "new"}, {"name": "client", "key": "old"}]);
    let spec = json!({
        "site": jira.url(),
        "hosting": "DataCenter",
        "auth": {"clientCredentials": {
            "clientId": app.client_id(), "clientSecretRefs": refs, "scopes": ["READ"],
        }},
    });
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), jira.url());
    // The rotation of the client secret: the new one is stored, the old one goes.
    world
        .secret("client", &[("new", &new), ("old", &old)])
        .await;
    app.revoke_secret(&old);
    let first = world.published("bot").await;
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert_ne!(world.published("bot").await, first);
    assert_at_rest(&world, &operator).await;

    // A scope that the credential does not have is reported, what works goes on, and another spec mends it.
    let scopes = |scope: &str| json!({"auth": {"clientCredentials": {"scopes": [scope]}}});
    world.change("bot", scopes("WRITE")).await;
    world.lost(Reason::InsufficientScope).await;
    world.change("bot", scopes("READ")).await;
    world.wait_ready("bot").await;

    // The credential itself ends.
    operator.quiet().await;
    jira.end_service_client(&app, Some(world.clock.now()));
    world.renewal_falls_due(&operator).await;
    let object = world.lost(Reason::ClientRejected).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(said.contains("has expired"), "{said}");
    assert_at_rest(&world, &operator).await;
    jira.end_service_client(&app, None);
    world.secret("client", &[("new", &new)]).await;
    let refs = json!([{"name": "client", "key": "new"}]);
    let change = json!({"auth": {"clientCredentials": {"clientSecretRefs": refs}}});
    world.change("bot", change).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_at_the_token_endpoint() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| {
            config.jira.extra_ca_pem = None;
            crate::support::be_patient(config);
        })
        .await;
    let (link, _) = world.own_consent().await;
    world.create("bot", world.own_spec(&link)).await;
    world.lost(Reason::SiteUnavailable).await;
    assert_eq!(world.outcomes(), Vec::<String>::new());
    world.secret("ca", &[("ca.crt", world.sim.ca_pem())]).await;
    let tls = json!({"tls": {"caSecretRef": {"name": "ca", "key": "ca.crt"}}});
    // Tried at once, whatever the backoff says: the clock stands still.
    world.change("bot", tls).await;
    world.wait_ready("bot").await;
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_told() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(|_| {}, log.dispatch()).await;
    let mut canaries = Canaries::default();
    let (link, consent) = world.own_consent().await;
    world.create("bot", world.own_spec(&link)).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    canaries.watch("the seed", &consent.refresh_token());
    canaries.watch("the client secret", &link.secret());
    canaries.watch("the refresh token", &world.kept("bot").await);
    canaries.watch("the access token", &world.published("bot").await);
    let echo = atlassian_sim::Canned {
        status: 400,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: json!({"error": world.kept("bot").await}).to_string(),
    };
    for fault in [Fault::Canned(echo), Fault::DropAfter] {
        world.sim.fault(world.at_endpoint(fault));
        world.renewal_falls_due(&operator).await;
        world.advance(TimeDelta::hours(7));
        operator.look_again(1).await;
        operator.quiet().await;
        canaries.watch("a refresh token", &world.kept("bot").await);
        canaries.watch("an access token", &world.published("bot").await);
    }
    world.lost(Reason::ReconsentRequired).await;
    super::redaction::look_around(&world, &canaries).await;
    canaries.absent("metrics", &operator.metrics.render().unwrap());
    operator.stop().await;
    let log = log.text();
    assert!(log.contains("asked the token endpoint"));
    canaries.absent("the log", &log);
}
