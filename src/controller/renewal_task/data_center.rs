//! What Jira Data Center keeps until it is ended: a login starts a session, and a personal
//! access token makes its own successor.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use crate::api::Reason;
use crate::cluster::{Kept, UserAndPassword};
use crate::controller::renewal_task::{Renewed, Renewing, STORE_TRIES};
use crate::core::decide::renewal::pat::USUAL_LIFE;
use crate::core::grant::{Access, Chain, ENDLESS, Grant, Listed, RenewalFailure};
use crate::core::probe::{Cause, Outage, Refusal, Verdict, outage_reason};
use crate::core::time::{REFUSED_HEARTBEAT, backoff, later};
use crate::jira::{
    Denied, Login, LoginAnswer, Made, MintAnswer, Owner, Place, Refused, TokensError, silence,
};

/// A session ends after so long without a call, as Jira comes (reported); an administrator may have
/// set another time.
const SESSION_LIVES: TimeDelta = TimeDelta::hours(5);

/// Lives that are tried one after the other where an administrator allows no longer ones, in days.
const SHORTER_LIVES: [i64; 6] = [365, 180, 90, 30, 7, 1];

/// What the names of the tokens start with that a grant has made. With the name of an attempt they
/// have 37 characters; Jira allows 40 (read in the plug-in by others).
pub(in crate::controller) fn name_prefix(grant_uid: &str) -> String {
    let short: String = grant_uid.chars().take(8).collect();
    format!("jco-{short}-")
}

/// What a renewal did not bring, and how long to wait.
struct Nothing {
    miss: RenewalFailure,
    outage: Option<Outage>,
    wait: TimeDelta,
    word: &'static str,
}

