//! Whether the admission policy is in force: it keeps users from having the operator read Secrets
//! that they may not read themselves.

use std::fmt;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Api, ResourceExt};

use crate::api::CHECKS_NAMESPACES_ANNOTATION;
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;

/// What became of the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyState {
    /// Policy and binding are there, and refuse what the policy does not allow.
    InForce,
    /// There is no policy of this name.
    NoPolicy,
    /// There is no binding of this name to the policy.
    NotBound,
    /// The binding does not refuse, or only for a part of the cluster.
    NotEnforced,
    /// The API server did not answer, or refuses to show it.
    Unknown,
}

/// The admission policy as it was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AdmissionPolicy {
    /// What became of it.
    pub state: PolicyState,
    /// Whether it says that it checks the rights of authors in the namespaces of `spec.targets`: one of an earlier
    /// version does not.
    pub checks_namespaces: bool,
}

impl PolicyState {
    /// Whether it is in force, if that is known.
    pub fn in_force(self) -> Option<bool> {
        match self {
            PolicyState::InForce => Some(true),
            PolicyState::NoPolicy | PolicyState::NotBound | PolicyState::NotEnforced => Some(false),
            PolicyState::Unknown => None,
        }
    }
}

impl fmt::Display for PolicyState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            PolicyState::InForce => "in force",
            PolicyState::NoPolicy => "the ValidatingAdmissionPolicy does not exist",
            PolicyState::NotBound => {
                "the ValidatingAdmissionPolicyBinding does not exist or binds another policy"
            }
            PolicyState::NotEnforced => {
                "the policy does not refuse everywhere: failurePolicy is not Fail, validationActions has no Deny, or the binding selects a part of the objects"
            }
            PolicyState::Unknown => "unknown: the policy or its binding could not be read",
        })
    }
}

impl Cluster {
    /// Looks for the admission policy of this name and for the binding of the same name.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses.
    pub async fn admission_policy(&self, name: &str) -> Result<AdmissionPolicy, ClusterError> {
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(self.client());
        let policy = self.within(policies.get_opt(name)).await?;
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.client());
        let binding = self.within(bindings.get_opt(name)).await?;
        let annotations = policy.as_ref().map(ResourceExt::annotations);
        let says = annotations.and_then(|all| all.get(CHECKS_NAMESPACES_ANNOTATION));
        Ok(AdmissionPolicy {
            checks_namespaces: says.is_some_and(|value| value == "true"),
            state: policy.as_ref().map_or(PolicyState::NoPolicy, |policy| {
                judge(policy, binding.as_ref())
            }),
        })
    }
}

fn judge(
    policy: &ValidatingAdmissionPolicy,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> PolicyState {
    let bound = binding.and_then(|binding| binding.spec.as_ref());
    let Some(bound) = bound.filter(|bound| bound.policy_name == policy.metadata.name) else {
        return PolicyState::NotBound;
    };
    let failure = policy
        .spec
        .as_ref()
        .and_then(|spec| spec.failure_policy.as_deref());
    let denies = bound
        .validation_actions
        .iter()
        .flatten()
        .any(|action| action == "Deny");
    // The API server fills in empty selectors, which select everything.
    let everywhere = bound.match_resources.as_ref().is_none_or(|resources| {
        let all = |selector: Option<&LabelSelector>| {
            selector.is_none_or(|selector| *selector == LabelSelector::default())
        };
        all(resources.namespace_selector.as_ref())
            && all(resources.object_selector.as_ref())
            && resources.resource_rules.iter().flatten().next().is_none()
            && resources
                .exclude_resource_rules
                .iter()
                .flatten()
                .next()
                .is_none()
    });
    // `Fail` is the default.
    if denies && everywhere && failure != Some("Ignore") {
        PolicyState::InForce
    } else {
        PolicyState::NotEnforced
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn state(policy: &Value, binding: Option<Value>) -> PolicyState {
        let binding = binding.map(|spec| {
            serde_json::from_value(json!({"metadata": {"name": "jco"}, "spec": spec})).unwrap()
        });
        let policy =
            serde_json::from_value(json!({"metadata": {"name": "jco"}, "spec": policy})).unwrap();
        judge(&policy, binding.as_ref())
    }

    #[test]
    fn a_policy_counts_only_if_it_refuses_everywhere() {
        let fail = json!({"failurePolicy": "Fail"});
        let denies = json!({"policyName": "jco", "validationActions": ["Deny"]});
        let with = |more: Value| {
            let mut spec = denies.clone();
            spec.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            Some(spec)
        };
        for (policy, binding, expected) in [
            (&fail, with(json!({})), PolicyState::InForce),
            (&json!({}), with(json!({})), PolicyState::InForce),
            (
                &fail,
                with(json!({"matchResources": {"namespaceSelector": {}, "objectSelector": {}}})),
                PolicyState::InForce,
            ),
            (&fail, None, PolicyState::NotBound),
            (
                &fail,
                with(json!({"policyName": "other"})),
                PolicyState::NotBound,
            ),
            (
                &fail,
                with(json!({"validationActions": ["Warn", "Audit"]})),
                PolicyState::NotEnforced,
            ),
            (
                &json!({"failurePolicy": "Ignore"}),
                with(json!({})),
                PolicyState::NotEnforced,
            ),
            (
                &fail,
                with(json!({"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}})),
                PolicyState::NotEnforced,
            ),
        ] {
            assert_eq!(state(policy, binding.clone()), expected, "{binding:?}");
        }
    }
}
