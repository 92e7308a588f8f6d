use serde_json::{Value, json};

use super::*;

fn secret(more: &Value) -> Secret {
    let mut object = json!({
        "metadata": {"name": "app", "annotations": {MERGE_ANNOTATION: "other, bot"}},
        "type": "Opaque",
    });
    json_patch::merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

fn entry(manager: &str, operation: &str, keys: &[&str]) -> Value {
    let keys: serde_json::Map<String, Value> = keys
        .iter()
        .map(|key| (format!("f:{key}"), json!({})))
        .chain([(".".to_owned(), json!({}))])
        .collect();
    json!({
        "manager": manager, "operation": operation, "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": keys},
    })
}

#[test]
fn keys_go_only_into_a_plain_secret_that_allows_it() {
    use Reason::{MergeNotAllowed, MergeUnsuitable};
    let annotation = |value: &str| json!({"metadata": {"annotations": {MERGE_ANNOTATION: value}}});
    let label = |key: &str, value: &str| json!({"metadata": {"labels": {key: value}}});
    let beside = |kind: &str, version: &str| {
        json!({"metadata": {"ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "1", "controller": true},
            {"apiVersion": version, "kind": kind, "name": "x", "uid": "2"},
        ]}})
    };
    let owner = json!({"metadata": {
        "labels": {MANAGED_BY_LABEL: OPERATOR_NAME},
        "ownerReferences": [{
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential", "name": "x", "uid": "1",
            "controller": true,
        }],
    }});
    for (more, expected) in [
        (json!({}), None),
        (annotation("bot"), None),
        (annotation(" a ,bot,"), None),
        (label("app.kubernetes.io/managed-by", "Helm"), None),
        (annotation("botanist"), Some((MergeNotAllowed, ""))),
        (annotation("*"), Some((MergeNotAllowed, ""))),
        (annotation(""), Some((MergeNotAllowed, ""))),
        (
            json!({"metadata": {"annotations": null}}),
            Some((MergeNotAllowed, "")),
        ),
        (
            json!({"type": "kubernetes.io/tls"}),
            Some((MergeUnsuitable, "its type is kubernetes.io/tls")),
        ),
        (
            json!({"type": "t".repeat(300)}),
            Some((
                MergeUnsuitable,
                "its type is tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt",
            )),
        ),
        (
            json!({"immutable": true}),
            Some((MergeUnsuitable, "it is immutable")),
        ),
        (
            label(MANAGED_BY_LABEL, OPERATOR_NAME),
            Some((
                MergeUnsuitable,
                "its labels or owners say that the operator writes it as a whole",
            )),
        ),
        (
            label(CREDENTIAL_LABEL, "bot"),
            Some((
                MergeUnsuitable,
                "its labels or owners say that the operator writes it as a whole",
            )),
        ),
        (
            label(GRANT_LABEL, "1"),
            Some((
                MergeUnsuitable,
                "its labels or owners say that the operator writes it as a whole",
            )),
        ),
        (
            owner,
            Some((
                MergeUnsuitable,
                "its labels or owners say that the operator writes it as a whole",
            )),
        ),
        (
            beside("JiraCredential", "jira-operator.dev/v1alpha1"),
            Some((
                MergeUnsuitable,
                "its labels or owners say that the operator writes it as a whole",
            )),
        ),
        (beside("JiraCredential", "example.org/v1"), None),
        (beside("Application", "jira-operator.dev/v1alpha1"), None),
    ] {
        let found = obstacle(&secret(&more), "bot");
        let expected = expected.map(|(reason, detail)| (reason, detail.to_owned()));
        assert_eq!(found, expected, "{more}");
    }
}

#[test]
fn nothing_is_written_where_exactly_our_keys_are() {
    let ours = manager("bot");
    let data = |pairs: &[(&str, &str)]| -> BTreeMap<String, ByteString> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), ByteString((*value).into())))
            .collect()
    };
    let wanted = data(&[("token", "t"), ("url", "u")]);
    for (name, managers, present, expected) in [
        (
            "all there, and a key of others",
            vec![entry(&ours, "Apply", &["token", "url"])],
            data(&[("token", "t"), ("url", "u"), ("theirs", "x")]),
            true,
        ),
        (
            "another value",
            vec![entry(&ours, "Apply", &["token", "url"])],
            data(&[("token", "old"), ("url", "u")]),
            false,
        ),
        (
            "a key too many",
            vec![entry(&ours, "Apply", &["token", "url", "old"])],
            data(&[("token", "t"), ("url", "u"), ("old", "x")]),
            false,
        ),
        (
            "a key was removed",
            vec![entry(&ours, "Apply", &["url"])],
            data(&[("url", "u")]),
            false,
        ),
        (
            "the same values by others",
            vec![entry("kubectl", "Apply", &["token", "url"])],
            data(&[("token", "t"), ("url", "u")]),
            false,
        ),
        (
            "not by an apply",
            vec![entry(&ours, "Update", &["token", "url"])],
            data(&[("token", "t"), ("url", "u")]),
            false,
        ),
    ] {
        let mut found = secret(&json!({"metadata": {"managedFields": managers}}));
        found.data = Some(present);
        assert_eq!(holds(&found, "bot", &wanted), expected, "{name}");
    }
}

