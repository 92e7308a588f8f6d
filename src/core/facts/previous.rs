//! What was replaced and still works.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::AttemptOutcome;
use crate::core::facts::Facts;
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Overlap, Replacement};

/// Atlassian revokes an access token so long after the refresh that replaced it, whatever its end (reported by its
/// staff).
const REVOKED_AFTER: TimeDelta = TimeDelta::minutes(10);

/// An access token that ends by itself counts as ended so much earlier.
const MARGIN: TimeDelta = TimeDelta::seconds(30);

impl Facts {
    /// The fingerprint of the token or session that what targets should hold has replaced, as long as it works:
    /// the operator has not ended it, and it has not expired. While nothing may be written, targets keep what they have.
    pub fn previous(&self) -> Option<&str> {
        let wanted = self.wanted()?;
        let works = self
            .stored_previous()
            .filter(|(print, until)| *until > self.now && print.as_str() != wanted.print);
        let print = match works {
            Some((print, _)) => Some(print.as_str()),
            None if self.grant_unread() || !self.may_publish() => {
                self.status.grant.as_ref()?.previous.as_deref()
            }
            None => None,
        };
        // A new token or session that is not validated yet has not taken its place.
        print.filter(|print| *print != wanted.print)
    }

    /// Whether a target publishes what was replaced.
    pub fn keeps_previous(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| target.target.keep_previous)
    }

    /// When what was replaced and is published ends without the operator.
    pub fn previous_ends(&self) -> Option<DateTime<Utc>> {
        if self.is_kept() || !self.keeps_previous() {
            return None;
        }
        self.previous()?;
        let (_, until) = self.stored_previous()?;
        Some(until).filter(|until| *until > self.now)
    }

    /// What becomes of the access token of a chain that is renewed now; `origin` as in the renewal.
    pub fn replacement(&self, origin: &str) -> Replacement {
        let (Some(plan), Some(renewal), Some(held)) =
            (self.renewal_plan(), &self.renewal, self.held())
        else {
            return Replacement::Drop;
        };
        let mut others = renewal.others.iter();
        let wanted = self.keeps_previous() || others.any(|other| other.keeps_previous);
        // On Data Center a refresh ends the token before it at once, and of client credentials nobody knows.
        if !wanted || plan.is_kept() || !plan.has_leeway() {
            return Replacement::Drop;
        }
        let chain = if plan.spends() {
            held.grant.chain(origin)
        } else {
            held.grant.live.as_ref()
        };
        let Some((chain, access)) = chain.and_then(|chain| Some((chain, chain.access.as_ref()?)))
        else {
            return Replacement::Drop;
        };
        if !self.is_shown(&access.token) {
            return Replacement::Skip;
        }
        // A user that does not show it has not accepted it, or was refused with it.
        let print = access.token.as_str();
        let is_strange = |keeps: bool, shown: Option<&str>| keeps && shown != Some(print);
        let wanted = self.wanted();
        let own = wanted.as_ref().map(|wanted| wanted.print.as_str());
        let mut others = renewal.others.iter();
        if self.is_doubted()
            || is_strange(self.keeps_previous(), own)
            || others.any(|other| is_strange(other.keeps_previous, other.holds.as_deref()))
        {
            return Replacement::Drop;
        }
        Replacement::Keep(Overlap {
            attempt: chain.attempt.clone(),
            lasts: renewal.time_scale.of(REVOKED_AFTER),
            margin: renewal.time_scale.of(MARGIN),
        })
    }

    /// What the grant holds of the replaced value, and until when it works.
    fn stored_previous(&self) -> Option<(&Fingerprint, DateTime<Utc>)> {
        // What is of another site or client is not published for this one.
        let chain = self.chain()?;
        if self.is_kept() {
            let old = self.held()?.grant.previous()?;
            return Some((&old.token, old.until));
        }
        let old = chain.previous.as_ref()?;
        Some((&old.token, old.until))
    }

    /// Whether Jira has refused the token, or may have.
    fn is_doubted(&self) -> bool {
        self.attempt().is_some_and(|attempt| match attempt.outcome {
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::Started => true,
            AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => false,
        })
    }

    /// Whether targets hold this token, those of this credential or of another with the grant.
    fn is_shown(&self, token: &Fingerprint) -> bool {
        let print = token.as_str();
        let others = self.renewal.iter().flat_map(|renewal| &renewal.others);
        let mut others = others.filter_map(|other| other.holds.as_deref());
        self.wanted().is_some_and(|wanted| wanted.print == print)
            || others.any(|shown| shown == print)
    }
}
