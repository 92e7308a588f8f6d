//! Waiting for the operator, by a watch of one object.

use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use jira_credential_operator::api::{ConditionType, JiraCredential};
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
        let valid = status.condition(ConditionType::Valid);
        valid.or_else(|| status.condition(ConditionType::Ready))
    });
    let said = said.map_or("nothing yet; is it running? See doctor", |said| {
        &said.message
    });
    Failure::new(
        Exit::TimedOut,
        format!(
            "{name} is not done within --timeout; the request stays open. The operator says: {said}"
        ),
    )
}
