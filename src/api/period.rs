//! Lengths of time as people write them in a manifest.

use std::borrow::Cow;

use chrono::TimeDelta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rules;

/// A length of time: days, hours, minutes, seconds, in this order, such as `90d` or `1h30m`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Period(String);

impl Period {
    /// Wraps a text; [`Period::parse`] checks whether it is a duration.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The length of time, or `None` when the text is not one, is zero, or is beyond a century.
    pub fn parse(&self) -> Option<TimeDelta> {
        let mut rest = self.0.as_str();
        let mut total: i64 = 0;
        for (unit, seconds) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
            if let Some((digits, tail)) = rest.split_once(unit) {
                let count: i64 = digits.parse().ok().filter(|_| is_digits(digits))?;
                total = total.checked_add(count.checked_mul(seconds)?)?;
                rest = tail;
            }
        }
        let century = 100 * 366 * 86_400;
        (rest.is_empty() && total > 0 && total <= century).then(|| TimeDelta::seconds(total))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [rules::period()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_schema_allows() {
        for (text, seconds) in [
            ("90d", Some(90 * 86_400)),
            ("1h30m", Some(5_400)),
            ("15m", Some(900)),
            ("1d2h3m4s", Some(93_784)),
            ("0d5s", Some(5)),
            ("0s", None),
            ("", None),
            ("1w", None),
            ("h", None),
            ("30m1h", None),
            ("1h 30m", None),
            ("-1h", None),
            ("99999999999999999999d", None),
            ("1000000d", None),
        ] {
            assert_eq!(
                Period::new(text).parse().map(|period| period.num_seconds()),
                seconds,
                "{text:?}"
            );
        }
    }
}