impl Renewing {
    /// The site that issues tokens and sessions.
    fn place(&self) -> Place<'_> {
        Place {
            site: &self.site,
            ca_pem: self.ca_pem.as_deref(),
            limit: self.limit(),
            until: None,
        }
    }

    /// The same until another process may have taken over: each would create one, and what is
    /// in a later list may be what the other has made.
    fn in_time(&self) -> Place<'_> {
        Place {
            until: self.sent_until(),
            ..self.place()
        }
    }

    fn backoff(&self, outage: Outage) -> TimeDelta {
        let failures = self.stored.grant.failures.saturating_add(1);
        let usual = self.time_scale.of(backoff(failures, &self.uid));
        outage.retry_delay(usual)
    }

    fn missed(&self, verdict: &Verdict, word: &'static str) -> Nothing {
        let (miss, wait) = match verdict {
            Verdict::NoVerdict(outage) => {
                let reason = outage_reason(*outage);
                // What Jira takes for a forgery it does not process.
                let processed = *outage != Outage::CrossSiteCheck;
                let miss = if processed && outage.may_have_arrived() {
                    RenewalFailure::Unknown(reason)
                } else {
                    RenewalFailure::NotSpent(reason)
                };
                (miss, self.backoff(*outage))
            }
            Verdict::NotAllowed(_) => (
                RenewalFailure::NotSpent(Reason::HostNotAllowed),
                self.time_scale.of(REFUSED_HEARTBEAT),
            ),
            Verdict::Accepted(_) | Verdict::Refused(_) => (
                RenewalFailure::NotSpent(Reason::RotationFailed),
                self.time_scale.of(REFUSED_HEARTBEAT),
            ),
        };
        let outage = match verdict {
            Verdict::NoVerdict(outage) => Some(*outage),
            _ => None,
        };
        Nothing {
            miss,
            outage,
            wait,
            word,
        }
    }

    fn denied(&self, denied: Denied) -> Nothing {
        Nothing {
            miss: RenewalFailure::NotSpent(denial_reason(denied)),
            outage: None,
            wait: self.time_scale.of(REFUSED_HEARTBEAT),
            word: denied.word(),
        }
    }

    async fn write_nothing(&self, nothing: Nothing) -> Renewed {
        let Nothing {
            miss,
            outage,
            wait,
            word,
        } = nothing;
        let now = self.clock.now();
        let change = |grant: &mut Grant<Kept>| {
            grant.miss(&self.origin, miss, now, later(now, wait));
            if self.login.is_some() && matches!(miss, RenewalFailure::NotSpent(_)) {
                grant.login_not_sent(&self.origin);
            }
        };
        let stored = self.write(true, change, Some(STORE_TRIES)).await;
        Renewed {
            miss: Some(miss),
            outage,
            stored,
            word,
        }
    }

    /// Begins a session, and stores its cookie.
    pub(super) async fn log_in(&self) -> Renewed {
        let Some(UserAndPassword { user, password }) = &self.login else {
            return self
                .write_nothing(self.missed(&UNREADABLE, "not_taken"))
                .await;
        };
        let asked = self.clock.now();
        let login = Login {
            place: self.in_time(),
            user,
            password,
        };
        let answer = self.jira.log_in(&login).await;
        let word = answer.word();
        match answer {
            LoginAnswer::Begun(cookie) => self.keep_session(cookie, asked, word).await,
            LoginAnswer::Refused(refused) => {
                let miss = RenewalFailure::Refused(refusal_reason(refused));
                let wait = TimeDelta::zero();
                self.write_nothing(Nothing {
                    miss,
                    outage: None,
                    wait,
                    word,
                })
                .await
            }
            LoginAnswer::Silent(verdict) => self.write_nothing(self.missed(&verdict, word)).await,
        }
    }

    async fn keep_session(
        &self,
        cookie: SecretString,
        asked: DateTime<Utc>,
        word: &'static str,
    ) -> Renewed {
        let access = Access {
            token: Kept(cookie.clone()),
            obtained: asked,
            expires: later(asked, self.time_scale.of(SESSION_LIVES)),
            scopes: Vec::new(),
            id: None,
        };
        let attempt = self.running.attempt();
        let change = |grant: &mut Grant<Kept>| {
            grant.keep_session(&self.origin, attempt, access.clone(), self.early);
        };
        let stored = self.write(true, change, None).await;
        if stored.is_none() {
            // A newer attempt has another one, so this one is never used.
            let ended = self.jira.log_out(&self.place(), &cookie).await;
            tracing::debug!(
                ended = ended.is_ok(),
                "asked Jira to log out a session that is not needed"
            );
        }
        Renewed {
            miss: None,
            outage: None,
            stored,
            word,
        }
    }

    /// Has the token make its successor, and stores it. What earlier attempts left behind goes
    /// first: it has no other owner, and eats the account's slots.
    pub(super) async fn mint(&self) -> Renewed {
        let chain = self.stored.grant.chain(&self.origin);
        let Some(access) = chain.and_then(|chain| chain.access.clone()) else {
            return self
                .write_nothing(self.missed(&UNREADABLE, "not_taken"))
                .await;
        };
        let owner = Owner {
            place: self.in_time(),
            token: &access.token.0,
        };
        let listed = match self.jira.list_tokens(&owner).await {
            Ok(listed) => listed,
            Err(TokensError::Denied(denied)) => {
                return self.write_nothing(self.denied(denied)).await;
            }
            Err(TokensError::Silent(verdict)) => {
                // Nothing was made.
                let mut nothing = self.missed(&verdict, silence(&verdict));
                if let RenewalFailure::Unknown(reason) = nothing.miss {
                    nothing.miss = RenewalFailure::NotSpent(reason);
                }
                return self.write_nothing(nothing).await;
            }
        };
        self.revoke_strays(&owner, &listed).await;
        match self.mint_within(&owner, &access).await {
            Ok((made, word)) => self.keep_successor(made, &listed, word).await,
            Err(nothing) => self.write_nothing(nothing).await,
        }
    }

    async fn revoke_strays(&self, owner: &Owner<'_>, listed: &[Listed]) {
        let prefix = name_prefix(self.stored.metadata.uid.as_deref().unwrap_or_default());
        for token in self.stored.grant.strays(listed, &prefix) {
            let revoked = self.jira.revoke(owner, &token.id).await;
            let done = revoked.is_ok();
            tracing::info!(
                done,
                "asked Jira to revoke a token that an earlier attempt left behind"
            );
        }
    }

    /// Asks for the life that is wished, and for less where that is not allowed.
    async fn mint_within(
        &self,
        owner: &Owner<'_>,
        access: &Access<Kept>,
    ) -> Result<(Made, &'static str), Nothing> {
        let prefix = name_prefix(self.stored.metadata.uid.as_deref().unwrap_or_default());
        let name = format!("{prefix}{}", self.running.attempt());
        let wish = self.wished_days(access);
        let shorter = SHORTER_LIVES.into_iter().filter(|days| *days < wish);
        for days in std::iter::once(wish).chain(shorter) {
            let answer = self.jira.mint(owner, &name, days).await;
            let word = answer.word();
            return match answer {
                MintAnswer::Made(made) => Ok((made, word)),
                MintAnswer::NotTaken => continue,
                MintAnswer::Denied(denied) => Err(self.denied(denied)),
                MintAnswer::Silent(verdict) => Err(self.missed(&verdict, word)),
            };
        }
        Err(Nothing {
            word: "not_taken",
            ..self.denied(Denied::Forbidden)
        })
    }

    fn wished_days(&self, access: &Access<Kept>) -> i64 {
        let life = (access.expires < ENDLESS && access.id.is_some())
            .then(|| access.expires - access.obtained);
        let wish = self.plan.stated.max_age.or(life).unwrap_or(USUAL_LIFE);
        // A broken day counts whole: a token of a few hours is none to be rotated.
        let days = wish.num_seconds().saturating_add(86_399) / 86_400;
        days.clamp(1, 3650)
    }

    async fn keep_successor(&self, made: Made, listed: &[Listed], word: &'static str) -> Renewed {
        let now = self.clock.now();
        let access = Access {
            token: Kept(made.token.clone()),
            obtained: now,
            expires: made.expires.unwrap_or(ENDLESS),
            scopes: Vec::new(),
            id: Some(made.id.clone()),
        };
        let attempt = self.running.attempt();
        let prefix = name_prefix(self.stored.metadata.uid.as_deref().unwrap_or_default());
        let change = |grant: &mut Grant<Kept>| {
            if grant.chain(&self.origin).is_some_and(Chain::is_sought) {
                let end = self.plan.stated.end;
                grant.identify(&self.origin, listed, &prefix, end, now);
            }
            grant.keep_successor(&self.origin, attempt, access.clone());
        };
        let stored = self.write(true, change, None).await;
        // The chain may be gone: another token took its place while this one was made.
        let kept = stored.as_ref();
        let kept = kept.is_some_and(|stored| stored.grant.holds_result_of(attempt));
        if !kept {
            self.revoke_own(&made).await;
        }
        Renewed {
            miss: None,
            outage: None,
            stored,
            word,
        }
    }

    /// Nothing uses what was made here.
    async fn revoke_own(&self, made: &Made) {
        let owner = Owner {
            place: self.place(),
            token: &made.token,
        };
        let revoked = self.jira.revoke(&owner, &made.id).await;
        let done = revoked.is_ok();
        tracing::info!(done, "asked Jira to revoke a token that is not needed");
    }
}

/// Nothing was there to be sent.
const UNREADABLE: Verdict = Verdict::Refused(Refusal::Rejected);

fn refusal_reason(refused: Refused) -> Reason {
    match refused {
        Refused::As(refusal) => Cause::Jira(refusal).reason(),
        Refused::MoreWanted => Reason::LoginDenied,
    }
}

fn denial_reason(denied: Denied) -> Reason {
    match denied {
        Denied::LimitReached => Reason::TokenLimitReached,
        Denied::Forbidden => Reason::MintingForbidden,
        Denied::Absent => Reason::MintingUnsupported,
        Denied::As(refusal) => Cause::Jira(refusal).reason(),
    }
}

/// Why the list of an account's tokens could not be read.
pub(in crate::controller) fn unlisted_reason(error: &TokensError) -> Reason {
    match error {
        TokensError::Denied(denied) => denial_reason(*denied),
        TokensError::Silent(Verdict::NoVerdict(outage)) => outage_reason(*outage),
        TokensError::Silent(Verdict::NotAllowed(_)) => Reason::HostNotAllowed,
        TokensError::Silent(Verdict::Accepted(_) | Verdict::Refused(_)) => Reason::RotationFailed,
    }
}
