//! What the tests of consent pages share: authorize URLs, and answers to forms.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this"
)]

use reqwest::header::CONTENT_TYPE;

use super::Answer;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:8765/callback";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Names and values.
pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Pairs, encoded.
pub(crate) fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The pairs, with one of them changed, or left out if the value is empty.
pub(crate) fn with<'a>(
    pairs: &[(&'a str, &'a str)],
    name: &'a str,
    value: &'a str,
) -> Vec<(&'a str, &'a str)> {
    let mut changed: Vec<_> = pairs.to_vec();
    changed.retain(|(known, _)| *known != name);
    if !value.is_empty() {
        changed.push((name, value));
    }
    changed
}

/// POST of a form.
pub(crate) async fn post(client: &reqwest::Client, url: &str, pairs: &[(&str, &str)]) -> Answer {
    let request = client.post(url).header(CONTENT_TYPE, FORM);
    let response = request.body(encoded(pairs)).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        status,
        headers,
        text: response.text().await.unwrap(),
    }
}
