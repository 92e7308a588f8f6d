//! What is shown, in its order.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;

use super::readers::{READERS, Reader};
use super::{Stage, cluster};
use crate::demo::examples;
use crate::failure::{Outcome, fail};

/// The credential, and its Secret.
const NAME: &str = "sync-bot";
const SECRET: &str = "sync-bot-jira";

/// The life of an access token: the operator renews it when half of it is over.
const LIFE: TimeDelta = TimeDelta::seconds(100);

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
        ui.step("The token is renewed under them", self.renewed())
            .await?;
        ui.step("The node is drained", Box::pin(self.drain()))
            .await?;
        ui.step("The new pod goes on with the same consent", self.goes_on())
            .await
    }

    async fn publish(&self) -> Outcome<((), String)> {
        self.jira.sim.configure_oauth(|settings| {
            settings.access_life = LIFE;
            settings.overlap = LIFE / 2;
        });
        self.ui.say(&format!(
            "Atlassian's tokens live an hour, and ten minutes after a renewal; here {} and {} s.",
            LIFE.num_seconds(),
            LIFE.num_seconds() / 2
        ));
        let example = examples::read(self.jira, "oauth2.yaml", None, TimeDelta::zero())?;
        self.cluster
            .apply("deploy/examples/oauth2.yaml", &example.manifest)
            .await?;
        self.ui
            .say("What reads it by variable is named, so that the operator restarts it:");
        let restart = json!([{"kind": "Deployment", "name": Reader::Env.name()}]);
        let patch = json!({"spec": {"restart": restart}}).to_string();
        let jc = format!("jc/{NAME}");
        let patch = ["patch", &jc, "--type=merge", "--patch", &patch];
        self.cluster.kubectl(&patch).await?;
        self.ready().await?;
        Ok(((), "Ready".to_owned()))
    }

    async fn ready(&self) -> Outcome {
        let jc = format!("jc/{NAME}");
        let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=60s"];
        self.cluster.kubectl(&wait).await?;
        Ok(())
    }

    /// Waits for a renewal, and until the files of a mounted volume hold the new token. Every login until
    /// then must have been accepted.
    async fn renewed(&self) -> Outcome<((), String)> {
        let old = self.until_logged_in(Reader::File, |_| true).await?;
        self.until_renewed().await?;
        let begun = Instant::now();
        self.until_logged_in(Reader::File, |login| login.header != old)
            .await?;
        let took = begun.elapsed().as_secs_f64();
        // What was read once stays as it was, and works only as long as the old token lives.
        self.until_logged_in(Reader::SubPath, |login| login.header == old)
            .await?;
        self.until_logged_in(Reader::Env, |login| login.header != old)
            .await?;
        let restarted = begun.elapsed().as_secs_f64();
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
        Ok((
            (),
            format!(
                "new token in the mounted file after {took:.1} s, in the restarted pod after {restarted:.1} s"
            ),
        ))
    }

    /// Waits until another token is published than now.
    async fn until_renewed(&self) -> Outcome {
        let before = self.published().await?;
        let begun = Instant::now();
        while self.published().await? == before {
            if begun.elapsed() > cluster::PATIENCE {
                return fail("the token should have been renewed by now");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
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
        self.until_renewed().await?;
        self.ready().await?;
        let published = self.published().await?;
        if !(self.jira.sim).access_token_lives(&String::from_utf8_lossy(&published)) {
            return fail("the published token should live");
        }
        let jc = format!("jc/{NAME}");
        self.cluster.kubectl(&["get", &jc]).await?;
        Ok(((), "the new pod has renewed the token; Ready".to_owned()))
    }
}
