use super::*;
use crate::api::JiraCredential;

mod shards;

#[test]
fn one_credential_sends_and_the_others_learn_from_it() {
    let passwords = Passwords::default();
    let print = Password::new("here", "k0000:0");
    assert_eq!(passwords.look(&print, "a"), Peer::Silent);
    assert_eq!(passwords.claim(&print, "a", false), Ok(()));
    assert_eq!(passwords.claim(&print, "b", true), Err(Peer::InFlight));
    assert_eq!(passwords.look(&print, "b"), Peer::InFlight);
    passwords.settle(&print, "a", Settled::Refused(Reason::Rejected));
    let refused = Peer::Refused(Reason::Rejected);
    assert_eq!(passwords.look(&print, "a"), refused);
    assert_eq!(passwords.look(&print, "b"), refused);
    assert_eq!(passwords.claim(&print, "a", false), Err(refused));
    assert_eq!(passwords.claim(&print, "b", true), Ok(()));
    passwords.settle(&print, "b", Settled::Free);
    assert_eq!(passwords.look(&print, "a"), Peer::Silent);
}

#[test]
fn an_acceptance_after_a_refusal_releases_the_others_in_its_namespace() {
    let passwords = Passwords::default();
    let (here, there) = (
        Password::new("here", "k0000:0"),
        Password::new("there", "k0000:1"),
    );
    let everywhere = Fingerprint::recorded("k0000:2");
    passwords.learn(&here, &everywhere, "a");
    passwords.learn(&there, &everywhere, "c");
    assert_eq!(passwords.claim(&here, "a", false), Ok(()));
    assert!(!passwords.settle(&here, "a", Settled::Refused(Reason::Rejected)));
    assert_eq!(passwords.claim(&here, "a", true), Ok(()));
    assert!(passwords.settle(&here, "a", Settled::Accepted));
    assert_eq!(passwords.look(&here, "a"), Peer::Silent);
    assert_eq!(passwords.look(&here, "b"), Peer::Accepted);
    assert_eq!(passwords.look(&there, "c"), Peer::Silent);
    // Another acceptance of the same password wakes no other credential.
    assert_eq!(passwords.claim(&here, "a", false), Ok(()));
    assert!(!passwords.settle(&here, "a", Settled::Accepted));
    // And a refusal after that holds for all.
    assert_eq!(passwords.claim(&here, "b", false), Ok(()));
    assert!(!passwords.settle(&here, "b", Settled::Refused(Reason::Rejected)));
    assert_eq!(passwords.look(&here, "a"), Peer::Refused(Reason::Rejected));
}

/// What the first of those released has claimed and not sent releases the others, and itself.
#[test]
fn an_acceptance_outlives_a_claim_that_was_not_sent() {
    let everywhere = Fingerprint::recorded("k0000:2");
    for shared in [false, true] {
        let (passwords, print) = (Passwords::default(), Password::new("here", "k0000:0"));
        if shared {
            passwords.learn(&print, &everywhere, "a");
        }
        assert_eq!(passwords.claim(&print, "a", true), Ok(()));
        passwords.settle(&print, "a", Settled::Accepted);
        // Over and over, until one is sent; also the one whose acceptance it was.
        for me in ["b", "b", "c", "a", "b"] {
            assert_eq!(passwords.claim(&print, me, false), Ok(()));
            let other = if me == "c" { "b" } else { "c" };
            assert_eq!(passwords.look(&print, other), Peer::InFlight);
            assert_eq!(passwords.claim(&print, other, false), Err(Peer::InFlight));
            passwords.unclaim(&print, me);
            assert_eq!(passwords.look(&print, "a"), Peer::Silent);
            assert_eq!(passwords.look(&print, "b"), Peer::Accepted);
            assert_eq!(passwords.look(&print, "c"), Peer::Accepted);
        }
        // It was no refusal that was set aside: none has to be woken.
        assert_eq!(passwords.claim(&print, "b", false), Ok(()));
        assert!(!passwords.settle(&print, "b", Settled::Accepted));
        assert_eq!(passwords.look(&print, "c"), Peer::Accepted);
        // A refusal ends it.
        assert_eq!(passwords.claim(&print, "c", false), Ok(()));
        passwords.settle(&print, "c", Settled::Refused(Reason::Rejected));
        assert_eq!(passwords.claim(&print, "b", true), Ok(()));
        passwords.unclaim(&print, "b");
        assert_eq!(passwords.look(&print, "d"), Peer::Refused(Reason::Rejected));
    }
}

