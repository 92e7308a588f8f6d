use secrecy::SecretString;
use serde_json::json;

use super::*;

#[test]
fn two_grants_of_one_seed_find_each_other_and_their_labels_differ() {
    let key = FingerprintKey::new(b"key");
    let place = serde_json::from_value(json!({"name": "seed", "key": "token"})).unwrap();
    let mark = Fingerprint::recorded("k0000:1");
    let labelled = |namespace: &str, seed: &Fingerprint| {
        let mut stored = Stored::new(namespace, "jco-grant-x", &place, 0, &mark);
        stored.label_seed(&key, seed, DateTime::UNIX_EPOCH);
        stored
    };
    let label = |stored: &Stored| stored.metadata.labels.as_ref().unwrap()[SEED_LABEL].clone();
    for number in 0..100 {
        let seed = seed_print(&key, &SecretString::from(format!("seed {number}")));
        let (here, there) = (labelled("here", &seed), labelled("there", &seed));
        assert_ne!(label(&here), label(&there));
        assert!(has_seed(&key, &there.metadata, &seed));
        let groups: u8 = u8::from_str_radix(&group_of(&seed), 16).unwrap();
        assert!(groups < SEED_GROUPS);
        assert!(!selector(&seed).contains(&format!("{groups:02x},")));
        let other = seed_print(&key, &SecretString::from(format!("other {number}")));
        assert!(!has_seed(&key, &there.metadata, &other));
        // As an earlier version wrote it.
        let mut earlier = there;
        let labels = earlier.metadata.labels.get_or_insert_default();
        labels.remove(SEED_GROUP);
        labels.insert(SEED_LABEL.to_owned(), label_of(&seed));
        assert!(has_seed(&key, &earlier.metadata, &seed));
        assert_eq!(labelled_seed(&key, &earlier), Some(seed));
    }
}

#[test]
fn only_a_seed_that_the_operator_recorded_makes_a_twin() {
    let key = FingerprintKey::new(b"key");
    let place = serde_json::from_value(json!({"name": "seed", "key": "token"})).unwrap();
    let seed = Fingerprint::recorded("k0000:0");
    let mark = Fingerprint::recorded("k0000:1");
    let since = DateTime::UNIX_EPOCH;
    let labelled = |namespace: &str| {
        let mut stored = Stored::new(namespace, "jco-grant-x", &place, 0, &mark);
        stored.label_seed(&key, &seed, since);
        stored.metadata
    };
    let genuine = labelled("team");
    assert!(is_seed_marked(&key, &genuine));
    assert!(!is_seed_marked(&FingerprintKey::new(b"other"), &genuine));
    let change = |what: &str, value: &str| {
        let mut forged = genuine.clone();
        match what {
            "namespace" => forged.namespace = Some(value.to_owned()),
            "name" => forged.name = Some(value.to_owned()),
            SEED_LABEL => {
                let labels = forged.labels.get_or_insert_default();
                labels.insert(what.to_owned(), value.to_owned());
            }
            _ => {
                let annotations = forged.annotations.get_or_insert_default();
                annotations.insert(what.to_owned(), value.to_owned());
            }
        }
        forged
    };
    for (what, value) in [
        ("namespace", "attacker"),
        ("name", "jco-grant-y"),
        (SEED_LABEL, "k0000.1"),
        (SEED_SEEN, "1960-01-01T00:00:00+00:00"),
        (SEED_MARK, "k0000:2"),
    ] {
        assert!(!is_seed_marked(&key, &change(what, value)), "{what}");
    }
}

#[test]
fn of_two_grants_the_one_that_has_had_the_seed_for_longer_comes_first() {
    let grant = |created: &str, seen: Option<&str>| -> ObjectMeta {
        let mut metadata = json!({"creationTimestamp": created, "uid": created});
        if let Some(seen) = seen {
            metadata["annotations"] = json!({SEED_SEEN: seen});
        }
        serde_json::from_value(metadata).unwrap()
    };
    let (day, later) = ("2026-03-02T08:00:00Z", "2026-03-03T08:00:00Z");
    let old = grant("2026-03-01T08:00:00Z", Some(later));
    for young in [grant(day, Some(day)), grant(day, None)] {
        assert!(seed_age(&young) < seed_age(&old));
    }
    let unmarked = grant("2026-03-01T08:00:00Z", None);
    assert!(seed_age(&unmarked) < seed_age(&grant(day, Some(day))));
}

#[test]
fn a_stored_token_is_written_whole_and_never_shown() {
    let kept = Kept(SecretString::from("canary"));
    assert_eq!(serde_json::to_string(&kept).unwrap(), r#""canary""#);
    assert!(!format!("{kept:?}").contains("canary"));
}
