//! What is installed: the definition, the admission policies, the operator.

use std::time::Duration;

use jira_credential_operator::api::OPERATOR_NAME;
use jira_credential_operator::cluster::{self, PolicyState};
use jira_credential_operator::crd::crd;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;

use crate::connect::{Cluster, failed, timed_out};
use crate::doctor::finding::{Finding, Level};
use crate::failure::Failure;

/// `--request-timeout` is what counts; a reader of the operator wants a limit of its own.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks at everything that `crds` and `deploy` install.
///
/// # Errors
/// When the time of a request runs out.
pub async fn examine(cluster: &Cluster, namespace: &str) -> Result<Vec<Finding>, Failure> {
    let mut findings = vec![definition(cluster).await?];
    let reader = cluster::Cluster::new(cluster.client.clone(), NO_LIMIT);
    // The names that deploy/ gives them.
    for part in ["", "-restart", "-writes", "-restart-writes"] {
        let name = format!("{OPERATOR_NAME}{part}");
        let state = cluster.within(reader.admission_policy(&name)).await;
        let what = format!("read the admission policy {name}");
        let state = state.ok_or_else(|| timed_out(&what))?;
        findings.push(policy(&name, state.map_err(|error| error.to_string())));
    }
    findings.push(operator(cluster, namespace).await?);
    Ok(findings)
}

async fn definition(cluster: &Cluster) -> Result<Finding, Failure> {
    let own = crd();
    let name = own.metadata.name.clone().unwrap_or_default();
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let about = "CustomResourceDefinition";
    let unknown = |cause: String| {
        Finding::new(
            Level::Unknown,
            about,
            cause,
            "ask an administrator to run doctor; if credentials are listed, it is installed",
        )
    };
    let what = format!("read the CustomResourceDefinition {name}");
    let read = cluster.within(api.get_opt(&name)).await;
    Ok(match read.ok_or_else(|| timed_out(&what))? {
        Ok(Some(installed)) => compare(&installed, &own),
        Ok(None) => Finding::new(
            Level::Bad,
            about,
            format!("{name} is not installed"),
            "kubectl apply --server-side -f crds/jiracredentials.yaml",
        ),
        Err(error) => unknown(failed(&what, &error).message),
    })
}

/// Whether the definition is that of this version.
fn compare(installed: &CustomResourceDefinition, own: &CustomResourceDefinition) -> Finding {
    let about = "CustomResourceDefinition";
    let version = own.spec.versions.first();
    let served = version.and_then(|own| {
        let versions = installed.spec.versions.iter();
        versions
            .into_iter()
            .find(|version| version.name == own.name && version.served)
    });
    match (served, version) {
        (Some(served), Some(own)) if served.schema == own.schema => {
            Finding::ok(about, format!("{} is that of this plugin", own.name))
        }
        (Some(served), _) => Finding::new(
            Level::Warning,
            about,
            format!(
                "{} differs from that of this plugin ({})",
                served.name,
                env!("CARGO_PKG_VERSION")
            ),
            "use the plugin of the operator's version, and apply crds/jiracredentials.yaml of that version",
        ),
        (None, _) => Finding::new(
            Level::Bad,
            about,
            "it serves no version that this plugin knows",
            "use the plugin of the operator's version, and apply crds/jiracredentials.yaml of that version",
        ),
    }
}

fn policy(name: &str, state: Result<PolicyState, String>) -> Finding {
    let about = format!("admission policy {name}");
    match state {
        Ok(PolicyState::InForce) => Finding::ok(about, "in force"),
        Ok(state) => Finding::new(
            Level::Bad,
            about,
            state.to_string(),
            "apply deploy/ again: kubectl apply --server-side -k deploy",
        ),
        Err(cause) => Finding::new(
            Level::Unknown,
            about,
            format!("it could not be read: {cause}"),
            "ask an administrator to run doctor",
        ),
    }
}

async fn operator(cluster: &Cluster, namespace: &str) -> Result<Finding, Failure> {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
    let what = format!("read the Deployment {namespace}/{OPERATOR_NAME}");
    let read = cluster.within(api.get_opt(OPERATOR_NAME)).await;
    Ok(match read.ok_or_else(|| timed_out(&what))? {
        Ok(deployment) => available(deployment.as_ref(), namespace),
        Err(error) => Finding::new(
            Level::Unknown,
            "operator",
            failed(&what, &error).message,
            "ask an administrator to run doctor, or give --operator-namespace",
        ),
    })
}

fn available(deployment: Option<&Deployment>, namespace: &str) -> Finding {
    let Some(deployment) = deployment else {
        return Finding::new(
            Level::Bad,
            "operator",
            format!("there is no Deployment {namespace}/{OPERATOR_NAME}"),
            "give --operator-namespace, or install the operator: kubectl apply --server-side -k deploy",
        );
    };
    let status = deployment.status.as_ref();
    let available = status.and_then(|status| status.available_replicas);
    if available.unwrap_or_default() > 0 {
        Finding::ok(
            "operator",
            format!("{namespace}/{OPERATOR_NAME} is available"),
        )
    } else {
        Finding::new(
            Level::Bad,
            "operator",
            format!(
                "{namespace}/{OPERATOR_NAME} has no available replica; nothing is validated or renewed"
            ),
            format!(
                "kubectl describe deployment -n {namespace} {OPERATOR_NAME}, and the logs of its pods"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn an_operator_without_a_replica_is_bad() {
        for (replicas, level) in [
            (Some(1), Level::Ok),
            (Some(0), Level::Bad),
            (None, Level::Bad),
        ] {
            let deployment: Deployment = serde_json::from_value(json!({
                "status": {"availableReplicas": replicas},
            }))
            .unwrap();
            let found = available(Some(&deployment), "jco");
            assert_eq!(found.level, level, "{replicas:?}");
        }
        assert_eq!(available(None, "jco").level, Level::Bad);
    }

    #[test]
    fn another_definition_is_told() {
        let own = crd();
        let mut older = own.clone();
        for version in &mut older.spec.versions {
            version.schema = None;
        }
        let mut unserved = own.clone();
        for version in &mut unserved.spec.versions {
            version.served = false;
        }
        for (installed, level) in [
            (own.clone(), Level::Ok),
            (older, Level::Warning),
            (unserved, Level::Bad),
        ] {
            assert_eq!(compare(&installed, &own).level, level);
        }
    }

    #[test]
    fn a_policy_that_is_not_in_force_is_bad() {
        for (state, level) in [
            (Ok(PolicyState::InForce), Level::Ok),
            (Ok(PolicyState::NoPolicy), Level::Bad),
            (Ok(PolicyState::NotEnforced), Level::Bad),
            (Err("forbidden".to_owned()), Level::Unknown),
        ] {
            assert_eq!(policy("p", state.clone()).level, level, "{state:?}");
        }
    }
}
