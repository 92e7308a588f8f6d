//! The state of a credential that renews itself.

use crate::core::facts::Facts;
use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{Attempt, AttemptOutcome, Hosting, Reason};
use crate::core::facts::types::{GrantState, SeedState};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Chain, SeedOutcome};
use crate::core::spec::{RenewalKind, RenewalPlan, scopes};
use crate::core::time::{CONSENT_LIVES, IDLE_LIVES, is_ahead, later};

impl Facts {
    /// The chain whose token is validated next.
    pub fn asked_about(&self) -> Option<&Chain<Fingerprint>> {
        if self.candidate_is_due() {
            self.waiting_candidate()
        } else {
            self.chain()
        }
    }

    /// Whether the candidate beside a chain in use is to be validated now.
    pub fn candidate_is_due(&self) -> bool {
        let Some(access) = self
            .waiting_candidate()
            .and_then(|chain| chain.access.as_ref())
        else {
            return false;
        };
        if access.expires <= self.now || self.progress.candidate_tried || self.progress.is_duplicate
        {
            return false;
        }
        match self.candidate_attempt() {
            None => true,
            Some(_) if self.spec_changed() || self.renew_requested() => true,
            Some(attempt) => attempt
                .next_attempt_time
                .is_some_and(|time| time <= self.now),
        }
    }

    /// What is recorded of the candidate beside a chain in use. A refusal is forgotten when another
    /// spec may end it or a person asks: its token, which was not kept alive, is renewed first.
    pub fn candidate_attempt(&self) -> Option<&Attempt> {
        let print = &self.waiting_candidate()?.access.as_ref()?.token;
        let attempt = self.status.grant.as_ref()?.candidate.as_ref()?;
        let asks_again =
            (self.spec_changed() || self.renew_requested()) && !self.progress.candidate_tried;
        let stands = attempt.outcome != AttemptOutcome::Refused || !asks_again;
        (stands && self.is_same(print, &attempt.fingerprint)).then_some(attempt)
    }

    /// Whether the chain is one from which a token was validated for this credential.
    pub fn is_of_validated_chain(&self) -> bool {
        let validated = self
            .status
            .grant
            .as_ref()
            .and_then(|grant| grant.chain.as_ref());
        match self.chain() {
            Some(chain) => validated == Some(&chain.family_id()) && self.site_recorded(),
            None => self.grant_unread() && validated.is_some() && self.site_recorded(),
        }
    }

    /// Whether there is an access token that has not ended, as far as is known.
    pub fn has_token(&self) -> bool {
        let Some(renewal) = &self.renewal else {
            return true;
        };
        match &renewal.grant {
            GrantState::NotRead => {
                let validated = self.status.validated_fingerprint.is_some();
                let endless =
                    self.status.expires_at.is_none() && self.makes_successors() && validated;
                let unvalidated = self.status.attempt.is_some();
                let alive = self.status.expires_at.is_some_and(|end| end > self.now);
                unvalidated || alive || endless
            }
            GrantState::Absent | GrantState::Foreign | GrantState::Later => false,
            // It is another's to use.
            GrantState::Read(held) if self.progress.is_duplicate && held.grant.live.is_none() => {
                false
            }
            GrantState::Read(_) => {
                let access = self.chain().and_then(|chain| chain.access.as_ref());
                access.is_some_and(|access| access.expires > self.now)
            }
        }
    }

    /// The scopes that are wanted and not granted.
    pub fn missing_scopes(&self) -> Vec<&str> {
        let Some(plan) = self.renewal_plan() else {
            return Vec::new();
        };
        let granted = match self.chain().and_then(|chain| chain.access.as_ref()) {
            Some(access) => &access.scopes,
            None => &self.status.scopes,
        };
        let wanted = plan.scopes.iter().map(String::as_str);
        wanted
            // Whether the grant can be renewed is reported separately.
            .filter(|scope| *scope != "offline_access")
            .filter(|scope| !granted.is_empty() && !scopes::covers(plan.hosting(), granted, scope))
            .collect()
    }

    /// Whether scopes are missing, or were refused to the client: by the grant, or as is recorded
    /// of it.
    pub fn lacks_scopes(&self) -> bool {
        if self.grant_unread() {
            let recorded = self.status.grant.as_ref();
            recorded.and_then(|grant| grant.blocked_by) == Some(Reason::InsufficientScope)
        } else {
            let failure = self.held().and_then(|held| held.grant.failure);
            !self.missing_scopes().is_empty() || failure == Some(Reason::InsufficientScope)
        }
    }

    /// Why the last attempt to make a successor of a personal access token, or to find the token in the list
    /// of its account, failed; it is retried.
    pub fn retried_renewal(&self) -> Option<Reason> {
        if !self.makes_successors() {
            return None;
        }
        if self.grant_unread() {
            return self.status.grant.as_ref()?.retrying;
        }
        self.held()?.grant.replacement_failure()
    }

