//! The layer around a client's service.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::sync::Mutex;
use tower::{BoxError, Layer, Service, ServiceExt as _};

use super::{
    Faults, Side,
    body::{AnswerBody, WatchBody},
    request::{Recorded, Verb},
};

/// Puts [`Faults`] around a client's service.
#[derive(Debug, Clone)]
pub struct FaultLayer {
    pub(crate) faults: Faults,
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> FaultService<S> {
        FaultService {
            inner: Arc::new(Mutex::new(inner)),
            faults: self.faults.clone(),
        }
    }
}

/// A service with faults.
#[derive(Debug)]
pub struct FaultService<S> {
    // Shared, because what is to happen is decided before the inner service
    // is called, in a future that outlives the borrow of this one.
    inner: Arc<Mutex<S>>,
    faults: Faults,
}

impl<S, B> Service<Request<Body>> for FaultService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(handle(self.inner.clone(), self.faults.clone(), request))
    }
}

async fn handle<S, B>(
    inner: Arc<Mutex<S>>,
    faults: Faults,
    request: Request<Body>,
) -> Result<Response<AnswerBody>, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (recorded, request) = Recorded::read(request).await?;
    faults.stopped_is_forever().await;
    let plan = faults.plan(&recorded);
    if plan.hold {
        std::future::pending::<()>().await;
    }
    delay(plan.delay_before).await;
    if let Some(failure) = plan.failure_before {
        faults.stopped_is_forever().await;
        return failure.answer();
    }
    if plan.stop == Some(Side::Before) {
        faults.stop_now();
    }
    faults.stopped_is_forever().await;
    let mut heals = faults.heals.subscribe();
    let answer = send(&inner, request).await;
    if plan.hold_after {
        // The sender lives as long as the faults.
        let _ = heals.changed().await;
    }
    if plan.stop == Some(Side::After) {
        faults.stop_now();
    }
    delay(plan.delay_after).await;
    faults.stopped_is_forever().await;
    let answer = answer?;
    if let Some(failure) = plan.failure_after {
        return failure.answer();
    }
    let watch = recorded.verb == Verb::Watch && answer.status().is_success();
    Ok(answer.map(|body| {
        if watch {
            WatchBody::new(body, faults.watch_opened(recorded)).boxed_unsync()
        } else {
            body.map_err(Into::into).boxed_unsync()
        }
    }))
}

/// The lock is held until the service has taken the request, not until it has
/// answered.
async fn send<S>(inner: &Mutex<S>, request: Request<Body>) -> Result<S::Response, BoxError>
where
    S: Service<Request<Body>>,
    S::Error: Into<BoxError>,
{
    let answer = {
        let mut service = inner.lock().await;
        service.ready().await.map_err(Into::into)?.call(request)
    };
    answer.await.map_err(Into::into)
}

async fn delay(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
