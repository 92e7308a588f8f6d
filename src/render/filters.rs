//! The filters of templates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Number;

use super::LONGEST_VALUE;

/// What a part of an address holds as it is (RFC 3986, "unreserved").
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Adds the filters that `core::spec` lists.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("b64encode", |value: Value| {
        Ok::<_, Error>(STANDARD.encode(text(&value)?))
    });
    environment.add_filter("shquote", |value: Value| {
        Ok::<_, Error>(shell(&text(&value)?))
    });
    environment.add_filter("tojson", |value: Value| json(&value));
    environment.add_filter("urlencode", |value: Value| {
        Ok::<_, Error>(utf8_percent_encode(&text(&value)?, ESCAPED).to_string())
    });
}

/// Text, and what has a short one. Filters make it up to six times as long, before the engine can count
/// that; so one that is too long for a value is not filtered at all.
fn text(value: &Value) -> Result<String, Error> {
    if value
        .as_str()
        .is_some_and(|text| text.len() > LONGEST_VALUE)
    {
        return Err(ErrorKind::WriteFailure.into());
    }
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(value.to_string()),
        // `a if b` without an else. Whether it comes to that depends on the credential, so it is no error.
        ValueKind::Undefined => Ok(String::new()),
        _ => Err(ErrorKind::InvalidOperation.into()),
    }
}

fn json(value: &Value) -> Result<String, Error> {
    let text = text(value)?;
    let json = match value.kind() {
        // The engine writes them as Python does.
        ValueKind::Bool => Ok(value.is_true().to_string()),
        ValueKind::Number => serde_json::from_str::<Number>(&text).map(|number| number.to_string()),
        _ => serde_json::to_string(&text),
    };
    json.map_err(|_| ErrorKind::BadSerialization.into())
}

/// One word of a POSIX shell, in single quotes, in which nothing but a quote is special.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
