//! One request to a receiver that has an address, and what became of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};

use crate::net::{CallError, read_body};
use crate::notify::address::Address;
use crate::notify::delivery::Delivery;
use crate::notify::format::body;
use crate::notify::message::Message;
use crate::notify::sink::Format;

/// One request, from the name of the host to the last byte of the answer.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// What became of one attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    Sent,
    Failed {
        cause: String,
        /// How long the sink asks to wait.
        after: Option<Duration>,
        /// Whether the sink may have taken it all the same.
        may_be_told: bool,
    },
    /// No other attempt would succeed.
    Refused(String),
}

impl Attempt {
    /// It never reached the sink, or the sink said no.
    pub(super) fn failed(cause: String) -> Self {
        Self::Failed {
            cause,
            after: None,
            may_be_told: false,
        }
    }
}

/// Sends messages in one request.
pub(super) async fn post(
    address: &Address,
    format: &Format,
    delivery: &Delivery,
    messages: &[Message],
) -> Attempt {
    // A file may be a pipe, or on a file system that hangs.
    let alerts = *format == Format::Alertmanager;
    let url = match tokio::time::timeout(LIMIT, address.url(alerts, &delivery.hosts)).await {
        Ok(Ok(url)) => url,
        Ok(Err(what)) => return Attempt::failed(format!("urlFile {what}")),
        Err(_) => return Attempt::failed("urlFile cannot be read in time".to_owned()),
    };
    let now = delivery.clock.now();
    let body = match body(format, messages, now) {
        Ok(body) => body,
        Err(cause) => return Attempt::Refused(cause),
    };
    let call = delivery.client.post(url);
    let call = call.header(header::CONTENT_TYPE, "application/json");
    let mut answer = match call.body(body).timeout(LIMIT).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let may_be_told = matches!(error, CallError::Timeout | CallError::Lost);
            return Attempt::Failed {
                cause: cause(error).to_owned(),
                after: None,
                may_be_told,
            };
        }
    };
    // What it says is not used, but a connection whose answer is read can be used again.
    let _ = read_body(&mut answer).await;
    answered(answer.status, &answer.headers, now)
}

/// What a status makes of an attempt. One that speaks of the address is tried again: the file that holds the
/// address may be replaced.
fn answered(status: u16, headers: &HeaderMap, now: DateTime<Utc>) -> Attempt {
    let cause = format!("the sink answered with {status}");
    match status {
        200..=299 => Attempt::Sent,
        300..=399 => Attempt::Refused(format!("{cause}, a redirect, which is not followed")),
        401 | 403 | 404 | 408 | 410 | 429 | 500..=599 => Attempt::Failed {
            cause,
            after: retry_after(headers, now),
            may_be_told: false,
        },
        _ => Attempt::Refused(cause),
    }
}

/// How long an answer asks to wait: in seconds, or until a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: DateTime<Utc> = httpdate::parse_http_date(text).ok()?.into();
    (date - now).to_std().ok()
}

/// Why there was no answer, without the address.
fn cause(error: CallError) -> &'static str {
    match error {
        CallError::NoConnection(error) => error.cause(),
        CallError::NotSendable => "the address cannot be called",
        CallError::Timeout => "no answer in time",
        CallError::ClientCertificate => "the sink wants a client certificate",
        CallError::Lost => "the connection broke",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date() {
        let now = DateTime::from_timestamp(1_445_412_480, 0).unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:30 GMT", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            let found = retry_after(&headers, now).map(|wait| wait.as_secs());
            assert_eq!(found, seconds, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn what_another_address_may_mend_is_tried_again() {
        let tried_again = |status| {
            let answer = answered(status, &HeaderMap::new(), DateTime::UNIX_EPOCH);
            matches!(answer, Attempt::Failed { .. })
        };
        for status in [401, 403, 404, 408, 410, 429, 500, 503] {
            assert!(tried_again(status), "{status}");
        }
        for status in [200, 202, 301, 308, 400, 413, 422] {
            assert!(!tried_again(status), "{status}");
        }
    }
}
