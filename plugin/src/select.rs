//! Which credentials a command is about, with one request for all of them.

use std::collections::BTreeSet;

use clap::Args;
use jira_credential_operator::api::JiraCredential;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::connect::Cluster;
use crate::failure::Failure;

/// Names, or everything.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Names of credentials; otherwise all of the namespace.
    pub names: Vec<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with = "names")]
    pub all_namespaces: bool,
}

impl Selection {
    /// Where the credentials are.
    pub fn api(&self, cluster: &Cluster) -> Api<JiraCredential> {
        if self.all_namespaces {
            Api::all(cluster.client.clone())
        } else {
            Api::namespaced(cluster.client.clone(), &cluster.namespace)
        }
    }

    /// Reads the credentials, sorted by namespace and name.
    ///
    /// # Errors
    /// When a request fails or a name is not there.
    pub async fn read(&self, cluster: &Cluster) -> Result<Vec<JiraCredential>, Failure> {
        let api = self.api(cluster);
        if let [name] = self.names.as_slice() {
            let what = format!("read the JiraCredential {}/{name}", cluster.namespace);
            return Ok(vec![cluster.ask(&what, api.get(name)).await?]);
        }
        let all = ListParams::default();
        let list = cluster.ask("list JiraCredentials", api.list(&all)).await?;
        let mut found = list.items;
        if !self.names.is_empty() {
            let wanted: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
            found.retain(|object| wanted.contains(object.name_any().as_str()));
            let there: BTreeSet<String> = found.iter().map(ResourceExt::name_any).collect();
            let missing: Vec<&str> = wanted
                .into_iter()
                .filter(|name| !there.contains(*name))
                .collect();
            if !missing.is_empty() {
                return Err(Failure::error(format!(
                    "no JiraCredential {} in the namespace {}; check name and namespace",
                    missing.join(", "),
                    cluster.namespace
                )));
            }
        }
        Ok(sorted(found))
    }
}

/// By namespace and name.
pub fn sorted(mut objects: Vec<JiraCredential>) -> Vec<JiraCredential> {
    objects.sort_by_key(|object| (object.namespace(), object.name_any()));
    objects
}
