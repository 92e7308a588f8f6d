//! The border between chrono, which the operator thinks in, and jiff, which kube speaks.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::ResourceExt;

/// When an object was created.
pub fn creation_time(object: &impl ResourceExt) -> Option<DateTime<Utc>> {
    object
        .creation_timestamp()
        .and_then(|time| from_kube(&time))
}

fn from_kube(time: &Time) -> Option<DateTime<Utc>> {
    // Whole seconds: jiff's fraction carries the sign of the second, chrono's never does.
    DateTime::from_timestamp(time.0.as_second(), 0)
}

/// A time as events carry it; beyond the year 9999, which jiff cannot hold, the beginning of 1970.
pub(super) fn to_micro(time: DateTime<Utc>) -> MicroTime {
    let time = jiff::Timestamp::from_second(time.timestamp());
    MicroTime(time.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_meet() {
        for second in [-1, 0, 1, 1_900_000_000] {
            let ours = DateTime::from_timestamp(second, 0).unwrap();
            assert_eq!(from_kube(&Time(to_micro(ours).0)), Some(ours));
        }
        assert_eq!(
            to_micro(DateTime::<Utc>::MAX_UTC).0,
            jiff::Timestamp::UNIX_EPOCH
        );
    }
}
