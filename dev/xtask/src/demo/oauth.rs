//! The steps about tokens that renew themselves.

use std::time::{Duration, Instant};

use atlassian_sim::{Consent, Fault, OAuthSettings, Rule, Spend, SpendOutcome};
use chrono::TimeDelta;
use jira_credential_operator::api::{GRANT_LABEL, JiraCredentialStatus};

use super::Demo;
use super::examples;
use crate::failure::{Outcome, While as _, fail};
use crate::operator::Operator;

/// How many times faster renewals go than with Atlassian: its hour is too long for a demo.
pub(crate) const PACE: i32 = 20;

/// The credential of the consent, its account and its Secret.
const NAME: &str = "sync-bot";
const EMAIL: &str = "sync-bot@acme.example";
const TARGET: &str = "sync-bot-jira";

/// The life of an access token, the leeway for a refresh token that was spent, and what is left to
/// an access token after the renewal.
const LIFE: TimeDelta = TimeDelta::seconds(30);

/// Longer than the life of a token: a renewal comes in between.
const WITHIN: Duration = Duration::from_secs(45);

/// What was there when the operator was killed.
pub(crate) struct Killed {
    /// The access token in the published Secret.
    token: Vec<u8>,
    /// The ledger's number of the renewal whose answer never arrived.
    spend: Spend,
    /// Who watches meanwhile.
    standby: Operator,
}

