//! What must hold.

use crate::model::atlassian::LEEWAY;
use crate::model::world::{Pass, Phase, Violation, World};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use jira_credential_operator::core::facts::Facts;
use jira_credential_operator::core::grant::RefreshRequest;

/// For so long after its intent a process may still be asking.
const MAY_ASK: i64 = 90;

/// The violation that shows at once when no intent is written.
pub(super) const UNNAMED: Violation = "a refresh token was spent without an intent that names it";

impl World {
    /// A refresh token is spent.
    pub(super) fn check_spend(
        &mut self,
        who: usize,
        pass: &Pass,
        spend: &RefreshRequest,
        token: &str,
    ) -> Option<Violation> {
        let named = pass
            .intended
            .as_ref()
            .is_some_and(|(_, intended, _)| intended == token);
        let before = self.ledger.sent.contains(token);
        self.ledger
            .change(|ledger| ledger.sent.insert(token.to_owned()));
        let first = self.atlassian.exchanged(token);
        let killed = self.atlassian.family(token);
        let killed = killed.is_some_and(|family| self.atlassian.killed.contains(&family));
        let late = !killed && first.is_some_and(|first| self.now - first >= LEEWAY);
        if late {
            let attempts = self.ledger.change(|ledger| {
                let attempts = ledger.late.entry(token.to_owned()).or_default();
                *attempts += 1;
                *attempts
            });
            let alone = attempts == 1 && spend.interrupted.is_some();
            if !alone {
                return Some(
                    "a refresh token was spent after the leeway, and not as a last attempt",
                );
            }
            if !self.ledger.died.contains(token) {
                return Some("a consent died though no answer was lost");
            }
            if self.is_held(token) {
                return Some("a consent died though a living process has the answer");
            }
        }
        if before && !spend.replay {
            return Some("a refresh token was spent again, and not as the replay of its intent");
        }
        let other = &self.replicas[1 - who];
        let at_once = match &other.phase {
            Phase::Idle | Phase::Down => false,
            Phase::Pass(pass) => pass
                .intended
                .as_ref()
                .is_some_and(|(_, other, since)| other == token && self.now - since < MAY_ASK),
            Phase::Keep(pass, word) => word.spent == token && self.now - pass.began < MAY_ASK,
        };
        if at_once {
            return Some("two replicas spend the same refresh token at once");
        }
        (!named).then_some(UNNAMED)
    }

    /// Whether a living process has an answer to this token and has not stored it.
    fn is_held(&self, token: &str) -> bool {
        self.replicas.iter().any(|replica| match &replica.phase {
            Phase::Keep(_, word) => word.spent == token && word.brought.is_ok(),
            Phase::Idle | Phase::Down | Phase::Pass(_) => false,
        })
    }

    /// A token is written into the target.
    pub(super) fn check_publish(&self, print: &str, facts: &Facts) -> Option<Violation> {
        if self.ledger.refused.contains(print) && !self.ledger.accepted.contains(print) {
            return Some("a target got a token that Jira refused");
        }
        let family = self.atlassian.family_of_access(print);
        let of_validated = self
            .ledger
            .accepted
            .iter()
            .any(|validated| self.atlassian.family_of_access(validated) == family);
        let excepted = facts.is_provisional() && of_validated;
        let validated = self.ledger.accepted.contains(print);
        (!validated && !excepted).then_some("a target got a token that is not validated")
    }

    /// Whether the protocol has come to a good end: what pods mount works and is told so; or the
    /// consent is dead, and that was told exactly once.
    pub(super) fn is_settled(&self) -> bool {
        let status = &self.cluster.status;
        let ready = status.condition(ConditionType::Ready);
        let works = self.cluster.target.as_ref().is_some_and(|mounted| {
            self.atlassian.accepts(&mounted.print, self.now)
                && status.validated_fingerprint.as_deref() == Some(mounted.print.as_str())
        });
        let is_ready = ready.is_some_and(|ready| ready.status == ConditionStatus::True);
        let told = ready.is_some_and(|ready| ready.reason == Reason::ReconsentRequired)
            && self.ledger.reconsents == self.atlassian.killed.len();
        let idle = self
            .replicas
            .iter()
            .all(|replica| matches!(replica.phase, Phase::Idle | Phase::Down));
        idle && ((works && is_ready) || told)
    }
}
