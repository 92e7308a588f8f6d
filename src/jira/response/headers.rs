//! The headers of an answer, as they are read everywhere.

use http::{HeaderMap, header};

/// `application/json`, or a format built on it.
pub(in crate::jira) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    })
}

pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value
        .split(';')
        .next()
        .map(|kind| kind.trim().to_ascii_lowercase())
}

/// All values of a header, joined as HTTP allows.
pub(super) fn all(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    values.join(",")
}

/// The first scheme of each `WWW-Authenticate`, in lower case.
pub(super) fn challenges(headers: &HeaderMap) -> impl Iterator<Item = String> {
    challenge_texts(headers).filter_map(|text| text.split([' ', ',']).next().map(str::to_owned))
}

/// Each `WWW-Authenticate`, in lower case.
pub(super) fn challenge_texts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
}
