//! Which right is missing, as the API server's refusal says it.

use crate::core::spec::MissingRight;

/// What a right may consist of. Anything else is not repeated: the text of a refusal may come from an
/// admission webhook, which has seen the request.
const VERBS: [&str; 8] = [
    "create", "delete", "get", "list", "patch", "update", "use", "watch",
];

/// The resources that the operator works with.
const RESOURCES: [&str; 11] = [
    "configmaps",
    "daemonsets",
    "deployments",
    "events",
    "jiracredentials",
    "jiracredentials/status",
    "leases",
    "secrets",
    "statefulsets",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
];

/// Reads `User "system:serviceaccount:ns:name" cannot get resource "secrets" in API group "" in the
/// namespace "x"`, the words of the API server's authorizer.
pub(super) fn missing_right(message: &str) -> Option<MissingRight> {
    let (user, rest) = quoted(message, "User \"")?;
    let (verb, rest) = rest.strip_prefix(" cannot ")?.split_once(' ')?;
    let (resource, rest) = quoted(rest, "resource \"")?;
    if !VERBS.contains(&verb) || !RESOURCES.contains(&resource) {
        return None;
    }
    let namespace = quoted(rest, "in the namespace \"").map(|(namespace, _)| namespace);
    let account = user.strip_prefix("system:serviceaccount:");
    let account = account.and_then(|account| account.split_once(':'));
    let account = account.filter(|(namespace, name)| is_name(namespace) && is_name(name));
    Some(MissingRight {
        account: account.map(|(namespace, name)| format!("{namespace}/{name}")),
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.filter(|name| is_name(name)).map(str::to_owned),
    })
}

/// What stands between `before`, which ends in a quote, and the next quote; and what follows.
fn quoted<'a>(text: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once('"')
}

/// Whether the text can be the name of an object.
fn is_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_authorizer_name_a_right() {
        for (message, said) in [
            (
                r#"secrets "a" is forbidden: User "system:serviceaccount:ops:op" cannot get resource "secrets" in API group "" in the namespace "team""#,
                "the operator's ServiceAccount ops/op has no right to get secrets in the namespace team;",
            ),
            (
                r#"events.events.k8s.io is forbidden: User "jane" cannot create resource "events" in API group "events.k8s.io" at the cluster scope"#,
                "the operator's user has no right to create events in the cluster;",
            ),
        ] {
            let right = missing_right(message).unwrap().to_string();
            assert!(right.starts_with(said), "{right}");
        }
    }

    #[test]
    fn other_refusals_name_none_and_nothing_else_is_repeated() {
        for message in [
            r#"secrets "a" is forbidden: exceeded quota: q, requested: count/secrets=1"#,
            r#"secrets "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"#,
            r#"User "x" cannot canary resource "secrets""#,
            r#"User "x" cannot get resource "canary""#,
            "",
        ] {
            assert_eq!(missing_right(message), None, "{message}");
        }
        let forged = r#"User "system:serviceaccount:a:CANARY" cannot get resource "secrets" in the namespace "CANARY""#;
        let right = missing_right(forged).unwrap();
        assert_eq!((right.account, right.namespace), (None, None));
    }
}
