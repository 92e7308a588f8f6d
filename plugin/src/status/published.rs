//! Which Secrets a credential publishes.

use jira_credential_operator::api::JiraCredential;
use kube::ResourceExt;

/// The names of the Secrets that the credential publishes, as the spec has them.
pub fn published(object: &JiraCredential) -> Vec<String> {
    if object.spec.targets.is_empty() {
        let bound = object
            .status
            .as_ref()
            .and_then(|status| status.binding.as_ref());
        return vec![bound.map_or_else(|| object.name_any(), |bound| bound.name.clone())];
    }
    let targets = object.spec.targets.iter();
    targets.map(|target| target.name.clone()).collect()
}
