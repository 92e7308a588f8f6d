//! One call over HTTP/1.1: what is sent, and what is read of the answer.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::net::connect::Connector;
use crate::net::error::CallError;
use crate::net::tunnel::USER_AGENT;

const IDLE_CONNECTIONS_PER_HOST: usize = 4;

/// How long each part of a call may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Resolution of the name; part of `connect`.
    pub resolve: Duration,
    /// Resolution, connection and TLS handshake.
    pub connect: Duration,
    /// Silence while an answer is awaited or read.
    pub read: Duration,
    /// The whole call.
    pub total: Duration,
    /// How long an unused connection is kept. Shorter than what servers keep (Tomcat, which
    /// carries Data Center: 20 s): a request on a connection that is just being closed is lost
    /// without an answer, and a password that may have been counted is not sent twice.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(4),
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            total: Duration::from_secs(20),
            idle: Duration::from_secs(15),
        }
    }
}

/// Sends a credential to the site only, over HTTPS: it follows no redirect, repeats nothing that may have
/// arrived, and keeps no cookie. Copies share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    connections: legacy::Client<Connector, Full<Bytes>>,
    timeouts: Timeouts,
}

/// A call that is not made yet.
pub(crate) struct Call {
    client: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
    /// Whether everything that was put into it can be sent.
    is_sendable: bool,
}

/// The head of an answer, and the rest as it comes.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    silence: Duration,
    until: Instant,
}

impl Client {
    pub(super) fn new(connector: Connector, timeouts: Timeouts) -> Self {
        let connections = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(timeouts.idle)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .build(connector);
        Self {
            connections,
            timeouts,
        }
    }

    pub(crate) fn get(&self, url: Url) -> Call {
        self.request(Method::GET, url)
    }

    pub(crate) fn post(&self, url: Url) -> Call {
        self.request(Method::POST, url)
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        Call {
            client: self.clone(),
            method,
            url,
            headers,
            body: Bytes::new(),
            limit: self.timeouts.total,
            is_sendable: true,
        }
    }
}

impl Call {
    /// Sets a header, in place of an earlier value.
    pub(crate) fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        HeaderValue: TryFrom<V>,
    {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => self.is_sendable = false,
        }
        self
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body.into();
        self
    }

    /// How long the whole call may take, in place of the usual time.
    pub(crate) fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Makes the call.
    pub(crate) async fn send(self) -> Result<Response, CallError> {
        let is_https = self.url.scheme() == "https";
        if !self.is_sendable || !is_https {
            return Err(CallError::NotSendable);
        }
        let uri: Result<Uri, _> = self.url.as_str().parse();
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.map_err(|_| CallError::NotSendable)?;
        *request.headers_mut() = self.headers;
        let until = Instant::now() + self.limit;
        let silence = self.client.timeouts.read;
        let answer = self.client.connections.request(request);
        let answer = timeout(silence.min(self.limit), answer).await;
        let answer = answer.map_err(|_| CallError::Timeout)?;
        let (head, body) = answer.map_err(|error| CallError::of(&error))?.into_parts();
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            silence,
            until,
        })
    }
}

impl Response {
    /// The next part of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let frame = timeout(self.silence.min(left), self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| CallError::Timeout)? else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| CallError::of(&error))?;
            // Trailers say nothing that is used.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}
