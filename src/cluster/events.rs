//! Events, through `events.k8s.io`. Only transitions are reported, so nothing is aggregated.
//!
//! The name of an event is a digest of the status before it, its reason and its note. A process that
//! publishes it again after a crash, or another replica, uses the same name, so there is one event.

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};

use crate::api::{JiraCredential, OPERATOR_NAME};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::time::to_micro;
use crate::core::conclude::Notice;
use crate::core::fingerprint::hex;

/// The API server takes no longer note.
const LONGEST_NOTE: usize = 1024;

/// The name of a credential is followed by a digest in the name of its events.
const LONGEST_PREFIX: usize = 200;

/// The event about a credential that stands on the cluster as `object` before its status is written.
pub fn event(object: &JiraCredential, notice: &Notice, now: DateTime<Utc>) -> Event {
    let mut note = notice.note.clone();
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE)
            .rev()
            .find(|end| note.is_char_boundary(*end));
        note.truncate(end.unwrap_or_default());
    }
    Event {
        metadata: ObjectMeta {
            name: Some(name(object, notice)),
            namespace: object.namespace(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".into()),
        event_time: Some(to_micro(now)),
        note: Some(note),
        reason: Some(format!("{:?}", notice.reason)),
        regarding: Some(object.object_ref(&())),
        reporting_controller: Some(format!("{}/{OPERATOR_NAME}", crate::api::GROUP)),
        reporting_instance: Some(OPERATOR_NAME.into()),
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.into()),
        ..Event::default()
    }
}

/// The status before tells one transition from the same at another time: its conditions have times, and
/// where they stay the same, something else in it has moved since the last event with these words.
fn name(object: &JiraCredential, notice: &Notice) -> String {
    let status = object.status.as_ref();
    let before = status.map(|status| {
        let times = (status.last_validated_time, status.rotated_time);
        (&status.conditions, times, &status.line_ends)
    });
    let before = serde_json::to_vec(&before).unwrap_or_default();
    let uid = object.uid().unwrap_or_default();
    let reason = format!("{:?}", notice.reason);
    let mut all = digest::Context::new(&digest::SHA256);
    for part in [
        uid.as_bytes(),
        &before,
        reason.as_bytes(),
        notice.note.as_bytes(),
    ] {
        all.update(&part.len().to_be_bytes());
        all.update(part);
    }
    let prefix: String = object.name_any().chars().take(LONGEST_PREFIX).collect();
    let prefix = prefix.trim_end_matches(['.', '-']);
    format!("{prefix}.{}", hex(all.finish().as_ref(), 32))
}

impl Cluster {
    /// Publishes an event. One that exists was published before.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn tell(&self, event: &Event) -> Result<(), ClusterError> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client(), namespace);
        match self.write(api.create(&PostParams::default(), event)).await {
            Ok(_) | Err(ClusterError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
