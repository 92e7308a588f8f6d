//! What the caller may do: one review per right.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use crate::connect::{Cluster, failed, timed_out};
use crate::doctor::finding::{Finding, Level};
use crate::failure::Failure;

/// One right.
struct Right {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    /// Which commands need it.
    needed_by: &'static str,
    /// Whether nothing works without it.
    is_vital: bool,
}

const fn right(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    needed_by: &'static str,
) -> Right {
    Right {
        group,
        resource,
        verb,
        needed_by,
        is_vital: false,
    }
}

const fn vital(mut right: Right) -> Right {
    right.is_vital = true;
    right
}

const OURS: &str = "jira-operator.dev";

/// What the commands need, and what the admission policy wants of the author of a `JiraCredential`.
const RIGHTS: [Right; 10] = [
    vital(right(OURS, "jiracredentials", "get", "status NAME")),
    vital(right(
        OURS,
        "jiracredentials",
        "list",
        "status, check, doctor",
    )),
    right(OURS, "jiracredentials", "watch", "renew, rotate, login"),
    right(
        OURS,
        "jiracredentials",
        "patch",
        "renew, rotate --expires-at",
    ),
    right(
        OURS,
        "jiracredentials",
        "create",
        "login of a new credential",
    ),
    right("", "pods", "list", "the workloads of status NAME"),
    right(
        "",
        "secrets",
        "get",
        "doctor, rotate, login, or to write a JiraCredential",
    ),
    right(
        "",
        "secrets",
        "create",
        "login, or to write a JiraCredential with a target",
    ),
    right(
        "",
        "secrets",
        "update",
        "rotate, login, or to write a JiraCredential with a target",
    ),
    right(
        "",
        "configmaps",
        "get",
        "doctor, or to write a JiraCredential with tls.caConfigMapRef",
    ),
];

/// Asks about every right, in the namespace or in all of them.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn examine(cluster: &Cluster, everywhere: bool) -> Result<Vec<Finding>, Failure> {
    let namespace = (!everywhere).then_some(cluster.namespace.as_str());
    let mut missing = Vec::new();
    for right in RIGHTS {
        let (level, message, next) = match may(cluster, namespace, &right).await? {
            Ok(true) => continue,
            Ok(false) => (
                if right.is_vital {
                    Level::Bad
                } else {
                    Level::Warning
                },
                format!(
                    "you may not {} {}{}",
                    right.verb,
                    right.resource,
                    place(namespace)
                ),
                format!(
                    "ask an administrator for it, if you need {}",
                    right.needed_by
                ),
            ),
            // Then every other question is refused, too.
            Err(cause) => {
                let next = "ask an administrator for the right to ask, or to run doctor";
                let unknown = Finding::new(Level::Unknown, "your rights", cause, next);
                return Ok(vec![unknown]);
            }
        };
        missing.push(Finding::new(level, "your rights", message, next));
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

/// Whether the caller has a right; the error says why the API server does not tell.
async fn may(
    cluster: &Cluster,
    namespace: Option<&str>,
    right: &Right,
) -> Result<Result<bool, String>, Failure> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.to_owned()),
                resource: Some(right.resource.to_owned()),
                verb: Some(right.verb.to_owned()),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let what = "ask for your rights";
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let params = PostParams::default();
    let asked = cluster.within(api.create(&params, &review)).await;
    match asked.ok_or_else(|| timed_out(what))? {
        Ok(review) => Ok(Ok(review.status.is_some_and(|status| status.allowed))),
        Err(error) if is_refused(&error) => Ok(Err(failed(what, &error).message)),
        Err(error) => Err(failed(what, &error)),
    }
}

fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}