impl Demo<'_> {
    pub(crate) async fn service_account(&self) -> Outcome<((), String)> {
        let file = "client-credentials.yaml";
        let example = examples::read(&self.jira, file, None, TimeDelta::zero())?;
        self.ui.say(
            "A service account has a client id and a client secret, and asks for a token of an hour",
        );
        self.ui
            .say("whenever it needs one: nothing is spent, and no person is needed.");
        self.cluster
            .apply(&format!("deploy/examples/{file}"), &example.manifest)
            .await?;
        let jc = format!("jc/{}", example.name);
        let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=30s"];
        self.cluster.kubectl(&wait).await?;
        self.cluster.kubectl(&["get", &jc]).await?;
        let url = self.cluster.contents(&example.target).await?;
        let url = url.get("url").map(|url| String::from_utf8_lossy(&url.0));
        if url.as_deref() != Some(self.jira.cloud.gateway_url().as_str()) {
            return fail("the published url should be that of the gateway");
        }
        let result = "Ready; the published url is Atlassian's gateway".to_owned();
        Ok(((), result))
    }

    /// Both methods as Data Center has them.
    pub(crate) async fn at_data_center(&self) -> Outcome<((), String)> {
        let ui = self.ui;
        // Service accounts came with 11, where an administrator has to allow passwords.
        let jira = self.jira.data_center.clone().version("11.3.5").basic(true);
        ui.say("A Data Center gives tokens itself: after a person's consent to an application link, and from");
        ui.say("version 11 on to a service account. Pods use the site's own address.");
        let files = [
            ("oauth2-data-center.yaml", ("sync-bot", "portal-bot")),
            (
                "client-credentials-data-center.yaml",
                ("deploy-bot", "build-bot"),
            ),
        ];
        for (file, renamed) in files {
            let example = examples::read(&self.jira, file, Some(renamed), TimeDelta::zero())?;
            self.cluster
                .apply(&format!("deploy/examples/{file}"), &example.manifest)
                .await?;
            let jc = format!("jc/{}", example.name);
            let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=30s"];
            self.cluster.kubectl(&wait).await?;
            self.cluster.kubectl(&["get", &jc]).await?;
            let published = self.cluster.contents(&example.target).await?;
            let text = |key| {
                let value = published.get(key).map(|value| &*value.0);
                String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
            };
            let lives = self.jira.sim.access_token_lives(&text("token"));
            if text("url") != jira.url() || !lives || published.contains_key("refresh-token") {
                return fail("pods should get the site's address, a token that lives, and no more");
            }
        }
        let result = "Ready; the published url is that of the site".to_owned();
        Ok(((), result))
    }

    pub(crate) async fn consented(&self) -> Outcome<(Consent, String)> {
        let ui = self.ui;
        self.jira.sim.configure_oauth(|settings| {
            settings.access_life = LIFE;
            settings.leeway = LIFE;
            settings.overlap = LIFE;
        });
        ui.say("An access token of Atlassian's lives an hour. Each renewal spends the refresh token and brings");
        ui.say("another; the spent one is honoured for ten more minutes, and after that kills the consent.");
        ui.say(&format!(
            "From here on the hour and the ten minutes are {} s each, and tokens are renewed {} before",
            LIFE.num_seconds(),
            examples::RENEW_BEFORE
        ));
        ui.say("their end (spec.rotation.renewBefore).");
        let file = "oauth2.yaml";
        let example = examples::read(&self.jira, file, None, TimeDelta::zero())?;
        let Some(consent) = example.consent else {
            return fail(format!("{file} needs no consent"));
        };
        self.cluster
            .apply(&format!("deploy/examples/{file}"), &example.manifest)
            .await?;
        let jc = format!("jc/{NAME}");
        let wait = ["wait", "--for=condition=Ready", &jc, "--timeout=30s"];
        self.cluster.kubectl(&wait).await?;
        ui.say("The operator has spent the refresh token of the example, and keeps its successor here:");
        let label = format!("{GRANT_LABEL}=true");
        let listed = self
            .cluster
            .kubectl(&["get", "secrets", "-l", &label])
            .await?;
        let published = self.cluster.contents(TARGET).await?;
        if !listed.contains("jco-grant-") || published.contains_key("refresh-token") {
            return fail("a refresh token belongs into the operator's Secret, and nowhere else");
        }
        Ok((consent, "Ready; pods get the access token only".to_owned()))
    }

    pub(crate) async fn renewed(&self, consent: &Consent) -> Outcome<((), String)> {
        let before = self.token().await?;
        let columns = "custom-columns=NAME:.metadata.name,VALIDATED:.status.validatedFingerprint,EXPIRES:.status.expiresAt,NEXT RENEWAL:.status.nextRenewalTime";
        let jc = format!("jc/{NAME}");
        let show = ["get", &jc, "-o", columns];
        self.cluster.kubectl(&show).await?;
        self.ui.say("From here on nobody does anything.");
        self.until_renewed(&before).await?;
        self.settled().await?;
        self.cluster.kubectl(&show).await?;
        self.show_ledger(consent);
        Ok((
            (),
            "another token in the Secret, validated first".to_owned(),
        ))
    }

    pub(crate) async fn killed(&mut self, consent: &Consent) -> Outcome<(Killed, String)> {
        let ui = self.ui;
        let token = self.token().await?;
        let standby = Operator::start(self.standby).await?;
        ui.say(
            "Another replica stands by: it watches, and writes nothing while the first one leads.",
        );
        self.cluster
            .kubectl(&["get", "leases", "--all-namespaces"])
            .await?;
        let sim = &self.jira.sim;
        let rule = Rule::new(Fault::HangAfter)
            .host(sim.auth_host())
            .path("/oauth/token")
            .user(EMAIL);
        let fault = sim.fault(rule.once());
        ui.say("Atlassian carries out the next renewal, and its answer does not arrive.");
        tokio::time::timeout(WITHIN, fault.reached(1))
            .await
            .while_("waiting for the next renewal")?;
        ui.command(&format!("kill -KILL {}", self.operator.id()));
        self.operator.kill().await?;
        fault.remove();
        self.show_ledger(consent);
        let Some(spend) = sim.spends_of(consent.family()).pop() else {
            return fail("the ledger should hold a spend");
        };
        let carried_out = matches!(spend.outcome, SpendOutcome::Exchanged { .. });
        if spend.answered || !carried_out {
            return fail("the renewal should be carried out and not be answered");
        }
        ui.say("The stored refresh token is used, and its successor is lost. A script that asks again too");
        ui.say("late, or not at all, needs a person. Pods still have the token before:");
        let secret = format!("secret/{TARGET}");
        self.cluster.kubectl(&["get", &secret]).await?;
        if self.token().await? != token {
            return fail("the published Secret should hold the last validated token");
        }
        let result = format!("{} is spent, its successor is lost", spend.token);
        let killed = Killed {
            token,
            spend,
            standby,
        };
        Ok((killed, result))
    }

    pub(crate) async fn recovered(
        &mut self,
        consent: &Consent,
        killed: Killed,
    ) -> Outcome<((), String)> {
        let ui = self.ui;
        ui.say("The other replica leads when the lease has run out. What was to be spent was written down before:");
        ui.say(&format!(
            "it finds that, waits until the other is surely gone (90 s with Atlassian, {} s here), and spends",
            90.0 / f64::from(PACE)
        ));
        ui.say("the same token again.");
        let begun = Instant::now();
        let Killed {
            token,
            spend,
            standby,
        } = killed;
        self.operator = standby;
        self.until_renewed(&token).await?;
        self.cluster
            .kubectl(&["get", "leases", "--all-namespaces"])
            .await?;
        self.settled().await?;
        let took = begun.elapsed().as_secs_f64();
        let jc = format!("jc/{NAME}");
        self.cluster.kubectl(&["get", &jc]).await?;
        self.show_ledger(consent);
        self.is_whole(consent, &spend).await?;
        // What follows takes as long as it does with Atlassian.
        let usual = OAuthSettings::default();
        self.jira.sim.configure_oauth(|settings| *settings = usual);
        Ok((
            (),
            format!("the same consent goes on, {took:.1} s after the kill"),
        ))
    }

    /// Fails unless the lost answer was made up for by one replay, and nothing else happened.
    async fn is_whole(&self, consent: &Consent, lost: &Spend) -> Outcome {
        let spends = self.jira.sim.spends_of(consent.family());
        let replays: Vec<&Spend> = spends
            .iter()
            .filter(|spend| matches!(spend.outcome, SpendOutcome::Replayed { .. }))
            .collect();
        if !matches!(replays.as_slice(), [only] if only.token == lost.token) {
            return fail("the token of the lost answer should be replayed, once, and no other");
        }
        let harmless = |spend: &Spend| {
            matches!(
                spend.outcome,
                SpendOutcome::Exchanged { .. } | SpendOutcome::Replayed { .. }
            )
        };
        if !spends.iter().all(harmless) || !consent.is_alive() {
            return fail("the consent should live");
        }
        let status = self.status().await?;
        let grant = status.grant.unwrap_or_default();
        let contents = self.cluster.contents(&grant.name).await?;
        let stored = contents.get("grant").and_then(|text| {
            let grant: serde_json::Value = serde_json::from_slice(&text.0).ok()?;
            let token = grant.pointer("/live/refresh")?.as_str()?;
            Some(consent.can_exchange(token))
        });
        if stored != Some(true) {
            return fail("the stored refresh token should be one that Atlassian takes");
        }
        Ok(())
    }

    /// What became of the refresh tokens of a consent, as the simulator saw it.
    fn show_ledger(&self, consent: &Consent) {
        self.ui
            .say("What Atlassian's side has seen (refresh tokens by number):");
        for spend in self.jira.sim.spends_of(consent.family()) {
            let became = match &spend.outcome {
                SpendOutcome::Exchanged { successor } => format!("exchanged for {successor}"),
                SpendOutcome::Replayed { successor } => {
                    format!("replayed in time, exchanged for {successor}")
                }
                other => format!("{other:?}"),
            };
            let answer = if spend.answered {
                ""
            } else {
                ", the answer never arrived"
            };
            self.ui.output(&format!(
                "  {}  {:<6} {became}{answer}",
                spend.at.format("%H:%M:%S"),
                spend.token
            ));
        }
    }

    /// The published access token.
    async fn token(&self) -> Outcome<Vec<u8>> {
        let mut contents = self.cluster.contents(TARGET).await?;
        let token = contents.remove("token").map(|token| token.0);
        token.map_or_else(|| fail(format!("the Secret {TARGET} has no token")), Ok)
    }

    /// Waits until pods get another token than this one.
    async fn until_renewed(&self, before: &[u8]) -> Outcome {
        let begun = Instant::now();
        while self.token().await? == before {
            if begun.elapsed() > WITHIN {
                return fail(format!(
                    "the Secret {TARGET} should hold another token within {WITHIN:?}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until the status tells of what is published.
    async fn settled(&self) -> Outcome {
        let end = self.cluster.contents(TARGET).await?;
        let end = end.get("expiresAt").map(|end| end.0.clone());
        let begun = Instant::now();
        loop {
            let status = self.status().await?;
            let told = status
                .expires_at
                .map(|end| end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
            if told.map(String::into_bytes) == end {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(10) {
                return fail("the status should tell of the renewal within 10 s");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn status(&self) -> Outcome<JiraCredentialStatus> {
        self.cluster.status(NAME).await
    }
}
