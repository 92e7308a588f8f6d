//! An answer before it is sent.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Bytes;
use serde_json::Value;

use crate::calls::Verdict;
use crate::oauth::Ticket;

pub(crate) const JSON: &str = "application/json;charset=UTF-8";
pub(crate) const HTML: &str = "text/html;charset=UTF-8";

/// An answer, and what the log is to say about it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) verdict: Verdict,
    /// Wants to know when the body was handed over.
    pub(crate) ticket: Option<Ticket>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            verdict: Verdict::NotProcessed,
            ticket: None,
        };
        reply.set(header::CONTENT_TYPE, content_type)
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, JSON, body.to_string())
    }

    pub(crate) fn html(status: u16, title: &str, text: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n\
             <body><h1>{title}</h1><p>{text}</p></body>\n</html>\n"
        );
        Self::new(status, HTML, page)
    }

    /// Without its body.
    pub(crate) fn empty(mut self) -> Self {
        self.body = Bytes::new();
        self
    }

    /// A redirect with an empty body.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, HTML, "").set(header::LOCATION, location)
    }

    pub(crate) fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    pub(crate) fn ticket(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// Sets a header; a value that HTTP does not allow is left out.
    pub(crate) fn set(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets a header by its lower-case name.
    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        self.set(HeaderName::from_static(name), value)
    }

    /// Adds one more header of that name.
    pub(crate) fn append(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}
