//! The durations of a spec.

use chrono::TimeDelta;

use crate::api::{JiraCredentialSpec, Method, Period};
use crate::core::spec::error::SpecError;
use crate::core::time::SHORTEST_INTERVAL;

/// How often a credential is validated when the spec does not say.
pub const USUAL_INTERVAL: TimeDelta = TimeDelta::minutes(15);

/// The same for a password sent with Basic authentication: each validation is recorded in the status
/// before and after it, as Jira counts a refused password towards a CAPTCHA.
const USUAL_PASSWORD_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// The lengths of time of a spec.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Periods {
    /// `spec.validation.interval`, or the usual one.
    pub interval: TimeDelta,
    /// `spec.rotation.warnBefore`.
    pub warn_before: TimeDelta,
    /// `spec.rotation.maxAge`.
    pub max_age: Option<TimeDelta>,
    /// `spec.rotation.renewBefore`.
    pub renew_before: Option<TimeDelta>,
}

impl Periods {
    /// Reads and compares the lengths of time of a spec; admission cannot compare them.
    ///
    /// # Errors
    /// When one is not a length of time, or they contradict each other.
    pub fn of(spec: &JiraCredentialSpec) -> Result<Self, SpecError> {
        let read = |period: &Period, field| period.parse().ok_or(SpecError::NotAPeriod(field));
        let periods = Self {
            interval: match &spec.validation.interval {
                Some(period) => read(period, "spec.validation.interval")?,
                None => usual_interval(spec),
            },
            warn_before: read(&spec.rotation.warn_before, "spec.rotation.warnBefore")?,
            max_age: match &spec.rotation.max_age {
                Some(period) => Some(read(period, "spec.rotation.maxAge")?),
                None => None,
            },
            renew_before: match &spec.rotation.renew_before {
                Some(period) => Some(read(period, "spec.rotation.renewBefore")?),
                None => None,
            },
        };
        if periods.interval < SHORTEST_INTERVAL {
            return Err(SpecError::IntervalTooShort);
        }
        if let Some(max_age) = &spec.rotation.max_age
            && periods.max_age <= Some(periods.warn_before)
        {
            return Err(SpecError::WarnBeforeTooLong {
                warn_before: spec.rotation.warn_before.as_str().to_owned(),
                max_age: max_age.as_str().to_owned(),
            });
        }
        Ok(periods)
    }
}

fn usual_interval(spec: &JiraCredentialSpec) -> TimeDelta {
    match spec.auth.method() {
        Some(Method::Basic(_)) => USUAL_PASSWORD_INTERVAL,
        _ => USUAL_INTERVAL,
    }
}
