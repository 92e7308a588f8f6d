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
