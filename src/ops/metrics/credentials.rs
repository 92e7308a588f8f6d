//! The series of the credentials: read from the store when they are asked for.

use std::fmt;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::api::{
    ConditionStatus, ConditionType, GrantStatus, JiraCredential, JiraCredentialStatus,
};
use crate::cluster::{Shard, Watched};
use crate::core::spec::Periods;

/// Tells when Jira last accepted a credential.
pub type LastValidated = Box<dyn Fn(&JiraCredential) -> Option<DateTime<Utc>> + Send + Sync>;

/// What is shown of the credentials.
pub(super) struct Shown {
    pub(super) store: Store<Watched>,
    pub(super) last_validated: LastValidated,
    /// The credentials that this process serves; `None`: all.
    pub(super) shard: Option<Shard>,
}

/// The series of the credentials, made when they are asked for.
pub(super) struct Credentials(Arc<OnceLock<Shown>>);

impl Credentials {
    pub(super) fn new(shown: Arc<OnceLock<Shown>>) -> Self {
        Self(shown)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}

/// The value of one credential, by its status and the exact time of its last acceptance; `None` leaves
/// the series out.
type Read = fn(&JiraCredentialStatus, Option<DateTime<Utc>>) -> Option<i64>;

const SERIES: [(&str, &str, Read); 11] = [
    (
        "ready",
        "1 when Ready is True: what pods mount is current and validated",
        |status, _| Some(holds(status, ConditionType::Ready)),
    ),
    (
        "valid",
        "1 when Valid is True: Jira accepts the credential",
        |status, _| Some(holds(status, ConditionType::Valid)),
    ),
    (
        "rotation_due",
        "1 when RotationDue is True: a person must rotate the credential",
        |status, _| Some(holds(status, ConditionType::RotationDue)),
    ),
    (
        "expiration_timestamp_seconds",
        "Expiry of a credential that a person rotates, where it is known",
        |status, _| seconds(status.expires_at.filter(|_| status.grant.is_none())),
    ),
    (
        "token_expiration_timestamp_seconds",
        "Expiry of a token that the operator renews",
        |status, _| seconds(status.expires_at.filter(|_| status.grant.is_some())),
    ),
    (
        "renewal_timestamp_seconds",
        "When the operator renews the token next",
        |status, _| seconds(status.next_renewal_time),
    ),
    (
        "renewal_blocked",
        "1 when the operator cannot renew or replace the token (blockedBy, replacementBlockedBy or retrying in status.grant), 0 when it can; only for credentials that the operator renews",
        |status, _| status.grant.as_ref().map(is_blocked),
    ),
    (
        "rotation_timestamp_seconds",
        "When a person should rotate the credential, or consent again",
        |status, _| seconds(status.rotation_due_time),
    ),
    (
        "consent_expiration_timestamp_seconds",
        "End of the consent of oauth2 on Cloud, as long as it can be used",
        |status, _| {
            seconds(
                status
                    .grant
                    .as_ref()
                    .and_then(|grant| grant.consent_expires_at),
            )
        },
    ),
    (
        "idle_expiration_timestamp_seconds",
        "When the refresh token of oauth2 expires if it is not used before",
        |status, _| {
            seconds(
                status
                    .grant
                    .as_ref()
                    .and_then(|grant| grant.idle_expires_at),
            )
        },
    ),
    (
        "last_validated_timestamp_seconds",
        "Last acceptance by Jira, exactly; status.lastValidatedTime may be an hour behind",
        |_, last_validated| seconds(last_validated),
    ),
];

fn holds(status: &JiraCredentialStatus, kind: ConditionType) -> i64 {
    let found = status.condition(kind);
    i64::from(found.is_some_and(|condition| condition.status == ConditionStatus::True))
}

/// A refresh token that cannot be used, a personal access token without a replacement that is due, or
/// one whose replacement is tried again.
fn is_blocked(grant: &GrantStatus) -> i64 {
    let reasons = [
        grant.blocked_by,
        grant.replacement_blocked_by,
        grant.retrying,
    ];
    i64::from(reasons.iter().any(Option::is_some))
}

fn seconds(time: Option<DateTime<Utc>>) -> Option<i64> {
    time.map(|time| time.timestamp())
}

impl Collector for Credentials {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(shown) = self.0.get() else {
            return Ok(());
        };
        let mut objects = shown.store.state();
        if let Some(shard) = &shown.shard {
            encode_unserved(&mut encoder, shard, &objects)?;
            objects.retain(|object| shard.selector().matches(object.meta().labels.as_ref()));
        }
        for (name, help, read) in SERIES {
            let gauge = ConstGauge::<i64>::new(0);
            let mut family = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            for object in objects.iter().filter_map(|object| object.0.as_ref().ok()) {
                let last_validated = (shown.last_validated)(object);
                let status = object.status.as_ref();
                let Some(value) = status.and_then(|status| read(status, last_validated)) else {
                    continue;
                };
                let labels = labels(object);
                let series = family.encode_family(&labels)?;
                ConstGauge::new(value).encode(series)?;
            }
        }
        let readable = || objects.iter().filter_map(|object| object.0.as_ref().ok());
        encode_info(&mut encoder, readable())?;
        encode_owners(&mut encoder, readable())?;
        encode_intervals(&mut encoder, readable())?;
        encode_conditions(&mut encoder, readable())
    }
}

