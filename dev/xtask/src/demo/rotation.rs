//! The steps about credentials that come to their end.

use std::time::Duration;

use jira_credential_operator::api::ConditionType;
use serde_json::json;

use super::Demo;
use super::story::Revoked;
use crate::failure::Outcome;

impl Demo<'_> {
    pub(crate) async fn flagged(&self) -> Outcome<((), String)> {
        let soon = Duration::from_secs(30);
        let message = self
            .cluster
            .until(
                "nightly",
                ConditionType::RotationDue,
                "True",
                "ExpiresSoon",
                soon,
            )
            .await?;
        let path = "jsonpath={.status.conditions[?(@.type==\"RotationDue\")].message}";
        self.cluster
            .kubectl(&["get", "jc/nightly", "-o", path])
            .await?;
        self.cluster
            .until("nightly", ConditionType::Ready, "True", "Validated", soon)
            .await?;
        let result = if message.is_empty() {
            "without a message"
        } else {
            "RotationDue, and still Ready"
        };
        Ok(((), result.to_owned()))
    }

    /// The second probe, a minute after the first.
    pub(crate) async fn confirmed(&self, revoked: &Revoked) -> Outcome<((), String)> {
        let left = Duration::from_secs(60)
            .saturating_sub(revoked.since.elapsed())
            .as_secs();
        self.ui.say(&format!(
            "The second probe of {} comes 60 s after the first, also when the operator was started",
            Revoked::NAME
        ));
        self.ui.say(&format!("again in between: in {left} s."));
        let jc = format!("jc/{}", Revoked::NAME);
        self.cluster
            .kubectl(&["wait", "--for=condition=Valid=False", &jc, "--timeout=100s"])
            .await?;
        let (_, reason, message) = self
            .cluster
            .condition(Revoked::NAME, ConditionType::Valid)
            .await?;
        self.ui
            .output(&format!("Valid=False ({reason}): {message}"));
        revoked.is_kept(&self.cluster).await?;
        self.cluster.kubectl(&["get", "jc"]).await?;
        Ok((
            (),
            "Valid is False, the Secret keeps the last good value".to_owned(),
        ))
    }

    /// Returns the id of the new token.
    pub(crate) async fn healed(&self, revoked: &Revoked) -> Outcome<(String, String)> {
        let token = self.jira.cloud.api_token("bot@acme.example");
        self.ui
            .say("A person creates a new token and stores it where the old one was:");
        let shown = format!(
            "kubectl apply -n {} -f ci-bot-token.yaml",
            self.cluster.namespace()
        );
        self.ui.command(&shown);
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "ci-bot-token" },
            "stringData": { "token": token.secret() },
        });
        self.cluster.store(&secret.to_string()).await?;
        let wait = [
            "wait",
            "--for=condition=Ready",
            "jc/ci-bot",
            "--timeout=30s",
        ];
        self.cluster
            .until_secret(&revoked.target, "updated", |now| {
                now.is_some_and(|(data, _)| {
                    data.get("token")
                        .is_some_and(|value| value.0 == token.secret().as_bytes())
                })
            })
            .await?;
        self.cluster.kubectl(&wait).await?;
        Ok((
            token.id().to_owned(),
            "Ready again, the Secret holds the new token".to_owned(),
        ))
    }
}
