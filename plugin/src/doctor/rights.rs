//! What the caller may do: one review per right.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use crate::connect::Cluster;
use crate::doctor::finding::{Finding, Level};
use crate::failure::Failure;

/// Group, resource, verb, which command needs it, and whether nothing works without it.
const RIGHTS: [(&str, &str, &str, &str, bool); 7] = [
    (
        "jira-operator.dev",
        "jiracredentials",
        "get",
        "status NAME",
        true,
    ),
    (
        "jira-operator.dev",
        "jiracredentials",
        "list",
        "status, check, doctor",
        true,
    ),
    (
        "jira-operator.dev",
        "jiracredentials",
        "watch",
        "renew, rotate",
        false,
    ),
    (
        "jira-operator.dev",
        "jiracredentials",
        "patch",
        "renew, rotate --expires-at",
        false,
    ),
    ("", "pods", "list", "the workloads of status NAME", false),
    ("", "secrets", "get", "doctor, rotate", false),
    ("", "secrets", "update", "rotate", false),
];

/// Asks about every right, in the namespace or in all of them.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn examine(cluster: &Cluster, everywhere: bool) -> Result<Vec<Finding>, Failure> {
    let namespace = (!everywhere).then_some(cluster.namespace.as_str());
    let mut missing = Vec::new();
    for (group, resource, verb, needed_by, is_vital) in RIGHTS {
        if !may(cluster, namespace, (group, resource, verb)).await? {
            let level = if is_vital { Level::Bad } else { Level::Warning };
            missing.push(Finding::new(
                level,
                "your rights",
                format!("you may not {verb} {resource}{}", place(namespace)),
                format!("ask an administrator for it, if you need {needed_by}"),
            ));
        }
    }
    if missing.is_empty() {
        let message = format!(
            "you have every right that the commands need{}",
            place(namespace)
        );
        missing.push(Finding::ok("your rights", message));
    }
    Ok(missing)
}

fn place(namespace: Option<&str>) -> String {
    namespace.map_or_else(
        || " in all namespaces".to_owned(),
        |namespace| format!(" in the namespace {namespace}"),
    )
}

async fn may(
    cluster: &Cluster,
    namespace: Option<&str>,
    (group, resource, verb): (&str, &str, &str),
) -> Result<bool, Failure> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                verb: Some(verb.to_owned()),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let params = PostParams::default();
    let asked = cluster.ask("ask for your rights", api.create(&params, &review));
    Ok(asked.await?.status.is_some_and(|status| status.allowed))
}