/// How many credentials no operator serves; no series as long as that is not known.
fn encode_unserved(
    encoder: &mut DescriptorEncoder<'_>,
    shard: &Shard,
    objects: &[Arc<Watched>],
) -> fmt::Result {
    let labels = objects.iter().map(|object| object.meta().labels.as_ref());
    let Some(unserved) = shard.unserved(labels) else {
        return Ok(());
    };
    let gauge = ConstGauge::new(i64::try_from(unserved).unwrap_or(i64::MAX));
    let help = "With --shard-selector: JiraCredentials that match the selector of no operator that leads. Each leader counts among those that it watches. No series while the Leases cannot be read";
    let kind = gauge.metric_type();
    gauge.encode(encoder.encode_descriptor("unserved", help, None, kind)?)
}

/// What each credential is: to be joined with its other series.
fn encode_info<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    objects: impl Iterator<Item = &'a JiraCredential>,
) -> fmt::Result {
    let one = ConstGauge::<i64>::new(1);
    let help = "Always 1; site is the host of spec.site. Join it with the other series on namespace and name";
    let mut family = encoder.encode_descriptor("info", help, None, one.metric_type())?;
    for object in objects {
        let method = object.status.as_ref().and_then(|status| status.method);
        let method = method.map(|method| format!("{method:?}"));
        let [namespace, name] = labels(object);
        let labels = [
            namespace,
            name,
            ("method", method.unwrap_or_default()),
            ("site", host(&object.spec.site)),
        ];
        one.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Who looks after each credential that says so: to be joined with its other series.
fn encode_owners<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    objects: impl Iterator<Item = &'a JiraCredential>,
) -> fmt::Result {
    let one = ConstGauge::<i64>::new(1);
    let help = "Always 1, for each credential with spec.owner. Join it like info, for example to route alerts by team";
    let mut family = encoder.encode_descriptor("owner_info", help, None, one.metric_type())?;
    for object in objects {
        let Some(owner) = &object.spec.owner else {
            continue;
        };
        let [namespace, name] = labels(object);
        let labels = [
            namespace,
            name,
            ("team", owner.team.clone().unwrap_or_default()),
            ("contact", owner.contact.clone().unwrap_or_default()),
        ];
        one.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// How often each credential is validated; none for a spec without sense.
fn encode_intervals<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    objects: impl Iterator<Item = &'a JiraCredential>,
) -> fmt::Result {
    let kind = ConstGauge::<i64>::new(0).metric_type();
    let help = "How often the credential is validated: validation.interval, or its default";
    let mut family = encoder.encode_descriptor("validation_interval_seconds", help, None, kind)?;
    for object in objects {
        if let Ok(periods) = Periods::of(&object.spec) {
            let labels = labels(object);
            let series = family.encode_family(&labels)?;
            ConstGauge::new(periods.interval.num_seconds()).encode(series)?;
        }
    }
    Ok(())
}

/// One series for each condition that a status holds.
fn encode_conditions<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    objects: impl Iterator<Item = &'a JiraCredential>,
) -> fmt::Result {
    let one = ConstGauge::<i64>::new(1);
    let help = "Always 1, for each condition in the status of the credential";
    let mut family =
        encoder.encode_descriptor("status_condition", help, None, one.metric_type())?;
    for object in objects {
        let status = object.status.as_ref();
        for condition in status.iter().flat_map(|status| &status.conditions) {
            let [namespace, name] = labels(object);
            let labels = [
                namespace,
                name,
                ("type", format!("{:?}", condition.kind)),
                ("status", format!("{:?}", condition.status)),
                ("reason", format!("{:?}", condition.reason)),
            ];
            one.encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// The host of an address: its path may hold anything.
fn host(site: &str) -> String {
    let rest = site.split_once("://").map_or(site, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before an `@` may be a password; admission refuses it.
    let host = host.rsplit('@').next().unwrap_or_default();
    host.to_ascii_lowercase()
}

fn labels(object: &JiraCredential) -> [(&'static str, String); 2] {
    [
        ("namespace", object.namespace().unwrap_or_default()),
        ("name", object.name_any()),
    ]
}
