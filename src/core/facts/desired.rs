//! Which token targets should hold: the one that was validated last, with one exception.
//!
//! A renewal starts invalidating the previous token. When the new one cannot be validated and the
//! published one is about to end, pods are better off with a token that descends from a validated
//! one than with one that is surely dead. On Data Center the one before it is dead from the moment
//! of the renewal, so that its successor is published as soon as asking has brought nothing. It is
//! still validated first: Jira has just issued it and is seldom unreachable, and a token that it
//! refuses is of no use to anybody.

use crate::core::facts::Facts;
use chrono::{DateTime, TimeDelta, Utc};

use crate::api::AttemptOutcome;
use crate::core::spec::{RenewalPlan, scopes};
use crate::core::time::earlier;

/// What is published lives for less than this.
const NEARLY_ENDED: TimeDelta = TimeDelta::minutes(3);

/// A token that targets should hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its fingerprint.
    pub print: String,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Facts {
    /// The credential that targets should hold.
    pub fn wanted(&self) -> Option<Wanted> {
        if !self.renews() {
            return Some(Wanted {
                print: self.status.validated_fingerprint.clone()?,
                expires_at: self.static_end(),
            });
        }
        let access = self.chain().and_then(|chain| chain.access.as_ref());
        let of_chain = access.map(|access| Wanted {
            print: access.token.as_str().to_owned(),
            expires_at: access.end(),
        });
        if self.must_publish_unvalidated() {
            return of_chain;
        }
        let print = self
            .provisional()
            .or(self.status.validated_fingerprint.as_deref())?;
        let of_chain = of_chain.filter(|wanted| wanted.print == print);
        Some(of_chain.unwrap_or_else(|| Wanted {
            print: print.to_owned(),
            expires_at: self.status.expires_at,
        }))
    }

    /// The fingerprint of what was published without a validation.
    pub fn provisional(&self) -> Option<&str> {
        self.status.grant.as_ref()?.provisional.as_deref()
    }

    /// Whether targets hold, or must now get, a token that could not be validated.
    pub fn is_provisional(&self) -> bool {
        let print = self.chain_print();
        let published = self
            .provisional()
            .is_some_and(|published| print.is_none_or(|print| print.as_str() == published));
        self.renews() && (published || self.must_publish_unvalidated())
    }

    /// Whether the successor of a validated token has to be published though Jira gave no verdict:
    /// what is published nearly ends, and the successor can do no less.
    pub fn must_publish_unvalidated(&self) -> bool {
        let Some(access) = self.chain().and_then(|chain| chain.access.as_ref()) else {
            return false;
        };
        let Some(plan) = self.renewal_plan() else {
            return false;
        };
        let covered =
            |scope: &String| scopes::covers(plan.hosting(), &access.scopes, scope.as_str());
        let can_no_less = access.scopes.is_empty() || self.status.scopes.iter().all(covered);
        self.is_of_validated_chain()
            && self.is_silent(plan)
            && !self.is_validated()
            && can_no_less
            && self.missing_scopes().is_empty()
            && access.expires > self.now
            && self.published_is_lost(plan)
    }

    /// Whether Jira gives no verdict on the token. On Data Center, where the site itself gave the token,
    /// a rate limit that another call met counts as no response.
    fn is_silent(&self, plan: &RenewalPlan) -> bool {
        if let Some(attempt) = self.attempt() {
            return attempt.outcome == AttemptOutcome::NoVerdict;
        }
        let rests = self.site_wait.is_some_and(|wait| wait.until > self.now);
        !plan.has_leeway() && rests
    }

    /// Whether what is published, of which the token is a successor, is dead or about to end.
    fn published_is_lost(&self, plan: &RenewalPlan) -> bool {
        !plan.has_leeway() || self.nearly_ended().is_some_and(|time| time <= self.now)
    }

    /// From when on what is published counts as about to end.
    pub fn nearly_ended(&self) -> Option<DateTime<Utc>> {
        let time_scale = self.renewal.as_ref()?.time_scale;
        Some(earlier(
            self.status.expires_at?,
            time_scale.of(NEARLY_ENDED),
        ))
    }
}
