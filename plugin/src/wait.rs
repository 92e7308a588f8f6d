//! Waiting for the operator, by a watch of one object.

use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential};
use kube::api::Api;
use kube::runtime::wait::{Error, await_condition};
use kube::runtime::watcher;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::words;

/// Between two attempts when the API server does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a command waits.
#[derive(Args, Clone, Debug)]
pub struct WaitArgs {
    /// How long to wait, such as 2m; 0 means without a limit.
    #[arg(long, default_value = "2m", value_parser = words::limit, value_name = "TIME")]
    pub timeout: Duration,
}

/// Prints a line of progress, unless it is the one that was printed last.
pub fn tell_once(told: &Mutex<Option<String>>, line: String) {
    let Ok(mut last) = told.lock() else { return };
    if last.as_ref() != Some(&line) {
        output::progress(&output::plain(&line));
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
    let wait = async {
        loop {
            match Box::pin(await_condition(api.clone(), name, &seen)).await {
                Err(error) if !is_refused(&error) => tokio::time::sleep(PAUSE).await,
                ended => return ended,
            }
        }
    };
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
            "cannot list and watch the JiraCredential {}/{name}: {error}; check the rights to list and to watch it, or see its state with kubectl jira-credential status {name}",
            cluster.namespace
        ))),
        Err(_) => {
            let last = last.lock().ok().and_then(|mut last| last.take());
            Err(timed_out(name, last.as_ref()))
        }
    }
}

/// Whether the API server refuses the watch, so that no attempt helps.
fn is_refused(error: &Error) -> bool {
    let Error::ProbeFailed(error) = error;
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    matches!(status.code, 401 | 403)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

    /// An API server that gives these answers, one per connection.
    async fn serve(answers: Vec<(u16, serde_json::Value)>) -> Cluster {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for (code, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let body = body.to_string();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {code} x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let config = json!({
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, config.to_string()).unwrap();
        let args = crate::connect::ConnectArgs {
            kubeconfig: Some(path),
            ..Default::default()
        };
        args.connect().await.unwrap()
    }

    #[tokio::test]
    async fn only_a_refused_watch_ends_the_wait() {
        let status = |code: u16| {
            let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure",
                "message": "no", "reason": "x", "code": code});
            (code, status)
        };
        let found = || {
            let list = json!({"apiVersion": "jira-operator.dev/v1alpha1",
                "kind": "JiraCredentialList", "metadata": {"resourceVersion": "1"},
                "items": [object(&[("Ready", "True")])]});
            (200, list)
        };
        for (first, is_found) in [(500, true), (401, false), (403, false)] {
            let cluster = serve(vec![status(first), found()]).await;
            let ended = until(&cluster, "bot", Duration::from_secs(30), |_| true).await;
            let told = ended.as_ref().err().map(ToString::to_string);
            assert_eq!(ended.is_ok(), is_found, "{first}: {told:?}");
        }
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
