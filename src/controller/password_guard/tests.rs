use super::*;

#[test]
fn one_credential_sends_and_the_others_learn_from_it() {
    let passwords = Passwords::default();
    let print = Fingerprint::recorded("k0000:0");
    assert_eq!(passwords.look(&print, "a"), Peer::Silent);
    assert_eq!(passwords.claim(print.as_str(), "a", false), Ok(()));
    assert_eq!(
        passwords.claim(print.as_str(), "b", true),
        Err(Peer::InFlight)
    );
    assert_eq!(passwords.look(&print, "b"), Peer::InFlight);
    passwords.settle(print.as_str(), "a", Settled::Refused(Reason::Rejected));
    let refused = Peer::Refused(Reason::Rejected);
    assert_eq!(passwords.look(&print, "a"), refused);
    assert_eq!(passwords.look(&print, "b"), refused);
    assert_eq!(passwords.claim(print.as_str(), "a", false), Err(refused));
    assert_eq!(passwords.claim(print.as_str(), "b", true), Ok(()));
    passwords.settle(print.as_str(), "b", Settled::Free);
    assert_eq!(passwords.look(&print, "a"), Peer::Silent);
}

/// Also when the credential for which a person wanted it set aside is gone by then.
#[test]
fn what_was_set_aside_for_a_password_that_was_not_sent_holds_again() {
    let print = Fingerprint::recorded("k0000:0");
    for settled in [Settled::Refused(Reason::Rejected), Settled::Interrupted] {
        let passwords = Passwords::default();
        assert_eq!(passwords.claim(print.as_str(), "a", false), Ok(()));
        passwords.settle(print.as_str(), "a", settled);
        let before = passwords.look(&print, "c");
        assert_ne!(before, Peer::Silent);
        for _ in 0..2 {
            assert_eq!(passwords.claim(print.as_str(), "b", true), Ok(()));
            assert_eq!(passwords.look(&print, "c"), Peer::InFlight);
        }
        passwords.unclaim(print.as_str(), "a");
        assert_eq!(passwords.look(&print, "c"), Peer::InFlight, "not its own");
        passwords.unclaim(print.as_str(), "b");
        assert_eq!(passwords.look(&print, "c"), before);
        assert_eq!(passwords.claim(print.as_str(), "c", false), Err(before));
        // The one whose person wanted it has not had the answer yet.
        assert!(passwords.did_no_harm(print.as_str(), "b"));
        assert_eq!(passwords.look(&print, "b"), Peer::Silent);
        assert_eq!(passwords.claim(print.as_str(), "b", false), Ok(()));
        passwords.unclaim(print.as_str(), "b");
        assert_eq!(passwords.claim(print.as_str(), "c", false), Err(before));
    }
}

#[test]
fn an_attempt_without_an_answer_holds_for_others_when_its_repetition_was_not_sent() {
    let (passwords, print) = (Passwords::default(), Fingerprint::recorded("k0000:0"));
    assert_eq!(passwords.claim(print.as_str(), "a", false), Ok(()));
    passwords.settle(print.as_str(), "a", Settled::Interrupted);
    assert_eq!(passwords.claim(print.as_str(), "a", true), Ok(()));
    passwords.unclaim(print.as_str(), "a");
    assert_eq!(passwords.look(&print, "b"), Peer::Interrupted);
    let denied = passwords.claim(print.as_str(), "b", false);
    assert_eq!(denied, Err(Peer::Interrupted));
}

#[test]
fn only_what_this_process_knows_to_be_harmless_may_be_sent_again_unasked() {
    let print = "k0000:0";
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
            Some(settled) => passwords.settle(print, "a", settled),
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
        "metadata": {"name": "bot", "uid": "a"},
        "spec": {"site": "https://jira.example", "auth": {"basic": {"secretRef": {"name": "s"}}}},
        "status": status,
    }))
    .unwrap()
}

#[test]
fn an_attempt_that_the_watch_shows_after_its_answer_is_no_news() {
    let passwords = Passwords::default();
    let print = Fingerprint::recorded("k0000:0");
    assert_eq!(passwords.claim(print.as_str(), "a", false), Ok(()));
    passwords.settle(print.as_str(), "a", Settled::Free);
    passwords.note(&credential(&serde_json::json!({"attempt": {
        "failures": 0, "lastFailureTime": "2027-01-01T00:00:00Z",
        "fingerprint": print.as_str(), "outcome": "Started",
    }})));
    assert_eq!(passwords.look(&print, "b"), Peer::Silent);
    assert_eq!(passwords.claim(print.as_str(), "b", false), Ok(()));
}

#[test]
fn an_attempt_counts_before_its_status_names_the_method_and_until_it_is_accepted() {
    let passwords = Passwords::default();
    let print = Fingerprint::recorded("k0000:0");
    let attempt = serde_json::json!({"failures": 0, "lastFailureTime": "2027-01-01T00:00:00Z",
        "fingerprint": print.as_str(), "outcome": "Started"});
    passwords.note(&credential(&serde_json::json!({"attempt": attempt})));
    assert_eq!(passwords.look(&print, "a"), Peer::Silent);
    assert_eq!(passwords.look(&print, "b"), Peer::Interrupted);
    passwords.note(&credential(
        &serde_json::json!({"validatedFingerprint": print.as_str()}),
    ));
    assert_eq!(passwords.look(&print, "b"), Peer::Silent);
}
