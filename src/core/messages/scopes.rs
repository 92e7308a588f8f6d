//! Which scopes a token needs for what the operator does with it.

use crate::api::Hosting;
use crate::core::facts::Facts;

/// The scopes that reading one's own user takes: the least one of Data Center, and for Cloud the
/// classic or the granular ones, whichever the spec uses (Atlassian documentation of `/myself`).
pub(crate) fn needed_scopes(facts: &Facts) -> Vec<&'static str> {
    match kind(facts) {
        Kind::DataCenter => vec!["READ"],
        Kind::Classic if requires_permissions(facts) => vec!["read:jira-user", "read:jira-work"],
        Kind::Classic => vec!["read:jira-user"],
        Kind::Granular => {
            let mut scopes = vec![
                "read:user:jira",
                "read:group:jira",
                "read:application-role:jira",
                "read:avatar:jira",
            ];
            if requires_permissions(facts) {
                scopes.push("read:permission:jira");
            }
            scopes
        }
    }
}

/// The scope that reading the permissions of an account takes (Atlassian documentation of
/// `mypermissions`).
pub(crate) fn permission_scope(facts: &Facts) -> &'static str {
    match kind(facts) {
        Kind::DataCenter => "READ",
        Kind::Classic => "read:jira-work",
        Kind::Granular => "read:permission:jira",
    }
}

/// The scopes as part of a sentence.
pub(crate) fn listed(scopes: &[&str]) -> String {
    match scopes.split_last() {
        Some((last, [])) => format!("the scope {last}"),
        Some((last, first)) => format!("the scopes {} and {last}", first.join(", ")),
        None => "a scope of Jira".to_owned(),
    }
}

enum Kind {
    DataCenter,
    Classic,
    Granular,
}

fn kind(facts: &Facts) -> Kind {
    let Ok(plan) = &facts.plan else {
        return Kind::Classic;
    };
    if plan.site.hosting == Hosting::DataCenter {
        return Kind::DataCenter;
    }
    // Granular scopes name an action, an entity and the product.
    let is_granular = |scope: &String| scope.matches(':').count() > 1;
    let wanted = plan.renewal.as_ref().map(|renewal| &renewal.scopes);
    if wanted.is_some_and(|scopes| scopes.iter().any(is_granular)) {
        Kind::Granular
    } else {
        Kind::Classic
    }
}

fn requires_permissions(facts: &Facts) -> bool {
    !facts.spec.validation.required_permissions.is_empty()
}
