//! Objects as a later version of the operator may have written them.

use jira_credential_operator::api::JiraCredential;
use jira_credential_operator::crd::crd;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::World;

impl World {
    /// Installs a definition that takes values that this version does not know. For worlds on a
    /// control plane of their own.
    pub(crate) async fn accept_values_of_a_later_version(&self) {
        let mut definition = serde_json::to_value(crd()).unwrap();
        open(&mut definition);
        let definition = serde_json::from_value(definition).unwrap();
        self.plane.install_crd(&definition).await.unwrap();
    }

    /// Makes the spec of a credential one that this version cannot read.
    pub(crate) async fn make_unreadable(&self, name: &str) {
        let resource = ApiResource::erase::<JiraCredential>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let patch = Patch::Merge(json!({"spec": {"hosting": "Edge"}}));
        let what = format!("{name} takes a value of a later version");
        // The API server takes the new definition into use a moment after it has it.
        self.until(&what, || async {
            let done = api.patch(name, &PatchParams::default(), &patch).await;
            done.ok()
        })
        .await;
    }
}

/// Removes lists of values and rules from a schema.
fn open(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                !(name == "enum" && value.is_array()) && name != "x-kubernetes-validations"
            });
            members.values_mut().for_each(open);
        }
        Value::Array(items) => items.iter_mut().for_each(open),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
