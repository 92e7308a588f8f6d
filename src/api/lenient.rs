//! Reading what a later version of the operator may have written: a value that is not known is left
//! out, and the rest of the object stays readable.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

/// A value, if it is one that this version knows.
pub(super) fn known<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Those of some values that this version knows.
pub(super) fn all_known<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let values = Vec::<Value>::deserialize(deserializer)?;
    let known = values.into_iter().map(serde_json::from_value);
    Ok(known.filter_map(Result::ok).collect())
}
