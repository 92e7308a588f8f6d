//! Renew and keep: the one step with two effects, which nothing may cut in two.
//!
//! It runs as a task of its own. A reconcile that is dropped, a watch that breaks and a shutdown
//! leave it alone; it ends when the result is stored, or when it is certain that a newer attempt
//! has taken over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use crate::api::{Hosting, Reason};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterError, Found, Kept, Stored, UserAndPassword};
use crate::core::decide::renewal::takeover::wait_in_doubt;
use crate::core::decide::renewal::timing::SHORTEST_LIFE;
use crate::core::facts::{Denial, TimeScale};
use crate::core::grant::{Access, Grant, RenewalFailure, Replacement, Tokens};
use crate::core::probe::{Outage, outage_reason};
use crate::core::spec::{RenewalKind, RenewalPlan, Site};
use crate::core::time::{REFUSED_HEARTBEAT, backoff, later};
use crate::jira::{Granted, Jira, Provider, TokenAnswer, TokenRequest};

use crate::controller::renewal_registry::Running;

mod data_center;

pub(super) use data_center::{name_prefix, unlisted_reason};

/// A call to the token endpoint is cut after this time, far before another process takes over.
const CALL_LIMIT: TimeDelta = TimeDelta::seconds(30);

/// It does not start later than this after the intent was written: a process that watches may take
/// over then, while a call that is under way would still be answered.
const SENT_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// Times are whole seconds; less than this is no wait.
const GRAIN: TimeDelta = TimeDelta::seconds(2);

/// The first wait after an answer could not be stored, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often it is tried to store what nothing is lost with: that a renewal brought nothing, or a
/// token that can be asked for again.
const STORE_TRIES: u32 = 5;

/// One renewal.
pub(super) struct Renewing {
    pub(super) cluster: Cluster,
    pub(super) jira: Jira,
    pub(super) clock: Clock,
    pub(super) time_scale: TimeScale,
    /// Keeps the attempt in the register of those that run.
    pub(super) running: Running,
    /// The chain whose refresh token is spent.
    pub(super) origin: String,
    /// What is renewed, and where.
    pub(super) plan: RenewalPlan,
    /// The private authorities that are trusted there.
    pub(super) ca_pem: Option<Vec<u8>>,
    pub(super) secrets: Vec<SecretString>,
    /// Where to log in, or where to create a token.
    pub(super) site: Site,
    /// The user name and password of a login.
    pub(super) login: Option<UserAndPassword>,
    /// Whether Jira has ended what is replaced.
    pub(super) early: bool,
    /// What becomes of the access token that is replaced.
    pub(super) replacement: Replacement,
    /// Spreads what failed together.
    pub(super) uid: String,
    /// The grant with the intent in it; for client credentials as it was read, or a new one.
    pub(super) stored: Stored,
    /// Takes why an answer cannot be stored, for as long as nobody changes anything.
    pub(super) denied: tokio::sync::mpsc::Sender<Denial>,
}

/// What a renewal brought.
pub(super) struct Renewed {
    /// What it did not bring.
    pub(super) miss: Option<RenewalFailure>,
    /// Why there was no usable answer.
    pub(super) outage: Option<Outage>,
    /// The grant as it is stored now; `None` when another process has taken over.
    pub(super) stored: Option<Stored>,
    /// The word for metrics.
    pub(super) word: &'static str,
}

