//! What is shown, in its order.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::Stage;
use super::readers::{READERS, Reader};
use crate::demo::examples;
use crate::failure::{Outcome, fail};

/// The credential, and its Secret.
const NAME: &str = "sync-bot";
const SECRET: &str = "sync-bot-jira";

impl Stage<'_> {
    pub(super) async fn tell(&self, archive: &Path) -> Outcome {
        let ui = self.ui;
        ui.step("Load the image", async {
            self.node.load(archive).await?;
            Ok(((), archive.display().to_string()))
        })
        .await?;
        ui.step("Run the operator as a pod", self.install()).await?;
        ui.step("Publish an OAuth 2.0 token", self.publish())
            .await?;
        ui.step("Pods mount it", self.start_readers(SECRET)).await?;
        ui.step("The token is renewed under them", self.renew("1"))
            .await?;
        ui.step("The node is drained", Box::pin(self.drain()))
            .await?;
        ui.step("The new pod goes on with the same consent", self.goes_on())
            .await
    }

    async fn publish(&self) -> Outcome<((), String)> {
        let example = examples::read(self.jira, "oauth2.yaml", None, TimeDelta::zero())?;
        self.cluster
            .apply("deploy/examples/oauth2.yaml", &example.manifest)
            .await?;
        self.ready().await?;
        Ok(((), "Ready".to_owned()))
    }

    async fn ready(&self) -> Outcome {
        let jc = format!("jc/{NAME}");
        let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=60s"];
        self.cluster.kubectl(&wait).await?;
        Ok(())
    }

    /// Asks for a renewal, and waits until the files of a mounted volume hold the new token. Every login
    /// until then must have been accepted.
    async fn renew(&self, value: &str) -> Outcome<((), String)> {
        let before = self.published().await?;
        let old = self.until_logged_in(Reader::File, |_| true).await?;
        let annotation = format!("jira-operator.dev/renew={value}");
        let jc = format!("jc/{NAME}");
        let annotate = ["annotate", "--overwrite", &jc, &annotation];
        self.cluster.kubectl(&annotate).await?;
        self.cluster
            .until_secret(SECRET, "replaced", |secret| {
                secret.is_some_and(|(data, _)| {
                    data.get("token").map(|token| &token.0) != Some(&before)
                })
            })
            .await?;
        let begun = Instant::now();
        self.until_logged_in(Reader::File, |login| login.header != old)
            .await?;
        let took = begun.elapsed().as_secs_f64();
        for reader in READERS {
            let logins = self.logins(reader).await?;
            if let Some(refused) = logins.iter().find(|login| login.code != "200") {
                let name = reader.name();
                return fail(format!(
                    "a login of {name} was answered with {}",
                    refused.code
                ));
            }
        }
        // What was read once stays as it was, and works only as long as the old token lives.
        for reader in [Reader::Env, Reader::SubPath] {
            self.until_logged_in(reader, |login| login.header == old)
                .await?;
        }
        Ok((
            (),
            format!("the mounted file has the new token after {took:.1} s, no login failed"),
        ))
    }

    async fn published(&self) -> Outcome<Vec<u8>> {
        let mut data = self.cluster.contents(SECRET).await?;
        let token = data.remove("token");
        token.map_or_else(
            || fail(format!("{SECRET} has no token")),
            |token| Ok(token.0),
        )
    }

    /// The pod that came after the drain renews, too: nothing was lost with the one before.
    async fn goes_on(&self) -> Outcome<((), String)> {
        // A renewal that a person asks for waits five minutes after the one before; a validation does not.
        let before = self.cluster.status(NAME).await?.last_validated_time;
        let jc = format!("jc/{NAME}");
        let annotate = ["annotate", "--overwrite", &jc, "jira-operator.dev/renew=2"];
        self.cluster.kubectl(&annotate).await?;
        let begun = Instant::now();
        while self.cluster.status(NAME).await?.last_validated_time == before {
            if begun.elapsed() > Duration::from_secs(60) {
                return fail("the new pod should have validated the credential by now");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.ready().await?;
        Ok(((), "validated by the new pod, Ready".to_owned()))
    }
}
