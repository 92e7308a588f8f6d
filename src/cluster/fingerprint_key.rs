//! The key of this installation's fingerprints.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use crate::api::{MANAGED_BY_LABEL, OPERATOR_NAME};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::core::fingerprint::FingerprintKey;

const NAME: &str = "jira-credential-operator-key";
const KEY: &str = "key";

/// Reads the key from the operator's namespace; makes it at the first start. It is never
/// replaced: another key would make every fingerprint unknown.
///
/// # Errors
/// When the Secret can be neither read nor created, or holds no key.
pub async fn fingerprint_key(
    cluster: &Cluster,
    namespace: &str,
) -> Result<FingerprintKey, ClusterError> {
    let existing = match cluster.secret(namespace, NAME).await? {
        Some(secret) => secret,
        None => match cluster.create_secret(namespace, &fresh()?).await {
            Ok(secret) => secret,
            // Another replica was faster: its key is the key.
            Err(ClusterError::AlreadyExists) => cluster
                .secret(namespace, NAME)
                .await?
                .ok_or(ClusterError::NotFound)?,
            Err(error) => return Err(error),
        },
    };
    let data = existing.data.unwrap_or_default();
    match data.get(KEY).filter(|key| key.0.len() >= 32) {
        Some(key) => Ok(FingerprintKey::new(&key.0)),
        None => Err(ClusterError::Refused(format!(
            "the Secret {NAME} has no key {KEY} of at least 32 bytes; delete the Secret and restart"
        ))),
    }
}

fn fresh() -> Result<Secret, ClusterError> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes)
        .map_err(|_| ClusterError::Refused("the system has no random numbers".into()))?;
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            labels: Some(BTreeMap::from([(
                MANAGED_BY_LABEL.into(),
                OPERATOR_NAME.into(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.into(), ByteString(bytes.to_vec()))])),
        ..Secret::default()
    })
}
