//! The bodies of answers: failures, and watches that can be cut.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt as _, channel::oneshot};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tower::BoxError;

use super::rule::Failure;

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// How a watch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In good order, as when the server's time limit is over.
    End,
    /// With the event that says that the version to go on from is gone, so
    /// that the client has to list everything again.
    Gone,
    /// With a connection error.
    Broken,
}

impl Failure {
    pub(crate) fn answer(self) -> Result<Response<AnswerBody>, BoxError> {
        match self {
            Self::Connection => Err(connection_reset()),
            Self::Status(code) => {
                let body = Full::from(status(code).to_string()).map_err(BoxError::from);
                let mut response = Response::new(body.boxed_unsync());
                *response.status_mut() = code;
                let headers = response.headers_mut();
                let json = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, json);
                if code == StatusCode::TOO_MANY_REQUESTS {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                Ok(response)
            }
        }
    }
}

fn connection_reset() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "injected fault").into()
}

/// A `Status` as the API server writes it.
fn status(code: StatusCode) -> Value {
    let reason = match code.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    let mut status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("injected fault: {code}"),
        "reason": reason,
        "code": code.as_u16(),
    });
    if code == StatusCode::TOO_MANY_REQUESTS
        && let Some(fields) = status.as_object_mut()
    {
        fields.insert("details".to_owned(), json!({ "retryAfterSeconds": 1 }));
    }
    status
}

/// The body of a watch.
pub(crate) struct WatchBody<B> {
    inner: Pin<Box<B>>,
    /// Gone when the watch has ended, or can no longer be cut.
    cut: Option<oneshot::Receiver<Cut>>,
    ended: bool,
}

impl<B> WatchBody<B> {
    pub(crate) fn new(inner: B, cut: oneshot::Receiver<Cut>) -> Self {
        Self {
            inner: Box::pin(inner),
            cut: Some(cut),
            ended: false,
        }
    }

    fn poll_cut(&mut self, context: &mut Context<'_>) -> Option<Cut> {
        match self.cut.as_mut()?.poll_unpin(context) {
            Poll::Pending => None,
            Poll::Ready(result) => {
                self.cut = None;
                result.ok()
            }
        }
    }
}

impl<B> Body for WatchBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(cut) = self.poll_cut(context) else {
            return self.inner.as_mut().poll_frame(context).map_err(Into::into);
        };
        self.ended = true;
        Poll::Ready(match cut {
            Cut::End => None,
            Cut::Gone => {
                let event = json!({ "type": "ERROR", "object": status(StatusCode::GONE) });
                Some(Ok(Frame::data(Bytes::from(format!("{event}\n")))))
            }
            Cut::Broken => Some(Err(connection_reset())),
        })
    }
}
