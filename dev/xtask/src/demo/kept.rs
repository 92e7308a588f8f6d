//! The steps about what Data Center keeps until it is ended.

use std::time::Duration;

use chrono::TimeDelta;

use super::Demo;
use super::examples;
use super::oauth::PACE;
use crate::failure::{Outcome, fail};

/// The example whose token replaces itself, its user and its Secret.
const FILE: &str = "personal-access-token-automatic.yaml";
const USER: &str = "mirror-bot";
const TARGET: &str = "mirror-bot-jira";

/// How long a successor may take to be made and published, and what it replaced to be revoked.
const WITHIN: Duration = Duration::from_secs(45);

impl Demo<'_> {
    pub(crate) async fn session(&self) -> Outcome<((), String)> {
        let file = "session.yaml";
        let example = examples::read(&self.jira, file, None, TimeDelta::zero())?;
        self.ui
            .say("The operator logs in, and pods get the cookie; they never see the password.");
        self.cluster
            .apply(&format!("deploy/examples/{file}"), &example.manifest)
            .await?;
        let jc = format!("jc/{}", example.name);
        let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=30s"];
        self.cluster.kubectl(&wait).await?;
        self.cluster.kubectl(&["get", &jc]).await?;
        let published = self.cluster.contents(&example.target).await?;
        let keys: Vec<&str> = published.keys().map(String::as_str).collect();
        self.ui.output(&format!("  {}", keys.join(", ")));
        let sessions = self.jira.data_center.live_sessions();
        if !published.contains_key("cookie") || published.contains_key("password") || sessions != 1
        {
            return fail("pods should get the cookie of one session and no password");
        }
        Ok(((), "Ready; one login, one session".to_owned()))
    }

    pub(crate) async fn replaced(&self) -> Outcome<((), String)> {
        let example = examples::read(&self.jira, FILE, None, TimeDelta::zero())?;
        let Some(token) = &example.token else {
            return fail(format!("{FILE} needs a token"));
        };
        // It was made 80 days ago, for 90 days.
        let now = self.jira.sim.clock().now();
        let (made, ends) = (now - TimeDelta::days(80), now + TimeDelta::days(10));
        self.jira.data_center.set_token_life(token, made, ends);
        self.ui.say("The token was made 80 days ago and ends in 10: it is time for its successor. What was replaced");
        self.ui.say(&format!(
            "is revoked 5 minutes after the new one is published; here the minutes are {PACE} times shorter."
        ));
        self.cluster
            .apply(&format!("deploy/examples/{FILE}"), &example.manifest)
            .await?;
        let first = self.jira.data_center.pats_of(USER);
        self.cluster
            .until_secret(TARGET, "published", |now| now.is_some())
            .await?;
        let jc = format!("jc/{}", example.name);
        let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=30s"];
        self.cluster.kubectl(&wait).await?;
        let deadline = tokio::time::Instant::now() + WITHIN;
        let mut shown = 0;
        let left = loop {
            let pats = self.jira.data_center.pats_of(USER);
            if pats.len() != shown {
                shown = pats.len();
                let names: Vec<&str> = pats.iter().map(|pat| pat.name.as_str()).collect();
                self.ui
                    .output(&format!("  tokens in Jira: {}", names.join(", ")));
            }
            let replaced = pats.len() == 1 && pats != first;
            if replaced || tokio::time::Instant::now() >= deadline {
                break pats;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        self.cluster.kubectl(&["get", &jc]).await?;
        let published = self.cluster.contents(TARGET).await?;
        let token = published
            .get("token")
            .map(|token| String::from_utf8_lossy(&token.0).into_owned());
        let works = token.is_some_and(|token| self.jira.data_center.accepts(&token));
        if left.len() != 1 || left == first || !works {
            return fail("one successor should have taken the place of the token");
        }
        Ok((
            (),
            "the successor is in use, the one before it revoked".to_owned(),
        ))
    }
}
