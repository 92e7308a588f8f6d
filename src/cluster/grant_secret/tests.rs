use super::*;

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
