//! The Lease on the cluster.

use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};

use crate::api::{MANAGED_BY_LABEL, OPERATOR_NAME, SHARD_SELECTOR_ANNOTATION};
use crate::cluster::error::ClusterError;
use crate::cluster::leader::decide::Record;
use crate::cluster::shard::Selector;
use crate::cluster::time::to_micro;

/// The name of the Lease of an operator that serves every credential.
const NAME: &str = OPERATOR_NAME;

/// How long a lease lasts that was given back; Kubernetes allows no shorter one.
const RELEASED: i32 = 1;

/// The Lease of one operator.
pub(super) struct Leases {
    api: Api<Lease>,
    selector: Option<Selector>,
    name: String,
}

impl Leases {
    /// The Lease in a namespace of the operators with this selector.
    pub(super) fn new(client: kube::Client, namespace: &str, selector: Option<&Selector>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: selector.map_or_else(|| NAME.to_owned(), Selector::lease_name),
            selector: selector.cloned(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The Leases of all operators in the namespace.
    pub(super) async fn all(&self) -> Result<Vec<Lease>, ClusterError> {
        let ours = format!("{MANAGED_BY_LABEL}={OPERATOR_NAME}");
        let params = ListParams::default().labels(&ours);
        Ok(self.api.list(&params).await?.items)
    }

    /// Reads the Lease, as it is stored and not as some cache has it.
    pub(super) async fn read(&self) -> Result<Option<Lease>, ClusterError> {
        Ok(self.api.get_opt(&self.name).await?)
    }

    /// The Leases of the namespace.
    pub(super) fn api(&self) -> Api<Lease> {
        self.api.clone()
    }

    /// Writes the Lease on the version that it says, or creates it if it has none.
    pub(super) async fn write(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        let lease = &self.with_selector(lease.clone());
        let params = PostParams {
            field_manager: Some(super::MANAGER.into()),
            ..PostParams::default()
        };
        if lease.metadata.resource_version.is_some() {
            return Ok(self.api.replace(&self.name, &params, lease).await?);
        }
        match self.api.create(&params, lease).await.map_err(Into::into) {
            Err(ClusterError::NotFound) => {
                let why = "its namespace does not exist; see --leader-election-namespace";
                Err(ClusterError::Refused(why.to_owned()))
            }
            other => other,
        }
    }

    /// The Lease with its name, and with what others find it by.
    fn with_selector(&self, mut lease: Lease) -> Lease {
        let metadata = &mut lease.metadata;
        metadata.name = Some(self.name.clone());
        let labels = metadata.labels.get_or_insert_default();
        labels.insert(MANAGED_BY_LABEL.to_owned(), OPERATOR_NAME.to_owned());
        if let Some(selector) = &self.selector {
            let annotations = metadata.annotations.get_or_insert_default();
            let written = selector.to_string();
            annotations.insert(SHARD_SELECTOR_ANNOTATION.to_owned(), written);
        }
        lease
    }
}

/// What a Lease says to a decision.
pub(super) fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    let (uid, version) = (&lease.metadata.uid, &lease.metadata.resource_version);
    Record {
        holder: spec
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default(),
        lasts: Duration::from_secs(seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0)),
        version: [uid.as_deref(), version.as_deref()]
            .map(Option::unwrap_or_default)
            .join("/"),
    }
}

/// The Lease as `me` writes it. The times in it are for people.
pub(super) fn held(before: Option<&Lease>, me: &str, lasts: Duration, now: DateTime<Utc>) -> Lease {
    let mut lease = before.cloned().unwrap_or_else(fresh);
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(me) {
        spec.acquire_time = Some(to_micro(now));
        let changes = spec.lease_transitions.unwrap_or(0);
        spec.lease_transitions = Some(before.map_or(0, |_| changes.saturating_add(1)));
    }
    spec.holder_identity = Some(me.to_owned());
    // Rounded up: a reader must not wait too short.
    let seconds = lasts.as_millis().div_ceil(1000).max(1);
    spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
    spec.renew_time = Some(to_micro(now));
    lease
}

/// The Lease as its holder gives it back.
pub(super) fn released(before: &Lease, now: DateTime<Utc>) -> Lease {
    let mut lease = before.clone();
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(RELEASED);
    spec.renew_time = Some(to_micro(now));
    lease
}

fn fresh() -> Lease {
    Lease {
        metadata: ObjectMeta {
            labels: Some([(MANAGED_BY_LABEL.to_owned(), OPERATOR_NAME.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_writes_what_the_next_one_needs_to_know() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let later = DateTime::from_timestamp(1_800_000_100, 0).unwrap();
        let first = held(None, "a", Duration::from_millis(14_001), now);
        let renewed = held(Some(&first), "a", Duration::from_secs(15), later);
        let taken = held(Some(&renewed), "b", Duration::from_millis(200), later);
        let told = |lease: &Lease| {
            let spec = lease.spec.clone().unwrap();
            let seconds = spec.lease_duration_seconds.unwrap();
            let acquired = spec.acquire_time.unwrap().0.as_second();
            let renewed = spec.renew_time.unwrap().0.as_second();
            let holder = spec.holder_identity.unwrap();
            let ago = 1_800_000_100 - acquired;
            (
                holder,
                seconds,
                ago,
                1_800_000_100 - renewed,
                spec.lease_transitions.unwrap(),
            )
        };
        assert_eq!(told(&first), ("a".to_owned(), 15, 100, 100, 0));
        assert_eq!(told(&renewed), ("a".to_owned(), 15, 100, 0, 0));
        assert_eq!(told(&taken), ("b".to_owned(), 1, 0, 0, 1));
        assert_eq!(told(&released(&taken, later)), (String::new(), 1, 0, 0, 1));
    }

    #[test]
    fn a_lease_that_says_little_is_read_nevertheless() {
        let mut lease = fresh();
        lease.metadata.uid = Some("u".into());
        lease.metadata.resource_version = Some("7".into());
        let empty = Record {
            holder: String::new(),
            lasts: Duration::ZERO,
            version: "u/7".into(),
        };
        assert_eq!(record(&lease), empty);
        lease.spec = None;
        assert_eq!(record(&lease), empty);
        let spec = LeaseSpec {
            holder_identity: Some("a".into()),
            lease_duration_seconds: Some(-3),
            ..LeaseSpec::default()
        };
        lease.spec = Some(spec);
        let holder = "a".to_owned();
        assert_eq!(record(&lease), Record { holder, ..empty });
    }
}
