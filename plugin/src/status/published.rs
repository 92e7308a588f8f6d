//! Which Secrets a credential publishes.

use jira_credential_operator::api::{JiraCredential, Target};
use jira_credential_operator::core::facts::targets::targets;
use kube::ResourceExt;

/// The names of the Secrets that the credential publishes, as the spec has them; those of other namespaces behind
/// their namespace.
pub fn published(object: &JiraCredential) -> Vec<String> {
    named(object, |_| true)
}

/// Those in the namespace of the credential.
pub fn published_here(object: &JiraCredential) -> Vec<String> {
    named(object, |target| target.namespace.is_none())
}

fn named(object: &JiraCredential, wanted: fn(&Target) -> bool) -> Vec<String> {
    if object.spec.targets.is_empty() {
        let bound = object
            .status
            .as_ref()
            .and_then(|status| status.binding.as_ref());
        return vec![bound.map_or_else(|| object.name_any(), |bound| bound.name.clone())];
    }
    let namespace = object.namespace().unwrap_or_default();
    let targets = targets(&object.spec, &namespace, &object.name_any());
    let targets = targets.iter().filter(|target| wanted(target));
    targets.map(Target::path).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_of_another_namespace_is_named_with_it_and_is_not_here() {
        let object: JiraCredential = serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "namespace": "team"},
            "spec": {"site": "https://acme.atlassian.net", "auth": {}, "targets": [
                {"name": "a"}, {"name": "b", "namespace": "team"}, {"name": "c", "namespace": "other"},
                {"name": "a", "namespace": "other"}
            ]},
        }))
        .unwrap();
        assert_eq!(published(&object), ["a", "b", "other/c", "other/a"]);
        assert_eq!(published_here(&object), ["a", "b"]);
    }
}
