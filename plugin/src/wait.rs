//! Waiting for the operator, by a watch of one object.

use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential};
use kube::api::Api;
use kube::runtime::wait::await_condition;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::words;

/// How long a command waits.
#[derive(Args, Clone, Debug)]
pub struct WaitArgs {
    /// How long to wait, such as 2m; 0 means for ever.
    #[arg(long, default_value = "2m", value_parser = words::limit, value_name = "TIME")]
    pub timeout: Duration,
}

/// Prints a line of progress, unless it is the one that was printed last.
pub fn tell_once(told: &Mutex<Option<String>>, line: String) {
    let Ok(mut last) = told.lock() else { return };
    if last.as_ref() != Some(&line) {
        output::progress(&line);
        *last = Some(line);
    }
}

/// Waits until a credential is as it should be.
///
/// # Errors
/// When the watch fails, the credential is deleted, or the time runs out; then the message says what
/// the operator says.
pub async fn until(
    cluster: &Cluster,
    name: &str,
    limit: Duration,
    is: impl Fn(&JiraCredential) -> bool,
) -> Result<JiraCredential, Failure> {
    let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let last: Mutex<Option<JiraCredential>> = Mutex::default();
    let seen = |object: Option<&JiraCredential>| {
        if let Ok(mut last) = last.lock() {
            *last = object.cloned();
        }
        object.is_none_or(&is)
    };
    let wait = await_condition(api, name, seen);
    let ended = if limit.is_zero() {
        Ok(wait.await)
    } else {
        tokio::time::timeout(limit, wait).await
    };
    match ended {
        Ok(Ok(Some(object))) => Ok(object),
        Ok(Ok(None)) => Err(Failure::error(format!(
            "the JiraCredential {}/{name} was deleted meanwhile",
            cluster.namespace
        ))),
        Ok(Err(error)) => Err(Failure::error(format!(
            "cannot watch the JiraCredential {}/{name}: {error}; check the right to watch it, or see its state with status {name}",
            cluster.namespace
        ))),
        Err(_) => {
            let last = last.lock().ok().and_then(|mut last| last.take());
            Err(timed_out(name, last.as_ref()))
        }
    }
}

fn timed_out(name: &str, last: Option<&JiraCredential>) -> Failure {
    let status = last.and_then(|object| object.status.as_ref());
    let said = status.and_then(|status| {
        let ready = status.condition(ConditionType::Ready);
        let failing = ready.filter(|ready| ready.status != ConditionStatus::True);
        failing
            .or_else(|| status.condition(ConditionType::Valid))
            .or(ready)
    });
    let said = said.map_or(
        "nothing yet; is it running? See kubectl jira-credential doctor.",
        |said| &said.message,
    );
    Failure::new(
        Exit::TimedOut,
        format!("{name} is not done within --timeout. The operator says: {said}"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    fn object(conditions: &[(&str, &str)]) -> JiraCredential {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status)| {
                json!({"type": kind, "status": status, "reason": "Validated",
                    "message": format!("{kind} is {status}."),
                    "lastTransitionTime": "2027-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "resourceVersion": "1"},
            "spec": {"site": "https://acme.atlassian.net", "auth": {}},
            "status": {"observedGeneration": 1, "conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn what_keeps_it_from_being_ready_is_told() {
        for (conditions, said) in [
            (
                &[("Valid", "True"), ("Ready", "False")][..],
                "Ready is False.",
            ),
            (
                &[("Valid", "Unknown"), ("Ready", "True")],
                "Valid is Unknown.",
            ),
            (&[("Ready", "True")], "Ready is True."),
        ] {
            let told = timed_out("bot", Some(&object(conditions)));
            assert!(told.message.ends_with(said), "{told}");
        }
    }
}
