//! How generic tooling (`kubectl wait`, Flux, Argo CD, kpt) judges a credential in every state.

mod persons;

use std::io::Write as _;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use control_plane::tools;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::World;

const FALSE: ConditionStatus = ConditionStatus::False;
const READY: ConditionType = ConditionType::Ready;

/// Objects as they stood at some moment, and what tooling must make of them.
#[derive(Default)]
struct Gallery(Vec<(String, &'static str, Value)>);

impl Gallery {
    async fn take(&mut self, world: &World, name: &str, state: &str, expected: &'static str) {
        let object = serde_json::to_value(world.credential(name).await).unwrap();
        self.0.push((state.to_owned(), expected, object));
    }

    /// What Argo CD shows with the health check of `deploy/argocd`.
    async fn judge_in_argo_cd(&self) {
        let program = match tokio::task::spawn_blocking(tools::argo_health)
            .await
            .unwrap()
        {
            Err(error) if error.is_without_modules() => {
                let line = "skipped: argo-health cannot be built without its Go modules";
                let _ = writeln!(std::io::stderr(), "{line}");
                return;
            }
            program => program.unwrap(),
        };
        let folder = tempfile::tempdir().unwrap();
        let (script, objects) = (
            folder.path().join("health.lua"),
            folder.path().join("objects"),
        );
        std::fs::write(&script, health_check()).unwrap();
        // Argo CD does not ask the check about an object that is being deleted.
        let asked: Vec<_> = self.0.iter().filter(|one| one.1 != "Terminating").collect();
        let lines: Vec<String> = asked.iter().map(|one| one.2.to_string()).collect();
        std::fs::write(&objects, lines.join("\n")).unwrap();
        let output = std::process::Command::new(program)
            .arg(&script)
            .stdin(std::fs::File::open(&objects).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let verdicts: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(verdicts.len(), asked.len());
        for ((state, expected, _), verdict) in asked.into_iter().zip(verdicts) {
            assert_eq!(verdict["status"], in_argo_cd(state, expected), "{state}");
            assert_ne!(verdict["message"], "", "{state}");
        }
    }

    async fn judge(self, world: &World) {
        self.judge_in_argo_cd().await;
        let objects: Vec<Value> = self.0.iter().map(|(_, _, object)| object.clone()).collect();
        let verdicts = world.plane.kstatus(&objects).await.unwrap();
        let wrong: Vec<String> = self
            .0
            .iter()
            .zip(verdicts)
            .filter(|((_, expected, _), verdict)| verdict.status != *expected)
            .map(|((state, expected, _), verdict)| {
                format!(
                    "{state}: {} ({}), expected {expected}",
                    verdict.status, verdict.message
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// The health that belongs to a status of kstatus, and where the two differ.
fn in_argo_cd(state: &str, expected: &str) -> &'static str {
    match (state, expected) {
        ("suspended before it was ever ready" | "suspended when ready", _) => "Suspended",
        ("outage, published and lately validated", _) | (_, "Current") => "Healthy",
        (_, "Failed") => "Degraded",
        _ => "Progressing",
    }
}

/// The script in the `ConfigMap` that ships.
fn health_check() -> String {
    let text = include_str!("../../deploy/argocd/argocd-cm.yaml");
    let map: Value = serde_saphyr::from_str(text).unwrap();
    let key = "resource.customizations.health.jira-operator.dev_JiraCredential";
    map["data"][key].as_str().unwrap().to_owned()
}

fn pat(site: &str, secret: &str) -> Value {
    json!({"site": site, "auth": {"personalAccessToken": {
        "tokenSecretRef": {"name": secret, "key": "token"},
    }}})
}

fn basic(site: &str, secret: &str) -> Value {
    json!({"site": site, "auth": {"basic": {"secretRef": {"name": secret}}}})
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test(flavor = "multi_thread")]
async fn every_state_reads_as_what_it_is() {
    let world = World::new().await;
    let mut gallery = Gallery::default();

    world.api_token("healthy").await;
    gallery
        .take(&world, "healthy", "new, no operator yet", "InProgress")
        .await;
    let operator = world.operator().await;
    world.wait_ready("healthy").await;
    gallery
        .take(&world, "healthy", "validated and published", "Current")
        .await;

    let unknown = world.api_token_spec("rejected");
    world
        .secret("rejected-source", &[("token", "no-such-token")])
        .await;
    world.create("rejected", unknown).await;
    world.wait("rejected", READY, FALSE, Reason::Rejected).await;
    gallery.take(&world, "rejected", "rejected", "Failed").await;

    let down = world.sim.data_center("down");
    let token = down.pat("bot");
    let outage = || Rule::new(Fault::ServerError { status: 503 });
    world.sim.fault(outage().host(down.host()));
    world
        .secret("down-source", &[("token", token.secret())])
        .await;
    world.create("down", pat(&down.url(), "down-source")).await;
    world
        .wait("down", READY, FALSE, Reason::SiteUnavailable)
        .await;
    gallery
        .take(
            &world,
            "down",
            "never validated, site unavailable",
            "InProgress",
        )
        .await;

    let limited = world.sim.data_center("limited");
    let limit = Fault::RateLimit {
        retry_after: Some(60),
        html: false,
    };
    world.sim.fault(Rule::new(limit).host(limited.host()));
    world
        .create("limited", pat(&limited.url(), "down-source"))
        .await;
    world
        .wait("limited", READY, FALSE, Reason::RateLimited)
        .await;
    gallery
        .take(
            &world,
            "limited",
            "never validated, rate limited",
            "InProgress",
        )
        .await;

    world
        .create("early", pat(&down.url(), "no-such-secret"))
        .await;
    world
        .wait("early", READY, FALSE, Reason::SourceMissing)
        .await;
    gallery
        .take(&world, "early", "source missing", "InProgress")
        .await;

    world
        .secret("malformed-source", &[("token", "token\n\n")])
        .await;
    world
        .create("malformed", pat(&down.url(), "malformed-source"))
        .await;
    world
        .wait("malformed", READY, FALSE, Reason::SourceMalformed)
        .await;
    gallery
        .take(&world, "malformed", "source malformed", "Failed")
        .await;

    let mut contradiction = world.api_token_spec("healthy");
    contradiction["rotation"] = json!({"maxAge": "1d", "warnBefore": "2d"});
    world.create("contradiction", contradiction).await;
    world
        .wait("contradiction", READY, FALSE, Reason::SpecInvalid)
        .await;
    gallery
        .take(&world, "contradiction", "spec invalid", "Failed")
        .await;

    world
        .create(
            "abroad",
            pat("https://jira.elsewhere.example", "down-source"),
        )
        .await;
    world
        .wait("abroad", READY, FALSE, Reason::HostNotAllowed)
        .await;
    gallery
        .take(&world, "abroad", "host not allowed", "Failed")
        .await;

    let foreign: Secret =
        serde_json::from_value(json!({"metadata": {"name": "theirs"}, "stringData": {"a": "b"}}))
            .unwrap();
    world
        .secrets()
        .create(&PostParams::default(), &foreign)
        .await
        .unwrap();
    let mut onto = world.api_token_spec("healthy");
    onto["targets"] = json!([{"name": "theirs"}]);
    world.create("onto", onto).await;
    world
        .wait("onto", READY, FALSE, Reason::TargetForeign)
        .await;
    gallery
        .take(&world, "onto", "target foreign", "Failed")
        .await;

    let mut second = world.api_token_spec("healthy");
    second["targets"] = json!([{"name": "healthy"}]);
    world.create("second", second).await;
    world
        .wait("second", READY, FALSE, Reason::TargetConflict)
        .await;
    gallery
        .take(&world, "second", "target of another credential", "Failed")
        .await;

    let lost = world.sim.data_center("lost");
    let password = lost.new_password("robot");
    world
        .sim
        .fault(Rule::new(Fault::DropAfter).host(lost.host()));
    let login = [("username", "robot"), ("password", password.as_str())];
    world.secret("lost-source", &login).await;
    world
        .create("lost", basic(&lost.url(), "lost-source"))
        .await;
    world.wait("lost", READY, FALSE, Reason::NotValidated).await;
    gallery
        .take(&world, "lost", "password sent, answer lost", "Failed")
        .await;

    let mut asleep = world.api_token_spec("healthy");
    asleep["suspend"] = json!(true);
    world.create("asleep", asleep).await;
    world.wait("asleep", READY, FALSE, Reason::Suspended).await;
    gallery
        .take(
            &world,
            "asleep",
            "suspended before it was ever ready",
            "Failed",
        )
        .await;

    world.api_token("paused").await;
    world.wait_ready("paused").await;
    world.change("paused", json!({"suspend": true})).await;
    world
        .wait("paused", READY, ConditionStatus::True, Reason::Suspended)
        .await;
    gallery
        .take(&world, "paused", "suspended when ready", "Current")
        .await;

    // An hour later.
    let steady = world.sim.data_center("steady");
    let token = steady.pat("bot");
    world
        .secret("steady-source", &[("token", token.secret())])
        .await;
    world
        .create("steady", pat(&steady.url(), "steady-source"))
        .await;
    world.wait_ready("steady").await;
    let revoked = world.api_token("revoked").await;
    world.wait_ready("revoked").await;
    world.sim.fault(outage().host(steady.host()));
    world.sim.revoke(&revoked);
    world.advance(TimeDelta::minutes(70));
    operator.look_again(14).await;
    world
        .wait(
            "revoked",
            READY,
            ConditionStatus::Unknown,
            Reason::Confirming,
        )
        .await;
    gallery
        .take(
            &world,
            "revoked",
            "a surprising refusal, to be confirmed",
            "InProgress",
        )
        .await;
    let kept = world.wait_ready("steady").await;
    assert!(kept.status.unwrap().attempt.is_some(), "no probe was made");
    gallery
        .take(
            &world,
            "steady",
            "outage, published and lately validated",
            "InProgress",
        )
        .await;
    world.advance(TimeDelta::minutes(120));
    operator.look_again(14).await;
    world
        .wait(
            "steady",
            READY,
            ConditionStatus::Unknown,
            Reason::SiteUnavailable,
        )
        .await;
    gallery
        .take(
            &world,
            "steady",
            "outage, the last validation is too old",
            "InProgress",
        )
        .await;
    world.wait("revoked", READY, FALSE, Reason::Rejected).await;
    gallery
        .take(&world, "revoked", "a refusal that was confirmed", "Failed")
        .await;

    operator.stop().await;
    world
        .change("healthy", json!({"validation": {"interval": "2h"}}))
        .await;
    gallery
        .take(
            &world,
            "healthy",
            "spec changed, not yet observed",
            "InProgress",
        )
        .await;

    let hold = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    world
        .credentials()
        .patch("healthy", &PatchParams::default(), &hold)
        .await
        .unwrap();
    world
        .credentials()
        .delete("healthy", &DeleteParams::default())
        .await
        .unwrap();
    gallery
        .take(&world, "healthy", "being deleted", "Terminating")
        .await;
    let let_go = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world
        .credentials()
        .patch("healthy", &PatchParams::default(), &let_go)
        .await
        .unwrap();

    gallery.judge(&world).await;
}
