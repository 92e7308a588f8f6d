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
