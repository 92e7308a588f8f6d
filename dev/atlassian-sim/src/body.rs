//! Bodies as faults make them: whole, dribbling, endless, cut short.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::oauth::Ticket;

/// The connection is to be closed without a (further) word.
#[derive(Debug, thiserror::Error)]
#[error("the simulator closes this connection")]
pub(crate) struct Abort;

/// A response body.
#[derive(Debug)]
pub(crate) enum SimBody {
    /// All at once.
    Full(Option<Bytes>),
    /// `chunk` bytes, a pause, and so on.
    Dribble {
        rest: Bytes,
        chunk: usize,
        pause: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    },
    /// Never ends.
    Endless {
        chunk: Bytes,
        timer: Option<Pin<Box<Sleep>>>,
    },
    /// This much, then the connection is closed.
    Truncated { first: Option<Bytes>, flushed: bool },
    /// Another body, and who wants to know when all of it was handed over.
    Told { inner: Box<SimBody>, ticket: Ticket },
}

impl SimBody {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::Full(Some(bytes))
    }

    pub(crate) fn told(self, ticket: Ticket) -> Self {
        // Nobody asks for the parts of a body that has none.
        if self.is_end_stream() {
            ticket.answered();
        }
        let inner = Box::new(self);
        Self::Told { inner, ticket }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(
                bytes
                    .take()
                    .filter(|b| !b.is_empty())
                    .map(|b| Ok(Frame::data(b))),
            ),
            Self::Dribble {
                rest,
                chunk,
                pause,
                timer,
            } => dribble(rest, (*chunk).max(1), *pause, timer, cx),
            Self::Endless { chunk, timer } => endless(chunk, timer, cx),
            Self::Truncated { first, flushed } => match first.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None if !*flushed => {
                    // One turn of waiting lets the server flush what it has before the end.
                    *flushed = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(Abort))),
            },
            Self::Told { inner, ticket } => {
                let frame = Pin::new(&mut **inner).poll_frame(cx);
                if inner.is_end_stream() {
                    ticket.answered();
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Dribble { rest, .. } => rest.is_empty(),
            Self::Endless { .. } | Self::Truncated { .. } => false,
            Self::Told { inner, .. } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(length(bytes.as_ref())),
            Self::Dribble { rest, .. } => SizeHint::with_exact(length(Some(rest))),
            Self::Endless { .. } | Self::Truncated { .. } => SizeHint::default(),
            Self::Told { inner, .. } => inner.size_hint(),
        }
    }
}

fn length(bytes: Option<&Bytes>) -> u64 {
    bytes.map_or(0, |b| b.len() as u64)
}

fn dribble(
    rest: &mut Bytes,
    chunk: usize,
    pause: Duration,
    timer: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
    if rest.is_empty() {
        return Poll::Ready(None);
    }
    let waiting = timer.get_or_insert_with(|| Box::pin(sleep(pause)));
    if waiting.as_mut().poll(cx).is_pending() {
        return Poll::Pending;
    }
    *timer = None;
    let piece = rest.split_to(chunk.min(rest.len()));
    Poll::Ready(Some(Ok(Frame::data(piece))))
}

/// One chunk a millisecond: fast enough to hurt a careless client, and no load of its own.
fn endless(
    chunk: &Bytes,
    timer: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
    let waiting = timer.get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
    if waiting.as_mut().poll(cx).is_pending() {
        return Poll::Pending;
    }
    *timer = Some(Box::pin(sleep(Duration::from_millis(1))));
    Poll::Ready(Some(Ok(Frame::data(chunk.clone()))))
}