impl Renewing {
    /// Asks, and stores the answer.
    pub(super) async fn run(self) -> Renewed {
        match self.plan.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => self.ask_for_tokens().await,
            RenewalKind::Successor => self.mint().await,
            RenewalKind::Login => self.log_in().await,
        }
    }

    async fn ask_for_tokens(&self) -> Renewed {
        let chain = self.stored.grant.chain(&self.origin);
        let refresh = chain.and_then(|chain| chain.refresh.clone());
        let asked = self.clock.now();
        let answer = self.ask(refresh.as_ref()).await;
        let word = answer.word();
        let attempt = self.running.attempt().to_owned();
        tracing::debug!(attempt, outcome = word, "asked the token endpoint");
        match answer {
            TokenAnswer::Granted(granted) => {
                let tokens = self.tokens(granted, asked);
                let stored = self.keep(refresh.is_some(), &tokens).await;
                Renewed {
                    miss: None,
                    outage: None,
                    stored,
                    word,
                }
            }
            other => {
                let miss = miss(&other);
                let stored = self.write_miss(refresh.is_some(), miss, &other).await;
                Renewed {
                    miss: Some(miss),
                    outage: outage(&other),
                    stored,
                    word,
                }
            }
        }
    }

    /// Asks with one client secret after the other: a wrong one spends nothing.
    async fn ask(&self, refresh: Option<&Kept>) -> TokenAnswer {
        let limit = self.limit();
        let until = self.sent_until();
        let mut answer = TokenAnswer::ClientRejected;
        for secret in &self.secrets {
            let request = TokenRequest {
                endpoint: &self.plan.client.endpoint,
                provider: self.provider(),
                client_id: &self.plan.client.id,
                client_secret: secret,
                refresh_token: refresh.map(|kept| &kept.0),
                attempt: self.running.attempt(),
                limit,
                until,
            };
            answer = self.jira.tokens(&request).await;
            if !matches!(answer, TokenAnswer::ClientRejected) {
                break;
            }
        }
        answer
    }

    /// Until when a call may start that must not be made twice.
    fn sent_until(&self) -> Option<DateTime<Utc>> {
        let intent = self.stored.grant.intent.as_ref()?;
        Some(later(
            intent.started,
            self.time_scale.of(SENT_WITHIN).max(GRAIN),
        ))
    }

    /// After which time a call is cut.
    fn limit(&self) -> Duration {
        let limit = self.time_scale.of(CALL_LIMIT).to_std().unwrap_or_default();
        // However much a test hurries, an answer over a network takes some time.
        limit.max(Duration::from_secs(3))
    }

    fn provider(&self) -> Provider<'_> {
        match self.plan.hosting() {
            Hosting::Cloud => Provider::Atlassian,
            Hosting::DataCenter => Provider::DataCenter {
                ca_pem: self.ca_pem.as_deref(),
                redirect_uri: self.plan.redirect_uri.as_deref(),
                scopes: &self.plan.scopes,
            },
        }
    }

    fn tokens(&self, granted: Granted, asked: DateTime<Utc>) -> Tokens<Kept> {
        let life = TimeDelta::try_seconds(granted.expires_in).unwrap_or_default();
        if life < self.time_scale.of(SHORTEST_LIFE) {
            let (attempt, seconds) = (self.running.attempt(), granted.expires_in);
            tracing::warn!(
                attempt,
                seconds,
                "the token endpoint gave a token that lives shorter than a minute; it is renewed as if it lived a minute"
            );
        }
        let offline = granted
            .scopes
            .as_ref()
            .is_some_and(|scopes| scopes.iter().any(|scope| scope == "offline_access"));
        let told = granted.scopes.is_some();
        let spends = self
            .stored
            .grant
            .chain(&self.origin)
            .is_some_and(|chain| chain.refresh.is_some());
        Tokens {
            offline_missing: spends && granted.refresh.is_none() && told && !offline,
            access: Access {
                token: Kept(granted.access),
                obtained: asked,
                expires: later(asked, life),
                scopes: granted.scopes.unwrap_or_else(|| self.plan.scopes.clone()),
                id: None,
            },
            refresh: granted.refresh.map(Kept),
        }
    }

    /// Stores what was received, for as long as the process lives.
    async fn keep(&self, spends: bool, tokens: &Tokens<Kept>) -> Option<Stored> {
        let attempt = self.running.attempt();
        let asked = tokens.access.obtained;
        let change = |grant: &mut Grant<Kept>| {
            let origin = if spends {
                &self.origin
            } else {
                &self.plan.client.id
            };
            grant.set_aside(origin, &self.replacement, asked);
            if spends {
                grant.keep(&self.origin, attempt, tokens.clone());
            } else {
                grant.cache(self.plan.client.clone(), attempt, tokens.clone());
            }
        };
        // What can be asked for again is not worth a wait without end.
        let tries = (!spends).then_some(STORE_TRIES);
        self.write(spends, change, tries).await
    }

    /// Writes down that nothing came. If that fails, the intent still stands.
    async fn write_miss(
        &self,
        spends: bool,
        miss: RenewalFailure,
        answer: &TokenAnswer,
    ) -> Option<Stored> {
        let now = self.clock.now();
        let wait = self.wait_after(answer);
        let origin = if spends {
            &self.origin
        } else {
            &self.plan.client.id
        };
        let url = self.plan.redirect_uri.as_deref();
        let change = |grant: &mut Grant<Kept>| {
            grant.miss(origin, miss, now, later(now, wait));
            grant.refused_with(origin, url);
        };
        self.write(spends, change, Some(STORE_TRIES)).await
    }

    fn wait_after(&self, answer: &TokenAnswer) -> TimeDelta {
        let failures = self.stored.grant.failures.saturating_add(1);
        let usual = self.time_scale.of(backoff(failures, &self.uid));
        let intent = self.stored.grant.intent.as_ref();
        let in_doubt = answer.may_have_spent() || intent.is_some_and(|intent| intent.replay);
        let usual = if in_doubt {
            wait_in_doubt(&self.plan, usual, self.time_scale, &self.uid)
        } else {
            usual
        };
        match answer {
            TokenAnswer::ClientRejected | TokenAnswer::ScopeRefused | TokenAnswer::NotTaken => {
                self.time_scale.of(REFUSED_HEARTBEAT)
            }
            TokenAnswer::NoVerdict(outage) => outage.retry_delay(usual),
            TokenAnswer::Granted(_) | TokenAnswer::Dead | TokenAnswer::NotAllowed(_) => usual,
        }
    }

    /// Writes a change of the grant, provided that the intent in it is still ours. The latest
    /// attempt wins: what another attempt has started is newer than what we hold.
    async fn write(
        &self,
        spends: bool,
        change: impl Fn(&mut Grant<Kept>),
        tries: Option<u32>,
    ) -> Option<Stored> {
        let attempt = self.running.attempt();
        let mut current = self.stored.clone();
        let mut wait = FIRST_WAIT;
        let mut failures = 0_u32;
        loop {
            let mut next = current.clone();
            change(&mut next.grant);
            let error = match self.write_once(&next).await {
                Ok(stored) => return Some(stored),
                Err(error) => error,
            };
            let creates = next.metadata.resource_version.is_none();
            let gone = creates && matches!(error, ClusterError::NotFound);
            if gone || error.is_end_of_namespace() {
                tracing::error!(
                    attempt,
                    "the namespace is being deleted: a renewal is not stored"
                );
                return None;
            }
            match self.look(spends).await {
                Ok(Looked::Ours(fresh)) => current = *fresh,
                Ok(Looked::Stored(fresh)) => return Some(*fresh),
                Ok(Looked::Taken) => {
                    tracing::info!(
                        attempt,
                        "another renewal has taken over; discarding this result"
                    );
                    return None;
                }
                // A person deleted the grant: what is in memory is all there is.
                Ok(Looked::Gone) => current.metadata.resource_version = None,
                Err(lost) => tracing::warn!(attempt, error = %lost, "a renewal is not stored yet"),
            }
            failures = failures.saturating_add(1);
            let is_last = tries.is_some_and(|tries| failures >= tries);
            if let Some(denial) = error.denial().filter(|_| is_last || tries.is_none()) {
                // One that waits to be read is enough, and the reconcile that reads may be gone.
                let _ = self.denied.try_send(denial);
            }
            if is_last {
                tracing::warn!(attempt, %error, "the result of a renewal could not be stored");
                return None;
            }
            if !matches!(error, ClusterError::Conflict) {
                tracing::warn!(attempt, %error, "a renewal is not stored yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }

    async fn write_once(&self, next: &Stored) -> Result<Stored, ClusterError> {
        if next.metadata.resource_version.is_some() {
            self.cluster.put_grant(next).await
        } else {
            self.cluster.create_grant(next).await
        }
    }

    /// Looks who the grant speaks of now.
    async fn look(&self, spends: bool) -> Result<Looked, ClusterError> {
        let metadata = &self.stored.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let attempt = self.running.attempt();
        let fresh = match self.cluster.grant(namespace, name).await? {
            Found::Nothing => return Ok(Looked::Gone),
            Found::Other | Found::Later => return Err(ClusterError::AlreadyExists),
            Found::Grant(fresh) => fresh,
        };
        let grant = &fresh.grant;
        let intended = grant.intent.as_ref().map(|intent| intent.attempt.as_str());
        Ok(if grant.holds_result_of(attempt) {
            Looked::Stored(fresh)
        } else if intended == Some(attempt) || !spends {
            Looked::Ours(fresh)
        } else {
            Looked::Taken
        })
    }
}

/// What stands in the grant.
enum Looked {
    /// Our intent.
    Ours(Box<Stored>),
    /// What we wrote, though the answer was lost.
    Stored(Box<Stored>),
    /// Another attempt's doing.
    Taken,
    /// Nothing: it was deleted.
    Gone,
}

fn outage(answer: &TokenAnswer) -> Option<Outage> {
    match answer {
        TokenAnswer::NoVerdict(outage) => Some(*outage),
        _ => None,
    }
}

fn miss(answer: &TokenAnswer) -> RenewalFailure {
    let reason = match answer {
        TokenAnswer::Dead => return RenewalFailure::Dead,
        TokenAnswer::ClientRejected => Reason::ClientRejected,
        TokenAnswer::ScopeRefused => Reason::InsufficientScope,
        TokenAnswer::NoVerdict(outage) => outage_reason(*outage),
        TokenAnswer::NotAllowed(_) => Reason::HostNotAllowed,
        TokenAnswer::NotTaken | TokenAnswer::Granted(_) => Reason::SiteUnavailable,
    };
    if answer.may_have_spent() {
        RenewalFailure::Unknown(reason)
    } else {
        RenewalFailure::NotSpent(reason)
    }
}
