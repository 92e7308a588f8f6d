//! What a verdict of Jira means given what is recorded: whether a refusal still has to be confirmed.

use crate::api::AttemptOutcome;
use crate::core::facts::Facts;
use crate::core::probe::{Cause, Judgement, Refusal, Verdict};

impl Facts {
    /// What a verdict means for this credential, by what is recorded of it.
    pub fn judge(&self, verdict: &Verdict) -> Judgement {
        match verdict {
            Verdict::Accepted(account) => {
                if self
                    .pinned_account()
                    .is_some_and(|pinned| pinned != account.id)
                {
                    Judgement::Refused(Cause::AccountChanged)
                } else {
                    Judgement::Accepted(account.clone())
                }
            }
            Verdict::Refused(refusal)
                if self.is_surprising(*refusal) || self.is_early_death(*refusal) =>
            {
                Judgement::Unconfirmed(*refusal)
            }
            Verdict::Refused(refusal) => Judgement::Refused(Cause::Jira(*refusal)),
            Verdict::NoVerdict(outage) => Judgement::NoVerdict(*outage),
            Verdict::NotAllowed(forbidden) => Judgement::NotAllowed(*forbidden),
        }
    }

    /// One refusal of what Jira accepted before is confirmed first. A password never is: Jira
    /// counts every refusal.
    ///
    /// A token that a renewal can replace gets that instead, where a renewal can help; its
    /// successor counts as accepted before, because one consent or account has both.
    fn is_surprising(&self, refusal: Refusal) -> bool {
        let renews = self.replaces_the_refused();
        if self.is_password() || (renews && earns_renewal(refusal)) {
            return false;
        }
        let refused_before = self.attempt().is_some_and(|attempt| match attempt.outcome {
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed => true,
            AttemptOutcome::Started | AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => {
                false
            }
        });
        let ended = self.source_has_ended();
        let accepted_before = self.is_validated() || (renews && self.is_of_validated_chain());
        accepted_before && !refused_before && !ended
    }

    /// A token that should still live earns one renewal before it counts as refused.
    fn is_early_death(&self, refusal: Refusal) -> bool {
        earns_renewal(refusal) && self.may_renew_early()
    }
}

/// Whether a refusal may mean that the token has ended: a gateway says 403 and 404, too, where it
/// means that (reported). Scopes and consent stay as they are when a token is renewed.
pub(crate) fn earns_renewal(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Rejected | Refusal::Forbidden | Refusal::WrongHost
    )
}
