//! The steps of the demo, in their order.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use jira_credential_operator::api::ConditionType;
use serde_json::json;

use super::examples::{self, Example};
use super::{Cluster, Demo};
use crate::failure::{Outcome, fail};

/// How long the operator may take for what it does at once.
const SOON: Duration = Duration::from_secs(30);

/// The example whose token is revoked.
const REVOKED: &str = "ci-bot";

/// The example whose Secret is damaged.
const DAMAGED: &str = "release-bot-jira";

impl Demo<'_> {
    /// Shows one step after the other; stops at the first that is not as expected.
    pub(crate) async fn tell(&mut self) -> Outcome {
        let ui = self.ui;
        let examples = ui.step("Apply the examples", self.apply()).await?;
        for example in &examples {
            if let Some(token) = &example.token {
                self.cluster.uses(&example.name, token);
            }
        }
        ui.step(
            "Every credential is validated against Jira",
            self.all_ready(&examples),
        )
        .await?;
        ui.step(
            "Each became a Secret for pods to mount",
            self.keys(&examples),
        )
        .await?;
        ui.step("A consumer logs in with its files", self.consumed())
            .await?;
        let revoked = ui
            .step("Atlassian revokes a token", self.revoke(&examples))
            .await?;
        ui.step("A token that ends soon is flagged", self.flagged())
            .await?;
        ui.step("An edited Secret is restored", self.edited())
            .await?;
        ui.step("A deleted Secret is restored", self.deleted())
            .await?;
        ui.step("A tenant cannot borrow another's Secret", self.tenant())
            .await?;
        ui.step(
            "Client credentials of a service account",
            self.service_account(),
        )
        .await?;
        ui.step("A session for clients that send a cookie", self.session())
            .await?;
        ui.step("A personal access token replaces itself", self.replaced())
            .await?;
        ui.step("OAuth 2.0 of a Data Center", self.at_data_center())
            .await?;
        ui.step("A first consent, by login", self.login()).await?;
        let consent = ui
            .step("A person's consent to an OAuth 2.0 app", self.consented())
            .await?;
        ui.step(
            "The access token is renewed before it ends",
            self.renewed(&consent),
        )
        .await?;
        let killed = ui
            .step(
                "The leader is killed in the middle of a renewal",
                self.killed(&consent),
            )
            .await?;
        ui.step(
            "Another replica leads, and takes the renewal up",
            Box::pin(self.recovered(&consent, killed)),
        )
        .await?;
        ui.step("The refusal is confirmed", self.confirmed(&revoked))
            .await?;
        ui.step("An alert fires", self.alerted()).await?;
        let token = ui
            .step("A new token heals it", self.healed(&revoked))
            .await?;
        self.cluster.uses(REVOKED, &token);
        ui.step(
            "Deleting a credential takes its Secret along",
            self.collected(),
        )
        .await?;
        ui.step("The events of the operator", self.events()).await
    }

    async fn apply(&self) -> Outcome<(Vec<Example>, String)> {
        let namespace = self.cluster.namespace();
        self.cluster
            .kubectl(&["create", "namespace", namespace])
            .await?;
        let long = TimeDelta::days(200);
        let (token, pat, password, link) = (
            "api-token.yaml",
            "personal-access-token.yaml",
            "password.yaml",
            "oauth1.yaml",
        );
        let files = [
            (token, examples::read(&self.jira, token, None, long)?),
            (pat, examples::read(&self.jira, pat, None, long)?),
            (password, examples::read(&self.jira, password, None, long)?),
            (link, examples::read(&self.jira, link, None, long)?),
            (
                token,
                examples::read(
                    &self.jira,
                    token,
                    Some(("ci-bot", "nightly")),
                    TimeDelta::days(5),
                )?,
            ),
        ];
        self.ui.say("The examples of deploy/, with the addresses of the simulated sites and generated secrets;");
        self.ui
            .say("nightly is api-token.yaml once more, with a token that ends in 5 days.");
        for (file, example) in &files {
            self.cluster
                .apply(&format!("deploy/examples/{file}"), &example.manifest)
                .await?;
        }
        let examples: Vec<Example> = files.into_iter().map(|(_, example)| example).collect();
        let result = format!("{} JiraCredentials", examples.len());
        Ok((examples, result))
    }

    async fn all_ready(&self, examples: &[Example]) -> Outcome<((), String)> {
        let size = examples.len();
        // Whose it is, and which rights of an administrator it has.
        let calls = 2 * size;
        let wait = [
            "wait",
            "--for=condition=Ready",
            "jc",
            "--all",
            "--timeout=60s",
        ];
        self.cluster.kubectl(&wait).await?;
        self.cluster.kubectl(&["get", "jc"]).await?;
        let made = self.jira.sim.counters().total;
        if made != calls as u64 {
            return fail(format!(
                "{size} credentials should take {calls} calls to Jira, not {made}"
            ));
        }
        Ok(((), format!("{size} Ready, two calls to Jira each")))
    }

    async fn keys(&self, examples: &[Example]) -> Outcome<((), String)> {
        let mut keys = 0;
        for example in examples {
            self.ui.say(&format!("Secret {}", example.target));
            for (key, value) in self.cluster.contents(&example.target).await? {
                keys += 1;
                self.ui
                    .output(&format!("  {key:<14} ********  {} bytes", value.0.len()));
            }
        }
        Ok(((), format!("{keys} keys in {} Secrets", examples.len())))
    }

    async fn revoke(&self, examples: &[Example]) -> Outcome<(Revoked, String)> {
        let Some(example) = examples.iter().find(|example| example.name == REVOKED) else {
            return fail(format!("there is no example {REVOKED}"));
        };
        let contents = self.cluster.contents(&example.target).await?;
        self.jira
            .sim
            .revoke_id(example.token.as_deref().unwrap_or_default());
        self.ui.say(&format!(
            "The token of {REVOKED} is revoked at Atlassian. The operator would notice within"
        ));
        self.ui
            .say("validation.interval (15m); the annotation asks for a validation now.");
        let jc = format!("jc/{REVOKED}");
        self.cluster
            .kubectl(&["annotate", &jc, "jira-operator.dev/renew=now"])
            .await?;
        let message = self
            .cluster
            .until(REVOKED, ConditionType::Valid, "Unknown", "Confirming", SOON)
            .await?;
        self.ui
            .output(&format!("Valid=Unknown (Confirming): {message}"));
        self.ui.say("One refusal of a validated token may be a hiccup: the operator asks again a minute later.");
        let revoked = Revoked {
            target: example.target.clone(),
            contents,
            since: Instant::now(),
        };
        Ok((revoked, "Valid is Unknown (Confirming)".to_owned()))
    }

    async fn edited(&self) -> Outcome<((), String)> {
        let before = self.cluster.contents(DAMAGED).await?;
        let calls = self.jira.sim.counters().total;
        let patch =
            json!({ "stringData": { "token": "edited by hand", "extra": "x" } }).to_string();
        self.cluster
            .kubectl(&["patch", "secret", DAMAGED, "-p", &patch])
            .await?;
        self.cluster
            .until_secret(DAMAGED, "restored", |now| {
                now.is_some_and(|(data, _)| *data == before)
            })
            .await?;
        self.no_call_since(calls)?;
        Ok(((), "restored, without a call to Jira".to_owned()))
    }

    async fn deleted(&self) -> Outcome<((), String)> {
        let Some((before, uid)) = self.cluster.secret(DAMAGED).await? else {
            return fail(format!("there is no Secret {DAMAGED}"));
        };
        let calls = self.jira.sim.counters().total;
        self.cluster.kubectl(&["delete", "secret", DAMAGED]).await?;
        self.cluster
            .until_secret(DAMAGED, "created again", |now| {
                now.is_some_and(|(data, new)| *data == before && *new != uid)
            })
            .await?;
        self.no_call_since(calls)?;
        Ok(((), "created again, without a call to Jira".to_owned()))
    }

    fn no_call_since(&self, before: u64) -> Outcome {
        match self.jira.sim.counters().total - before {
            0 => Ok(()),
            calls => fail(format!(
                "{calls} calls to Jira were made, and none was needed"
            )),
        }
    }

    async fn tenant(&self) -> Outcome<((), String)> {
        let role = "--clusterrole=jira-credential-operator-edit";
        self.cluster
            .kubectl(&["create", "rolebinding", "mallory", role, "--user=mallory"])
            .await?;
        self.ui.say("mallory may write JiraCredentials, but read no Secret. He names one that he cannot read:");
        let manifest = json!({
            "apiVersion": "jira-operator.dev/v1alpha1",
            "kind": "JiraCredential",
            "metadata": { "name": "borrowed" },
            "spec": {
                "site": self.jira.cloud.url(),
                "auth": { "apiToken": {
                    "email": "mallory@acme.example",
                    "tokenSecretRef": { "name": "ci-bot-token", "key": "token" },
                } },
                "targets": [{ "name": "loot" }],
            },
        });
        let said = self
            .cluster
            .run(
                &["create", "--as=mallory", "-f", "-"],
                &manifest.to_string(),
            )
            .await?;
        self.ui.output(&said.text);
        if said.well || !said.text.contains("you may not use Secret ci-bot-token") {
            return fail("the admission policy should have refused it");
        }
        Ok(((), "refused by the admission policy".to_owned()))
    }

    async fn collected(&self) -> Outcome<((), String)> {
        self.cluster.kubectl(&["delete", "jc/sync"]).await?;
        self.cluster
            .until_secret("sync-jira", "collected", |now| now.is_none())
            .await?;
        self.cluster.contents("sync-login").await?;
        Ok((
            (),
            "sync-jira is gone, the source sync-login is left alone".to_owned(),
        ))
    }

    async fn events(&self) -> Outcome<((), String)> {
        let columns =
            "custom-columns=TYPE:.type,REASON:.reason,OBJECT:.involvedObject.name,NOTE:.message";
        let sort = "--sort-by=.metadata.resourceVersion";
        let list = self
            .cluster
            .kubectl(&["get", "events", sort, "-o", columns])
            .await?;
        self.cluster.kubectl(&["get", "jc"]).await?;
        let told = list.lines().count().saturating_sub(1);
        if told == 0 {
            return fail("there should be events");
        }
        Ok(((), format!("{told} events, on transitions only")))
    }
}

/// A token that was revoked, and what its Secret held until then.
pub(crate) struct Revoked {
    pub(crate) target: String,
    pub(crate) contents: super::cluster::Data,
    pub(crate) since: Instant,
}

impl Revoked {
    /// The name of the credential.
    pub(crate) const NAME: &'static str = REVOKED;

    /// Fails unless the Secret is as it was.
    pub(crate) async fn is_kept(&self, cluster: &Cluster<'_>) -> Outcome {
        if cluster.contents(&self.target).await? == self.contents {
            return Ok(());
        }
        fail(format!(
            "the Secret {} should keep the last good value",
            self.target
        ))
    }
}
