//! The rights that manifests grant, and the requests that need them.

use std::collections::BTreeSet;

use control_plane::faults::Recorded;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;

use crate::support::OPERATOR;

/// What may be done, where, and to what.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Right {
    /// The namespace of a Role; `None` for what a `ClusterRole` grants in all of them.
    namespace: Option<String>,
    /// As `verb group/resource`.
    action: String,
    /// If it is granted for one name only.
    name: Option<String>,
}

impl Right {
    fn covers(&self, request: &Recorded) -> bool {
        let asked = format!("{} {}/{}", request.verb, request.group, request.target());
        (self.namespace.is_none() || self.namespace == request.namespace)
            && self.action == asked
            && (self.name.is_none() || self.name == request.name)
    }
}

/// The rights of the operator in manifests: all Roles, and the `ClusterRole` of its name.
pub(crate) fn rights(documents: &[Value]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for role in documents {
        let kind = role["kind"].as_str();
        let is_own = role["metadata"]["name"] == OPERATOR;
        if kind != Some("Role") && !(kind == Some("ClusterRole") && is_own) {
            continue;
        }
        let namespace = role["metadata"]["namespace"].as_str();
        assert_eq!(namespace.is_some(), kind == Some("Role"), "{role}");
        let rules: Vec<PolicyRule> = serde_json::from_value(role["rules"].clone()).unwrap();
        for rule in rules {
            all.extend(of_rule(namespace, rule));
        }
    }
    all
}

fn of_rule(namespace: Option<&str>, rule: PolicyRule) -> Vec<Right> {
    assert!(rule.non_resource_urls.is_none(), "{rule:?}");
    let groups = rule.api_groups.unwrap();
    let [group] = groups.as_slice() else {
        panic!("{groups:?}");
    };
    let names = rule.resource_names.unwrap_or_default();
    let names = if names.is_empty() {
        vec![None]
    } else {
        names.into_iter().map(Some).collect()
    };
    let mut all = Vec::new();
    for resource in rule.resources.unwrap() {
        for verb in &rule.verbs {
            all.extend(names.iter().map(|name| Right {
                namespace: namespace.map(str::to_owned),
                action: format!("{verb} {group}/{resource}"),
                name: name.clone(),
            }));
        }
    }
    all
}

/// Fails if something was asked for that is not granted, or granted and never used, except in namespaces
/// in which nothing goes on.
pub(crate) fn compare(requests: &[Recorded], granted: &BTreeSet<Right>, idle: &[&str]) {
    let missing: Vec<_> = requests
        .iter()
        .filter(|request| !granted.iter().any(|right| right.covers(request)))
        .collect();
    let is_idle = |right: &Right| {
        right
            .namespace
            .as_deref()
            .is_some_and(|namespace| idle.contains(&namespace))
    };
    let unused: Vec<_> = granted
        .iter()
        .filter(|right| !is_idle(right))
        .filter(|right| !requests.iter().any(|request| right.covers(request)))
        .collect();
    assert!(
        missing.is_empty() && unused.is_empty(),
        "asked for but not granted: {missing:?}; granted but never used: {unused:?}"
    );
}
