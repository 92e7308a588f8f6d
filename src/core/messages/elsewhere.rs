//! Why the operator publishes nothing into another namespace.

use crate::api::{Reason, Target};
use crate::core::facts::Barrier;

/// The reason and the message for a target into whose namespace nothing is written; `secret`: how it is called.
pub fn barred(secret: &str, target: &Target, barrier: Barrier) -> (Reason, String) {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    match barrier {
        Barrier::Policy => (
            Reason::PolicyNotInForce,
            format!(
                "The Secret {secret} is not written: the operator publishes into other namespaces only while the admission policy is in force that checks who may do so. An administrator has to apply deploy/admission-policy.yaml of this version; then the operator goes on."
            ),
        ),
        Barrier::NotWatched => (
            Reason::NamespaceNotServed,
            format!(
                "The Secret {secret} is not written: the operator does not serve the namespace {namespace}. An administrator can add it to --watch-namespaces; otherwise remove the target from spec.targets."
            ),
        ),
        Barrier::NotListed => (
            Reason::NamespaceNotServed,
            format!(
                "The Secret {secret} is not written: the API server does not let the operator list what is in the namespace {namespace}. An administrator has to grant it the roles of a listed namespace there; the log names the right."
            ),
        ),
        Barrier::Missing => (
            Reason::NamespaceMissing,
            format!(
                "The Secret {secret} is not written: the namespace {namespace} does not exist. Create it, or remove the target from spec.targets. The operator tries again every minute."
            ),
        ),
    }
}

/// What is said of a Secret that the spec no longer names in a namespace that the operator does not serve.
pub fn stays(secret: &str, namespace: &str) -> String {
    format!(
        "The Secret {secret} stays, though spec.targets does not name it any more: the operator does not serve the namespace {namespace}. A token in it may still work. Somebody who may delete Secrets there has to delete it."
    )
}
