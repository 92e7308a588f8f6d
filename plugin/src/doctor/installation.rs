//! What is installed: the definition, the admission policies, the operator.

use std::time::Duration;

use jira_credential_operator::api::OPERATOR_NAME;
use jira_credential_operator::cluster::{self, AdmissionPolicy, PolicyState};
use jira_credential_operator::crd::crd;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;

use crate::connect::{Cluster, failed, timed_out};
use crate::doctor::finding::{Finding, Level};
use crate::failure::Failure;

/// `--request-timeout` is what counts; a reader of the operator wants a limit of its own.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The flag of the operator that lists the namespaces which it serves, and its variable.
const LISTED: (&str, &str) = ("--watch-namespaces", "JCO_WATCH_NAMESPACES");

/// Looks at everything that `crds` and `deploy` install, and whether the operator serves the namespace that is
/// asked about.
///
/// # Errors
/// When the time of a request runs out.
pub async fn examine(
    cluster: &Cluster,
    namespace: &str,
    asked: Option<&str>,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = vec![definition(cluster).await?];
    let reader = cluster::Cluster::new(cluster.client.clone(), NO_LIMIT);
    // The names that deploy/ gives them.
    for part in [
        "",
        "-restart",
        "-writes",
        "-restart-writes",
        "-lease-writes",
    ] {
        let name = format!("{OPERATOR_NAME}{part}");
        let state = cluster.within(reader.admission_policy(&name)).await;
        let what = format!("read the admission policy {name}");
        let state = state.ok_or_else(|| timed_out(&what))?;
        let state = state.map_err(|error| error.to_string());
        let checks = part.is_empty() && state.as_ref().is_ok_and(|found| is_outdated(*found));
        findings.push(policy(&name, state.map(|found| found.state)));
        findings.extend(checks.then(|| outdated(&name)));
    }
    findings.extend(operator(cluster, namespace, asked).await?);
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

/// Whether a policy is in force and does not check who may publish into other namespaces.
fn is_outdated(found: AdmissionPolicy) -> bool {
    found.state == PolicyState::InForce && !found.checks_namespaces
}

fn outdated(name: &str) -> Finding {
    Finding::new(
        Level::Warning,
        format!("admission policy {name}"),
        "it does not check who may publish into other namespaces, so the operator serves no target with a namespace",
        "apply deploy/ of the operator's version: kubectl apply --server-side -k deploy",
    )
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

async fn operator(
    cluster: &Cluster,
    namespace: &str,
    asked: Option<&str>,
) -> Result<Vec<Finding>, Failure> {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
    let what = format!("read the Deployment {namespace}/{OPERATOR_NAME}");
    let read = cluster.within(api.get_opt(OPERATOR_NAME)).await;
    Ok(match read.ok_or_else(|| timed_out(&what))? {
        Ok(deployment) => {
            let listed = deployment.as_ref().and_then(listed);
            let served = listed
                .zip(asked)
                .map(|(listed, asked)| serves(&listed, asked));
            let available = available(deployment.as_ref(), namespace);
            [available].into_iter().chain(served).collect()
        }
        Err(error) => vec![Finding::new(
            Level::Unknown,
            "operator",
            failed(&what, &error).message,
            "ask an administrator to run doctor, or give --operator-namespace",
        )],
    })
}

/// The namespaces that the operator serves; `None` when these are all.
fn listed(deployment: &Deployment) -> Option<Vec<String>> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let container = pod.containers.first()?;
    let mut arguments = container.args.iter().flatten();
    let argument = arguments.find_map(|argument| argument.strip_prefix(LISTED.0));
    // `--flag LIST` or `--flag=LIST`.
    let argument = match argument {
        Some("") => arguments.next().map(String::as_str),
        other => other.and_then(|rest| rest.strip_prefix('=')),
    };
    let mut variables = container.env.iter().flatten();
    let variable = variables.find(|variable| variable.name == LISTED.1);
    let list = argument.or(variable.and_then(|variable| variable.value.as_deref()))?;
    let names = list.split(',').filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

fn serves(listed: &[String], asked: &str) -> Finding {
    let about = "served namespaces";
    let list = listed.join(", ");
    if listed.iter().any(|name| name == asked) {
        Finding::ok(about, list)
    } else {
        Finding::new(
            Level::Bad,
            about,
            format!(
                "the operator serves {list}, and not {asked}: it does not see JiraCredentials there"
            ),
            format!(
                "ask an administrator to add {asked} to --watch-namespaces, and the roles in it"
            ),
        )
    }
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
    fn a_namespace_that_is_not_served_is_bad() {
        let with = |container: serde_json::Value| -> Deployment {
            serde_json::from_value(json!({"spec": {
                "selector": {},
                "template": {"spec": {"containers": [container]}},
            }}))
            .unwrap()
        };
        let variable = |list: &str| json!({"name": "operator", "env": [{"name": "JCO_WATCH_NAMESPACES", "value": list}]});
        let argument =
            json!({"name": "operator", "args": ["run", "--watch-namespaces=team-a,team-b"]});
        for (container, level) in [
            (json!({"name": "operator"}), None),
            (variable(""), None),
            (variable("team-a"), Some(Level::Ok)),
            (variable("team-b,team-c"), Some(Level::Bad)),
            (argument, Some(Level::Ok)),
        ] {
            let found = listed(&with(container.clone())).map(|list| serves(&list, "team-a").level);
            assert_eq!(found, level, "{container}");
        }
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
