//! The answers that faults give, in the manner of the host they strike.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use http::{HeaderName, HeaderValue, Response, header};
use hyper::body::Bytes;
use serde_json::json;

use crate::body::SimBody;
use crate::fault::{Canned, Fault};
use crate::reply::{JSON, Reply};
use crate::request::Incoming;
use crate::service::{Shared, respond};
use crate::world::Place;

/// The answer given instead of processing the request, if the fault is of that sort.
pub(crate) fn instead(shared: &Shared, call: &Incoming, fault: &Fault) -> Option<Reply> {
    let data_center = matches!(
        shared.world().places.get(&call.host),
        Some(Place::DataCenter(_))
    );
    let reply = match fault {
        Fault::RateLimit { retry_after, html } if data_center => {
            data_center_limit(*retry_after, *html || !call.wants_json)
        }
        Fault::RateLimit { retry_after, html } => cloud_limit(shared, *retry_after, *html),
        Fault::ServerError { status } => Reply::html(
            *status,
            "Oops, you've found a dead link",
            "Something went wrong.",
        ),
        Fault::Unavailable { retry_after } => {
            let reply = Reply::html(503, "Service Unavailable", "Please try again later.");
            after(reply, *retry_after)
        }
        Fault::Redirect { status, location } => Reply::redirect(*status, location),
        Fault::HtmlPage => Reply::html(200, "Log in", "<form method=\"post\"></form>"),
        Fault::Canned(canned) => self::canned(canned),
        _ => return None,
    };
    let server = if data_center {
        "nginx"
    } else {
        "AtlassianEdge"
    };
    let named = reply.headers.contains_key(header::SERVER) || matches!(fault, Fault::Canned(_));
    Some(if named {
        reply
    } else {
        reply.set(header::SERVER, server)
    })
}

fn after(reply: Reply, seconds: Option<u64>) -> Reply {
    match seconds {
        Some(seconds) => reply.set(header::RETRY_AFTER, &seconds.to_string()),
        None => reply,
    }
}

/// Cloud's 429 (Atlassian documentation; the body may be HTML).
fn cloud_limit(shared: &Shared, retry_after: Option<u64>, html: bool) -> Reply {
    let text = "Rate limit exceeded, please try again later.";
    let reply = if html {
        Reply::html(429, "Too many requests", text)
    } else {
        Reply::json(429, &json!({ "errorMessages": [text], "errors": {} }))
    };
    let seconds = i64::try_from(retry_after.unwrap_or(0)).unwrap_or(i64::MAX);
    let wait = TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX);
    let now = shared.clock.now();
    let reset = now.checked_add_signed(wait).unwrap_or(now);
    let reply = reply
        .with("x-ratelimit-limit", "100")
        .with("x-ratelimit-remaining", "0")
        .with(
            "x-ratelimit-reset",
            &reset.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
        .with("x-ratelimit-nearlimit", "true")
        .with("ratelimit-reason", "jira-burst-based");
    after(reply, retry_after)
}

/// Data Center's 429: JSON for who accepts JSON, else HTML; `Retry-After` may be 0.
fn data_center_limit(retry_after: Option<u64>, html: bool) -> Reply {
    let reply = if html {
        Reply::html(429, "Rate limit exceeded", "Rate limit exceeded.")
    } else {
        Reply::json(429, &json!({ "message": "Rate limit exceeded." }))
    };
    let reply = reply
        .with("x-ratelimit-limit", "50")
        .with("x-ratelimit-remaining", "0")
        .with("x-ratelimit-interval-seconds", "60")
        .with("x-ratelimit-fillrate", "10");
    after(reply, retry_after)
}

fn canned(canned: &Canned) -> Reply {
    let mut reply = Reply::new(canned.status, JSON, canned.body.clone());
    reply.headers.clear();
    for (name, value) in &canned.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            reply.headers.append(name, value);
        }
    }
    reply
}

/// The right answer, bent.
pub(crate) fn bent(shared: &Shared, mut reply: Reply, fault: &Fault) -> Response<SimBody> {
    let whole = reply.body.clone();
    let (reply, body) = match fault {
        Fault::SlowBody { chunk, millis } => {
            let pause = Duration::from_millis(*millis);
            (
                reply,
                SimBody::Dribble {
                    rest: whole,
                    chunk: *chunk,
                    pause,
                    timer: None,
                },
            )
        }
        Fault::EndlessBody => {
            let chunk = vec![b' '; 64 * 1024].into();
            (reply, SimBody::Endless { chunk, timer: None })
        }
        Fault::TruncatedBody => {
            let length = whole.len();
            let first = Some(whole.slice(..length / 2));
            let reply = reply.set(header::CONTENT_LENGTH, &length.max(1).to_string());
            (
                reply,
                SimBody::Truncated {
                    first,
                    flushed: false,
                },
            )
        }
        Fault::WrongContentType { content_type } => (
            reply.set(header::CONTENT_TYPE, content_type),
            SimBody::full(whole),
        ),
        Fault::GarbageJson => {
            // What the client gets is not the answer.
            reply.ticket = None;
            let garbage = Bytes::from_static(b"{\"accountId\": \"55:\xff\xfe, ][");
            (reply, SimBody::full(garbage))
        }
        Fault::ErrorAfter { status } => {
            let error = Reply::html(*status, "Bad Gateway", "Please try again later.");
            let body = SimBody::full(error.body.clone());
            (error, body)
        }
        _ => (reply, SimBody::full(whole)),
    };
    respond(shared, reply, body)
}
