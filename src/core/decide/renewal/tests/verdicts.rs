//! What a refusal of a token that is still young means.

use crate::api::{Account, AttemptOutcome, ConditionStatus, ConditionType, Reason};
use crate::core::conclude;
use crate::core::decide::renewal::tests::{at, facts, in_use, print, word};
use crate::core::facts::{Facts, GrantState};
use crate::core::grant::{Access, Tokens};
use crate::core::probe::{Outage, Refusal, Verdict};

/// Facts in which Jira has accepted the token at minute 1.
fn accepted() -> Facts {
    let mut facts = facts(1, Some(in_use()));
    facts.record(&Verdict::Accepted(Account {
        id: "5b10".into(),
        kind: None,
        display_name: None,
        user_name: None,
    }));
    facts
}

fn hear(facts: &mut Facts, minute: i64, verdict: &Verdict) -> (AttemptOutcome, Option<Reason>) {
    facts.now = at(minute);
    facts.record(verdict);
    let attempt = facts.status.attempt.as_ref().unwrap();
    (attempt.outcome, attempt.reason)
}

/// Another access token of the same consent.
fn renew(facts: &mut Facts) {
    let GrantState::Read(held) = &mut facts.renewal.as_mut().unwrap().grant else {
        panic!("there is a grant");
    };
    let access = Access {
        token: print("next"),
        obtained: facts.now,
        expires: facts.now + chrono::TimeDelta::hours(1),
        scopes: Vec::new(),
        id: None,
    };
    let tokens = Tokens {
        access,
        refresh: Some(print("refresh two")),
        offline_missing: false,
    };
    held.grant.keep("one", "second", tokens);
}

#[test]
fn what_no_renewal_changes_is_asked_about_twice_and_renewed_by_nothing() {
    for (refusal, reason) in [
        (Refusal::InsufficientScope, Reason::InsufficientScope),
        (Refusal::NoConsent, Reason::InsufficientScope),
        (Refusal::AnotherProduct, Reason::InsufficientScope),
        (Refusal::AnotherSite, Reason::WrongHost),
        (Refusal::IpBlocked, Reason::IpBlocked),
        (Refusal::AccountInactive, Reason::AccountInactive),
    ] {
        for renewed in [false, true] {
            let mut facts = accepted();
            facts.now = at(9);
            if renewed {
                renew(&mut facts);
            }
            let due = word(&facts);
            let refused = Verdict::Refused(refusal);
            let doubt = (AttemptOutcome::Unconfirmed, Some(reason));
            let what = format!("{refusal:?}, renewed: {renewed}");
            assert_eq!(hear(&mut facts, 10, &refused), doubt, "{what}");
            assert!(!facts.died_early(), "{what}");
            assert_eq!(word(&facts), due, "{what}: no early renewal");
            let status = conclude::conclude(&facts, &facts.status).status;
            let valid = status.condition(ConditionType::Valid).unwrap();
            assert_eq!(
                (valid.status, valid.reason),
                (ConditionStatus::Unknown, Reason::Confirming),
                "{what}"
            );
            assert!(!valid.message.contains("renews it"), "{}", valid.message);
            // Silence takes the doubt back no more than it confirms it.
            let silent = Verdict::NoVerdict(Outage::Timeout);
            assert_eq!(hear(&mut facts, 11, &silent), doubt, "{what}");
            assert_eq!(word(&facts), due, "{what}");
            let confirmed = (AttemptOutcome::Refused, Some(reason));
            assert_eq!(hear(&mut facts, 12, &refused), confirmed, "{what}");
            assert_eq!(word(&facts), due, "{what}");
        }
    }
}

#[test]
fn what_may_be_the_end_of_a_token_earns_one_renewal() {
    for refusal in [Refusal::Rejected, Refusal::Forbidden, Refusal::WrongHost] {
        let mut facts = accepted();
        let heard = hear(&mut facts, 10, &Verdict::Refused(refusal));
        let doubt = (AttemptOutcome::Unconfirmed, Some(Reason::Confirming));
        assert_eq!(heard, doubt, "{refusal:?}");
        assert_eq!(word(&facts), "intend first 10 - early", "{refusal:?}");
    }
}

#[test]
fn a_consent_that_was_never_accepted_is_refused_at_once() {
    let mut facts = facts(1, Some(in_use()));
    facts.status.validated_fingerprint = None;
    let heard = hear(&mut facts, 1, &Verdict::Refused(Refusal::InsufficientScope));
    let refused = (AttemptOutcome::Refused, Some(Reason::InsufficientScope));
    assert_eq!(heard, refused);
}