    /// Whether Jira refused a token that should still live, and a renewal will tell more.
    pub fn died_early(&self) -> bool {
        // Another reason is one that no renewal changes.
        let unconfirmed = |attempt: &Attempt| {
            attempt.outcome == AttemptOutcome::Unconfirmed
                && attempt
                    .reason
                    .is_none_or(|reason| reason == Reason::Confirming)
        };
        self.replaces_the_refused() && self.attempt().is_some_and(unconfirmed)
    }

    /// Whether a refusal of the present token earns a renewal: once, until there was a validation
    /// in between or an hour has passed.
    pub fn may_renew_early(&self) -> bool {
        let Some(held) = self.held().filter(|_| self.replaces_the_refused()) else {
            return false;
        };
        let time_scale = self.renewal.as_ref().map(|renewal| renewal.time_scale);
        let hour = time_scale.unwrap_or_default().of(TimeDelta::hours(1));
        self.can_log_in_again()
            && self.is_of_validated_chain()
            && held.grant.early.is_none_or(|early| {
                let validated = self.status.last_validated_time;
                let is_old = self.now - early >= hour || is_ahead(early, self.now);
                is_old || validated.is_some_and(|validated| validated > early)
            })
    }

    /// Whether the password of the session in use is still there, and was not refused since. Always true
    /// for other methods.
    fn can_log_in_again(&self) -> bool {
        let login = |plan: &RenewalPlan| plan.kind == RenewalKind::Login;
        if !self.renewal_plan().is_some_and(login) {
            return true;
        }
        let seed = self.renewal.as_ref().map(|renewal| &renewal.seed);
        let Some((SeedState::Read { digest, .. }, chain)) = seed.zip(self.chain()) else {
            return false;
        };
        chain.origin == *digest && chain.dead.is_none()
    }

    /// What a person should know of the seed in the user's Secret while another chain is in use:
    /// that it was refused, cannot be one, or is an older copy.
    pub fn seed_trouble(&self) -> Option<Reason> {
        let digest = match &self.renewal.as_ref()?.seed {
            SeedState::Read { digest, .. } => digest,
            SeedState::Unusable(reason) => return Some(*reason),
            SeedState::NotRead | SeedState::Missing => return None,
        };
        let grant = &self.held()?.grant;
        // Without a chain of ours there is nothing that goes on in the seed's place.
        let in_use = self.chain()?.root() == digest;
        let waiting = grant
            .candidate
            .as_ref()
            .is_some_and(|chain| chain.root() == digest);
        match grant.seed(digest)?.outcome {
            _ if in_use || waiting => None,
            SeedOutcome::Refused => Some(Reason::RotationFailed),
            SeedOutcome::Seen | SeedOutcome::Spent | SeedOutcome::Accepted => {
                Some(Reason::SeedStale)
            }
        }
    }

    /// Since when it is not known what became of a renewal.
    pub fn interrupted_at(&self) -> Option<DateTime<Utc>> {
        if self.grant_unread() {
            return self.status.grant.as_ref()?.interrupted_time;
        }
        let grant = &self.held()?.grant;
        let dead = self.chain().and_then(|chain| chain.dead.as_ref());
        match dead {
            Some(dead) => dead.interrupted,
            None => grant
                .intent
                .as_ref()
                .filter(|intent| intent.replay)
                .map(|intent| intent.interrupted.unwrap_or(intent.first_sent)),
        }
    }

    /// When the consent of the chain in use ends.
    pub fn consent_ends(&self) -> Option<DateTime<Utc>> {
        let plan = self.renewal_plan()?;
        // A consent on Data Center has no end of its own.
        if !plan.spends() && plan.kind != RenewalKind::ClientCredentials {
            return None;
        }
        if plan.hosting() == Hosting::DataCenter {
            return None;
        }
        match self.chain().filter(|_| plan.spends()) {
            // A dead consent has no end ahead.
            Some(chain) if chain.dead.is_some() => None,
            Some(chain) => Some(later(chain.consented, CONSENT_LIVES)),
            None => self.status.grant.as_ref()?.consent_expires_at,
        }
    }

    /// When the grant dies if it is not used.
    pub fn idle_ends(&self) -> Option<DateTime<Utc>> {
        let plan = self.renewal_plan()?;
        let spends = plan.spends();
        if !spends && plan.kind != RenewalKind::ClientCredentials {
            return None;
        }
        if self.chain().is_some_and(|chain| chain.dead.is_some()) {
            return None;
        }
        let used = self.chain().and_then(|chain| {
            let access = chain.access.as_ref()?;
            Some(chain.exchanged.unwrap_or(access.obtained))
        });
        match used.filter(|_| spends) {
            Some(used) => Some(later(used, IDLE_LIVES)),
            None => self.status.grant.as_ref()?.idle_expires_at,
        }
    }
}
