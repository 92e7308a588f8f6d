//! The Secret that records in the operator's own namespace which passwords Jira refused: the fingerprints
//! by which a password is recognised in several namespaces must not be readable in any of those.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{MANAGED_BY_LABEL, OPERATOR_NAME, Reason};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::core::fingerprint::Fingerprint;

const NAME: &str = "jira-credential-operator-refused-passwords";

/// What is recorded of a password that Jira refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RefusedPassword {
    /// The uid of the `JiraCredential` that sent it.
    pub uid: String,
    /// Why Jira refused it.
    pub reason: Reason,
    /// Since when it is recorded.
    pub since: DateTime<Utc>,
}

impl Cluster {
    /// Reads the passwords that were refused. What cannot be read is left out.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn refused_passwords(
        &self,
        namespace: &str,
    ) -> Result<BTreeMap<Fingerprint, RefusedPassword>, ClusterError> {
        let secret = self.secret(namespace, NAME).await?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let read = |(key, value): (String, ByteString)| {
            let print = Fingerprint::recorded(&key.replacen('.', ":", 1));
            Some((print, serde_json::from_slice(&value.0).ok()?))
        };
        Ok(data.into_iter().filter_map(read).collect())
    }

    /// Records refused passwords, and removes those that come with `None`.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses.
    pub async fn record_refused_passwords(
        &self,
        namespace: &str,
        changes: &BTreeMap<Fingerprint, Option<RefusedPassword>>,
    ) -> Result<(), ClusterError> {
        let bytes = |refused: &RefusedPassword| {
            serde_json::to_vec(refused)
                .map(ByteString)
                .map_err(|_| ClusterError::Refused("a refused password cannot be written".into()))
        };
        let mut data: BTreeMap<String, Option<ByteString>> = BTreeMap::new();
        for (print, refused) in changes {
            let key = print.as_str().replacen(':', ".", 1);
            data.insert(key, refused.as_ref().map(bytes).transpose()?);
        }
        let patch = json!({"data": data});
        match self.merge_secret(namespace, NAME, patch).await {
            Err(ClusterError::NotFound) => self.create_secret(namespace, &fresh(data)).await,
            other => other,
        }
        .map(|_| ())
    }
}

fn fresh(data: BTreeMap<String, Option<ByteString>>) -> Secret {
    let known = data
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            labels: Some(BTreeMap::from([(
                MANAGED_BY_LABEL.into(),
                OPERATOR_NAME.into(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(known.collect()),
        ..Secret::default()
    }
}
