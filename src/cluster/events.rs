//! Events, through `events.k8s.io`. Only transitions are reported, so nothing is aggregated.

use chrono::{DateTime, Utc};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};

use crate::api::{JiraCredential, OPERATOR_NAME};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::time::to_micro;
use crate::core::conclude::Notice;

/// The API server takes no longer note.
const LONGEST_NOTE: usize = 1024;

impl Cluster {
    /// Publishes one event about a credential.
    pub async fn tell(
        &self,
        object: &JiraCredential,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> Result<(), ClusterError> {
        let namespace = object.namespace().unwrap_or_default();
        let mut note = notice.note.clone();
        if note.len() > LONGEST_NOTE {
            let end = (0..=LONGEST_NOTE)
                .rev()
                .find(|end| note.is_char_boundary(*end));
            note.truncate(end.unwrap_or_default());
        }
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}-", object.name_any())),
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
        };
        let api: Api<Event> = Api::namespaced(self.client(), &namespace);
        self.within(api.create(&PostParams::default(), &event))
            .await
            .map(|_| ())
    }
}