#[test]
fn whose_keys_a_secret_has_is_told_by_managers_and_annotation_together() {
    let found = secret(&json!({"metadata": {"managedFields": [
        entry(&manager("bot"), "Apply", &["token"]),
        entry(&manager("gone"), "Apply", &["old"]),
        entry("kubectl", "Apply", &["theirs"]),
    ]}}));
    assert_eq!(merged_into(&found.metadata), ["bot"]);
    // Neither a name that stands there twice nor one that has nothing there costs a request.
    let names: Vec<String> = (0..40).map(|name| format!("c{name}")).collect();
    let mut entries: Vec<Value> = names
        .iter()
        .map(|name| entry(&manager(name), "Apply", &["token"]))
        .collect();
    entries.push(entry(&manager("empty"), "Apply", &[]));
    let list = format!("empty,c0,c0, c1,{}", names.join(","));
    let many = secret(&json!({"metadata": {
        "annotations": {MERGE_ANNOTATION: list}, "managedFields": entries,
    }}));
    let found = merged_into(&many.metadata);
    assert_eq!(found.len(), MOST_CREDENTIALS);
    assert_eq!(found, names[..MOST_CREDENTIALS]);
    let long = "a".repeat(200);
    assert!(manager(&long).len() <= 128);
    assert_ne!(manager(&long), manager(&long[..199]));
}

#[test]
fn a_conflict_names_keys_and_clients_and_nothing_that_changes() {
    let refusal = |causes: Value| {
        let status = json!({
            "status": "Failure", "message": "Apply failed", "reason": "Conflict", "code": 409,
            "details": {"causes": causes},
        });
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    };
    let cause = |field: &str, client: &str| {
        json!({
            "reason": "FieldManagerConflict", "field": field,
            "message": format!("conflict with \"{client}\" using v1 at 2026-11-30T00:00:00Z"),
        })
    };
    for (causes, expected) in [
        (json!([]), None),
        (
            json!([{"reason": "Other", "field": ".data.a", "message": ""}]),
            None,
        ),
        (
            json!([
                cause(".data.tls.crt", "kubectl-edit"),
                cause(".data.a", "helm")
            ]),
            Some("the key a (helm), the key tls.crt (kubectl-edit)"),
        ),
        (
            json!([{"reason": "FieldManagerConflict", "field": ".data.a", "message": "?"}]),
            Some("the key a"),
        ),
    ] {
        let found = conflict(&refusal(causes.clone()));
        assert_eq!(found.as_deref(), expected, "{causes}");
    }
    let many: Vec<Value> = (0..9)
        .map(|key| cause(&format!(".data.{key}"), "x"))
        .collect();
    let found = conflict(&refusal(json!(many))).unwrap();
    assert!(found.ends_with("the key 7 (x) and others"), "{found}");
    // The longest names that there are leave room in the status and in the message.
    let client = format!("jira-credential-operator/merge-{}", "c".repeat(97));
    let longest: Vec<Value> = (0..8)
        .map(|key| cause(&format!(".data.{key}{}", "k".repeat(252)), &client))
        .collect();
    let found = conflict(&refusal(json!(longest))).unwrap();
    assert!(found.chars().count() <= LONGEST_DETAIL, "{found}");
    assert!(found.contains(&format!("({client})")), "{found}");
    assert!(found.ends_with(" and others"), "{found}");
}

#[test]
fn a_removal_is_told_by_what_the_secret_shows() {
    let keys = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let left = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for (name, wrote, present, allowed, expected) in [
        ("all went", keys(&["a", "b"]), "theirs", true, Removed::Gone),
        (
            "another client applies one, too",
            keys(&["a", "b"]),
            "b theirs",
            true,
            Removed::Left(left(&["b"])),
        ),
        (
            "the Secret is closed",
            keys(&["a", "b"]),
            "a b",
            false,
            Removed::NotAllowed(left(&["a", "b"])),
        ),
        (
            "closed, and a person has removed them",
            keys(&["a"]),
            "theirs",
            false,
            Removed::Gone,
        ),
        ("nothing was written", keys(&[]), "a", true, Removed::Gone),
    ] {
        let mut found = secret(&json!({}));
        let present = present.split(' ').map(str::to_owned);
        found.data = Some(present.map(|key| (key, ByteString(vec![1]))).collect());
        assert_eq!(Removed::of(&wrote, &found, allowed), expected, "{name}");
    }
    assert_eq!(
        Removed::of(&keys(&["a"]), &secret(&json!({})), true),
        Removed::Gone
    );
}