/// Also when the credential for which a person wanted it set aside is gone by then.
#[test]
fn what_was_set_aside_for_a_password_that_was_not_sent_holds_again() {
    let print = Password::new("here", "k0000:0");
    for settled in [Settled::Refused(Reason::Rejected), Settled::Interrupted] {
        let passwords = Passwords::default();
        assert_eq!(passwords.claim(&print, "a", false), Ok(()));
        passwords.settle(&print, "a", settled);
        let before = passwords.look(&print, "c");
        assert_ne!(before, Peer::Silent);
        for _ in 0..2 {
            assert_eq!(passwords.claim(&print, "b", true), Ok(()));
            assert_eq!(passwords.look(&print, "c"), Peer::InFlight);
        }
        passwords.unclaim(&print, "a");
        assert_eq!(passwords.look(&print, "c"), Peer::InFlight, "not its own");
        passwords.unclaim(&print, "b");
        assert_eq!(passwords.look(&print, "c"), before);
        assert_eq!(passwords.claim(&print, "c", false), Err(before));
        // The one whose person wanted it has not had the answer yet.
        assert!(passwords.did_no_harm(&print, "b"));
        assert_eq!(passwords.look(&print, "b"), Peer::Silent);
        assert_eq!(passwords.claim(&print, "b", false), Ok(()));
        passwords.unclaim(&print, "b");
        assert_eq!(passwords.claim(&print, "c", false), Err(before));
    }
}

#[test]
fn an_attempt_without_an_answer_holds_for_others_when_its_repetition_was_not_sent() {
    let (passwords, print) = (Passwords::default(), Password::new("here", "k0000:0"));
    assert_eq!(passwords.claim(&print, "a", false), Ok(()));
    passwords.settle(&print, "a", Settled::Interrupted);
    assert_eq!(passwords.claim(&print, "a", true), Ok(()));
    passwords.unclaim(&print, "a");
    assert_eq!(passwords.look(&print, "b"), Peer::Interrupted);
    let denied = passwords.claim(&print, "b", false);
    assert_eq!(denied, Err(Peer::Interrupted));
}

#[test]
fn only_what_this_process_knows_to_be_harmless_may_be_sent_again_unasked() {
    let print = &Password::new("here", "k0000:0");
    for (settled, harmless) in [
        (None, true),
        (Some(Settled::Accepted), true),
        (Some(Settled::Free), false),
        (Some(Settled::Interrupted), false),
        (Some(Settled::Refused(Reason::Rejected)), false),
    ] {
        let passwords = Passwords::default();
        assert_eq!(passwords.claim(print, "a", false), Ok(()));
        assert!(!passwords.did_no_harm(print, "a"), "while it is under way");
        match settled {
            Some(settled) => {
                passwords.settle(print, "a", settled);
            }
            None => passwords.unclaim(print, "a"),
        }
        assert_eq!(passwords.did_no_harm(print, "a"), harmless, "{settled:?}");
        assert!(!passwords.did_no_harm(print, "b"), "{settled:?}: a twin's");
    }
    assert!(
        !Passwords::default().did_no_harm(print, "a"),
        "a new process"
    );
}

fn credential(status: &serde_json::Value) -> JiraCredential {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": {"namespace": "here", "name": "bot", "uid": "a"},
        "spec": {"site": "https://jira.example", "auth": {"basic": {"secretRef": {"name": "s"}}}},
        "status": status,
    }))
    .unwrap()
}

#[test]
fn an_attempt_that_the_watch_shows_after_its_answer_is_no_news() {
    let passwords = Passwords::default();
    let print = Password::new("here", "k0000:0");
    assert_eq!(passwords.claim(&print, "a", false), Ok(()));
    passwords.settle(&print, "a", Settled::Free);
    passwords.note(&credential(&serde_json::json!({"attempt": {
        "failures": 0, "lastFailureTime": "2027-01-01T00:00:00Z",
        "fingerprint": print.print, "outcome": "Started",
    }})));
    assert_eq!(passwords.look(&print, "b"), Peer::Silent);
    assert_eq!(passwords.claim(&print, "b", false), Ok(()));
}

