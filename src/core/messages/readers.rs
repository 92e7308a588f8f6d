//! What is said of workloads that keep the old value of a published Secret.

use crate::api::{Target, Workload};

/// Workloads that a message names.
const MOST_NAMES: usize = 8;

/// The note about the workloads that read a target and are not restarted. Those of another namespace are counted, since
/// their names are not for the readers of this one.
pub fn not_restarted(target: &Target, workloads: &[Workload]) -> String {
    let secret = target.path();
    let count = workloads.len();
    if let Some(namespace) = &target.namespace {
        let (who, use_) = match count {
            1 => ("1 workload".to_owned(), "uses"),
            more => (format!("{more} workloads"), "use"),
        };
        return format!(
            "The Secret {secret} holds another credential, and {who} of the namespace {namespace} {use_} the one before until a restart, reading it by environment variables or subPath. Restart what reads it there, or have it mount files without subPath; spec.restart names workloads of the namespace of the JiraCredential only."
        );
    }
    let names = workloads.iter().take(MOST_NAMES).map(ToString::to_string);
    let names = names.collect::<Vec<_>>().join(", ");
    let others = match count.saturating_sub(MOST_NAMES) {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        more => format!(" and {more} others"),
    };
    format!(
        "The Secret {secret} holds another credential, and these workloads use the one before until they are restarted, since they read it by environment variables or subPath: {names}{others}. Add them to spec.restart, or have them mount files without subPath; restart them now if they need the new one."
    )
}
