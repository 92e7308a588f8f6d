//! What is shown, in its order.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::readers::{READERS, Reader, refused};
use super::{NAMESPACE, Stage, cluster};
use crate::demo::examples;
use crate::failure::{Outcome, fail};

/// The credential, and its Secret.
const NAME: &str = "sync-bot";
const SECRET: &str = "sync-bot-jira";

/// The life of an access token. The operator renews it when half of it is over, as `RENEW_BEFORE` has it, so
/// that the old one ends with the overlap and not before.
const LIFE: TimeDelta = TimeDelta::seconds(120);

/// `rotation.renewBefore` of the credential.
const RENEW_BEFORE: &str = "1m";

/// How long an access token works on after its renewal, in seconds.
const OVERLAP: u32 = 50;

/// How long a mounted file may take, on a busy machine: the kubelet here looks every 5 seconds.
const MOUNTED: Duration = Duration::from_secs(30);

/// A token is renewed before it is published, on a busy machine by so long.
const BEFORE_PUBLICATION: TimeDelta = TimeDelta::seconds(5);

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
        let since = ui
            .step("The token is renewed under them", self.renewed())
            .await?;
        ui.step("The node is drained", Box::pin(self.drain()))
            .await?;
        ui.step(
            "The new pod goes on with the same consent",
            self.goes_on(since),
        )
        .await
    }

    async fn publish(&self) -> Outcome<((), String)> {
        self.jira.sim.configure_oauth(|settings| {
            settings.access_life = LIFE;
            settings.overlap = TimeDelta::seconds(OVERLAP.into());
        });
        self.ui.say(&format!(
            "Atlassian's tokens live an hour, and ten minutes after a renewal; here {} and {} s.",
            LIFE.num_seconds(),
            OVERLAP
        ));
        let example = examples::read(self.jira, "oauth2.yaml", None, TimeDelta::zero())?;
        self.cluster
            .apply("deploy/examples/oauth2.yaml", &example.manifest)
            .await?;
        self.ui
            .say("What reads it by variable is named, so that the operator restarts it:");
        let restart = json!([{"kind": "Deployment", "name": Reader::Env.name()}]);
        let rotation = json!({"renewBefore": RENEW_BEFORE});
        let patch = json!({"spec": {"restart": restart, "rotation": rotation}}).to_string();
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

    /// Waits for a renewal, and until each reader has followed in its time. Returns when the new token was
    /// published.
    async fn renewed(&self) -> Outcome<(DateTime<Utc>, String)> {
        let old = self.until_logged_in(Reader::File, |_| true).await?;
        self.until_renewed().await?;
        let (begun, since) = (Instant::now(), self.jira.sim.clock().now());
        self.until_logged_in(Reader::File, |login| login.header != old)
            .await?;
        let took = begun.elapsed();
        // What was read once stays as it was, and works only as long as the old token lives.
        self.until_logged_in(Reader::SubPath, |login| login.header == old)
            .await?;
        self.until_logged_in(Reader::Env, |login| login.header != old)
            .await?;
        let restarted = begun.elapsed();
        let half = Duration::from_secs((OVERLAP / 2).into());
        for (what, took, most) in [
            ("the mounted file", took, MOUNTED),
            ("the restart", restarted, half),
        ] {
            if took > most {
                return fail(format!(
                    "{what} should follow within {most:?}, and took {took:?}"
                ));
            }
        }
        self.until_warned().await?;
        self.nobody_was_refused(since)?;
        let (took, restarted) = (took.as_secs_f64(), restarted.as_secs_f64());
        Ok((
            since,
            format!(
                "new token in the mounted file after {took:.1} s, in the restarted pod after {restarted:.1} s"
            ),
        ))
    }

    /// Waits for the event that names the reader which nothing restarts, and no other.
    async fn until_warned(&self) -> Outcome {
        let events = Api::<Event>::namespaced(self.plane.client()?, NAMESPACE);
        let begun = Instant::now();
        loop {
            let all = events.list(&ListParams::default()).await?.items;
            let mut warnings = all
                .into_iter()
                .filter(|event| event.reason.as_deref() == Some("ReadersNotRestarted"));
            if let Some(said) = warnings.next().and_then(|event| event.message) {
                self.ui.say(&said);
                let names = |reader: Reader| said.contains(reader.name());
                if names(Reader::SubPath) && !names(Reader::Env) && !names(Reader::File) {
                    return Ok(());
                }
                return fail(format!(
                    "the event should name {} alone: {said}",
                    Reader::SubPath.name()
                ));
            }
            if begun.elapsed() > cluster::PATIENCE {
                return fail("an event should name the reader that nothing restarts");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Fails if a login of any pod was refused, but those with what was mounted by `subPath` when the first
    /// token had ended.
    fn nobody_was_refused(&self, since: DateTime<Utc>) -> Outcome {
        let end = since + TimeDelta::seconds(OVERLAP.into()) - BEFORE_PUBLICATION;
        for reader in READERS {
            let excused = (reader == Reader::SubPath).then_some(end);
            let logins = self.logins(reader)?;
            if let Some(refused) = refused(&logins, excused) {
                return fail(format!(
                    "a login of {} was answered with {} at {}",
                    reader.name(),
                    refused.code,
                    refused.at
                ));
            }
        }
        Ok(())
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
    async fn goes_on(&self, since: DateTime<Utc>) -> Outcome<((), String)> {
        self.until_renewed().await?;
        self.ready().await?;
        let published = self.published().await?;
        if !(self.jira.sim).access_token_lives(&String::from_utf8_lossy(&published)) {
            return fail("the published token should live");
        }
        self.nobody_was_refused(since)?;
        let jc = format!("jc/{NAME}");
        self.cluster.kubectl(&["get", &jc]).await?;
        Ok(((), "the new pod has renewed the token; Ready".to_owned()))
    }
}
