//! Points in time as people write them in a manifest.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rules;

/// A day such as `2027-03-01`, in UTC, or a time such as `2027-03-01T12:00:00Z`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Date {
    /// A day.
    Day(NaiveDate),
    /// A time.
    Time(DateTime<Utc>),
}

impl Date {
    /// The time, or the first second of the day.
    pub fn begin(self) -> DateTime<Utc> {
        match self {
            Date::Day(day) => day.and_time(NaiveTime::MIN).and_utc(),
            Date::Time(time) => time,
        }
    }

    /// The time, or the last second of the day.
    pub fn end(self) -> DateTime<Utc> {
        match self {
            Date::Day(day) => {
                let last = NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default();
                day.and_time(last).and_utc()
            }
            Date::Time(time) => time,
        }
    }
}

impl From<DateTime<Utc>> for Date {
    fn from(time: DateTime<Utc>) -> Self {
        Date::Time(time)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 40,
            "x-kubernetes-validations": [rules::date()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lasts_until_its_last_second() {
        for (text, begin, end) in [
            (
                "2027-03-01",
                "2027-03-01T00:00:00+00:00",
                "2027-03-01T23:59:59+00:00",
            ),
            (
                "2028-02-29",
                "2028-02-29T00:00:00+00:00",
                "2028-02-29T23:59:59+00:00",
            ),
            (
                "2027-03-01T12:30:00Z",
                "2027-03-01T12:30:00+00:00",
                "2027-03-01T12:30:00+00:00",
            ),
            (
                "2027-03-01T00:00:00.5+02:00",
                "2027-02-28T22:00:00.500+00:00",
                "2027-02-28T22:00:00.500+00:00",
            ),
        ] {
            let date: Date = serde_json::from_value(text.into()).unwrap();
            assert_eq!(date.begin().to_rfc3339(), begin, "{text}");
            assert_eq!(date.end().to_rfc3339(), end, "{text}");
            let again = serde_json::to_value(date).unwrap();
            assert_eq!(serde_json::from_value::<Date>(again).unwrap(), date);
        }
    }

    #[test]
    fn nothing_else_is_a_date() {
        for text in ["", "2027-02-29", "2027-13-01", "01.03.2027", "yesterday"] {
            assert!(
                serde_json::from_value::<Date>(text.into()).is_err(),
                "{text:?}"
            );
        }
    }
}