#[test]
fn an_attempt_counts_before_its_status_names_the_method_and_until_it_is_accepted() {
    let passwords = Passwords::default();
    let print = Password::new("here", "k0000:0");
    let attempt = serde_json::json!({"failures": 0, "lastFailureTime": "2027-01-01T00:00:00Z",
        "fingerprint": print.print, "outcome": "Started"});
    passwords.note(&credential(&serde_json::json!({"attempt": attempt})));
    assert_eq!(passwords.look(&print, "a"), Peer::Silent);
    assert_eq!(passwords.look(&print, "b"), Peer::Interrupted);
    passwords.note(&credential(
        &serde_json::json!({"validatedFingerprint": &print.print}),
    ));
    assert_eq!(passwords.look(&print, "b"), Peer::Silent);
}

fn attempt(outcome: &str) -> serde_json::Value {
    serde_json::json!({
        "method": "Basic",
        "attempt": {
            "failures": 1, "lastFailureTime": "2027-01-01T00:00:00Z",
            "fingerprint": "k0000:0", "outcome": outcome, "reason": "Rejected",
        },
    })
}

/// One password of two tenants, and how each of them knows it.
fn shared(prints: [&str; 2]) -> (Passwords, Password, Password) {
    let passwords = Passwords::default();
    let everywhere = Fingerprint::recorded("k1111:0");
    let [here, there] = prints;
    let (here, there) = (Password::new("here", here), Password::new("there", there));
    passwords.learn(&here, &everywhere, "a");
    passwords.learn(&there, &everywhere, "b");
    (passwords, here, there)
}

#[test]
fn what_this_process_learnt_counts_in_every_namespace() {
    let (passwords, here, there) = shared(["k0000:1", "k0000:2"]);
    assert_eq!(passwords.claim(&here, "a", false), Ok(()));
    assert_eq!(passwords.look(&there, "b"), Peer::InFlight);
    passwords.settle(&here, "a", Settled::Refused(Reason::Rejected));
    let refused = Peer::Refused(Reason::Rejected);
    assert_eq!(passwords.look(&there, "b"), refused);
    assert_eq!(passwords.claim(&there, "b", false), Err(refused));
}

#[test]
fn what_a_status_says_counts_in_its_own_namespace() {
    let (passwords, here, there) = shared(["k0000:0", "k0000:0"]);
    passwords.note(&credential(&attempt("Refused")));
    assert_eq!(passwords.look(&here, "a"), Peer::Refused(Reason::Rejected));
    assert_eq!(passwords.look(&there, "b"), Peer::Silent);
    assert_eq!(passwords.claim(&there, "b", false), Ok(()));
}

#[test]
fn a_suspended_credential_says_nothing() {
    let passwords = Passwords::default();
    let mut suspended = credential(&attempt("Refused"));
    suspended.spec.suspend = true;
    passwords.note(&suspended);
    let here = Password::new("here", "k0000:0");
    assert_eq!(passwords.look(&here, "b"), Peer::Silent);
}

#[test]
fn a_refusal_outlives_its_credential_for_a_day_and_nothing_else_does() {
    let passwords = Passwords::default();
    let now = DateTime::UNIX_EPOCH;
    let (refused, accepted) = (
        Password::new("here", "k0000:0"),
        Password::new("here", "k0000:1"),
    );
    for (password, settled) in [
        (&refused, Settled::Refused(Reason::Rejected)),
        (&accepted, Settled::Accepted),
    ] {
        passwords.learn(password, &Fingerprint::recorded(&password.print), "a");
        passwords.settle(password, "a", settled);
    }
    passwords.forget("a", now);
    assert_eq!(passwords.lock().sent.len(), 2, "the refusal, twice");
    assert_eq!(passwords.lock().everywhere.len(), 1);
    passwords.forget("b", now + REMEMBERED - TimeDelta::seconds(1));
    assert_ne!(passwords.look(&refused, "b"), Peer::Silent);
    passwords.forget("b", now + REMEMBERED);
    assert!(passwords.lock().sent.is_empty());
    assert!(passwords.lock().everywhere.is_empty());
}

#[test]
fn what_is_under_way_for_a_credential_that_is_gone_is_settled_everywhere() {
    let (passwords, here, there) = shared(["k0000:1", "k0000:2"]);
    assert_eq!(passwords.claim(&here, "a", false), Ok(()));
    passwords.forget("a", DateTime::UNIX_EPOCH);
    assert_eq!(passwords.look(&there, "b"), Peer::InFlight);
    passwords.unclaim(&here, "a");
    assert_eq!(passwords.look(&there, "b"), Peer::Silent);
}
