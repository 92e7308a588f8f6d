//! What the operators of other shards know of passwords.

use std::collections::BTreeMap;

use super::*;
use crate::cluster::RefusedPassword;

const NOW: &str = "2027-01-01T00:00:00Z";

fn recorded(uid: &str) -> BTreeMap<Fingerprint, RefusedPassword> {
    let refused = RefusedPassword {
        uid: uid.to_owned(),
        reason: Reason::Rejected,
        since: NOW.parse().unwrap(),
    };
    BTreeMap::from([(Fingerprint::recorded("k1111:0"), refused)])
}

#[test]
fn what_another_records_counts_here_until_it_removes_it() {
    let (passwords, here, _) = shared(["k0000:1", "k0000:2"]);
    let refused = Peer::Refused(Reason::Rejected);
    passwords.hear(&BTreeMap::new(), &recorded("c"));
    assert_eq!(passwords.look(&here, "a"), refused);
    assert_eq!(passwords.claim(&here, "a", false), Err(refused));
    // Heard again, it is no news.
    passwords.hear(&recorded("c"), &recorded("c"));
    assert_eq!(passwords.look(&here, "a"), refused);
    passwords.hear(&recorded("c"), &BTreeMap::new());
    assert_eq!(passwords.look(&here, "a"), Peer::Silent);
    // What this process is about to find out itself is not overruled.
    assert_eq!(passwords.claim(&here, "a", false), Ok(()));
    passwords.hear(&BTreeMap::new(), &recorded("c"));
    assert_eq!(passwords.look(&here, "b"), Peer::InFlight);
    passwords.hear(&recorded("c"), &BTreeMap::new());
    assert_eq!(passwords.look(&here, "b"), Peer::InFlight);
    // Nor what it has found out itself.
    passwords.settle(&here, "a", Settled::Refused(Reason::Rejected));
    passwords.hear(&recorded("c"), &BTreeMap::new());
    assert_eq!(passwords.look(&here, "b"), refused);
}

/// What stood in its status before is replaced: nobody here learns in another way how it ended.
#[test]
fn the_status_of_a_credential_elsewhere_is_the_last_word_about_its_password() {
    let (passwords, here) = (Passwords::default(), Password::new("here", "k0000:0"));
    assert!(!passwords.note_elsewhere(&credential(&attempt("Started"))));
    assert_eq!(passwords.look(&here, "b"), Peer::Interrupted);
    assert!(!passwords.note_elsewhere(&credential(&attempt("Refused"))));
    let refused = Peer::Refused(Reason::Rejected);
    assert_eq!(passwords.look(&here, "b"), refused);
    let accepted = serde_json::json!({"validatedFingerprint": "k0000:0"});
    assert!(passwords.note_elsewhere(&credential(&accepted)));
    assert_eq!(passwords.look(&here, "b"), Peer::Silent);
    assert!(!passwords.note_elsewhere(&credential(&accepted)));
    // Another credential's refusal stays.
    assert_eq!(passwords.claim(&here, "b", false), Ok(()));
    passwords.settle(&here, "b", Settled::Refused(Reason::Rejected));
    assert!(!passwords.note_elsewhere(&credential(&accepted)));
    assert_eq!(passwords.look(&here, "a"), refused);
}

/// A person has a password tried here that the operator of another shard saw refused.
#[test]
fn what_another_has_recorded_is_removed_by_an_acceptance_alone() {
    let (before, known) = (BTreeMap::new(), recorded("c"));
    let now = NOW.parse().unwrap();
    let removes = |outcome: Settled, alone: bool| {
        let (passwords, here, _) = shared(["k0000:1", "k0000:2"]);
        passwords.hear(&before, &known);
        assert_eq!(passwords.claim(&here, "a", true), Ok(()));
        assert!(passwords.changes(&known, false, now).is_empty());
        passwords.settle(&here, "a", outcome);
        let changes = passwords.changes(&known, alone, now);
        changes.into_values().any(|change| change.is_none())
    };
    assert!(removes(Settled::Accepted, false));
    assert!(!removes(Settled::Interrupted, false) && !removes(Settled::Interrupted, true));
    assert!(!removes(Settled::Free, false) && removes(Settled::Free, true));
}

#[test]
fn a_refusal_heard_of_while_a_password_is_under_way_is_not_forgotten() {
    let (passwords, here, _) = shared(["k0000:1", "k0000:2"]);
    let (known, now) = (recorded("c"), NOW.parse().unwrap());
    let refused = Peer::Refused(Reason::Rejected);
    assert_eq!(passwords.claim(&here, "a", false), Ok(()));
    passwords.hear(&BTreeMap::new(), &known);
    assert!(passwords.changes(&known, false, now).is_empty());
    passwords.unclaim(&here, "a");
    assert_eq!(passwords.look(&here, "b"), refused);
    assert!(passwords.changes(&known, false, now).is_empty());
    // What was accepted here before has been refused there since.
    passwords.settle(&here, "a", Settled::Accepted);
    passwords.hear(&BTreeMap::new(), &known);
    assert_eq!(passwords.look(&here, "b"), refused);
    assert!(passwords.changes(&known, false, now).is_empty());
}

/// Whose credential is not known here may exist where only the other operator looks.
#[test]
fn what_another_has_recorded_ends_when_its_credential_was_seen_to_be_deleted() {
    let known = recorded("c");
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let later = now + TimeDelta::hours(25);
    for (is_seen, removed) in [(false, 0), (true, 1)] {
        let passwords = Passwords::default();
        passwords.restore(&known, now);
        passwords.forget_others(&std::collections::HashSet::new(), now);
        if is_seen {
            passwords.forget("c", now);
        }
        passwords.forget("d", later);
        assert_eq!(passwords.changes(&known, false, later).len(), removed);
        assert_eq!(passwords.changes(&known, true, later).len(), 1);
        let much_later = now + TimeDelta::days(31);
        assert_eq!(passwords.changes(&known, false, much_later).len(), 1);
    }
}
