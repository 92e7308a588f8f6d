//! What is said of workloads that keep the old value of a published Secret.

use crate::api::{Target, Workload};

/// Workloads that a message names.
const MOST_NAMES: usize = 8;

/// The note about the workloads that read a target and are not restarted.
pub fn not_restarted(target: &Target, workloads: &[Workload]) -> String {
    let names = workloads.iter().take(MOST_NAMES).map(ToString::to_string);
    let names = names.collect::<Vec<_>>().join(", ");
    let others = match workloads.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        more => format!(" and {more} others"),
    };
    let secret = target.path();
    let remedy = if target.namespace.is_some() {
        "Restart them, or have them mount files without subPath; spec.restart names workloads of the namespace of the JiraCredential only."
    } else {
        "Add them to spec.restart, or have them mount files without subPath; restart them now if they need the new one."
    };
    format!(
        "The Secret {secret} holds another credential, and these workloads use the one before until they are restarted, since they read it by environment variables or subPath: {names}{others}. {remedy}"
    )
}
