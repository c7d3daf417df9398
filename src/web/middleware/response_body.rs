//! The bodies of answers: a client that reads slowly, or not at all, makes the server keep what it has not read. This counts it.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};

use crate::server::memory_budget::{MemoryBudget, Reservation};

/// An answer up to this size is not counted, for the sake of the time: a connection itself takes more.
const SMALL: usize = 2 * 1024;
/// What an answer of unknown length takes at a time: what is read of a file at once.
const STREAMED: usize = 64 * 1024;

/// Counts what an answer takes until its client has read it.
#[must_use]
pub fn count(response: Response, budget: &MemoryBudget, of: Option<IpAddr>) -> Response {
    let size = response.body().size_hint().exact().map_or(STREAMED, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if size <= SMALL {
        return response;
    }
    let reserved = Some(budget.reserve(of, size));
    response.map(|body| Body::new(Counted { body, reserved }))
}

struct Counted {
    body: Body,
    reserved: Option<Reservation>,
}

struct Part {
    bytes: Bytes,
    _reserved: Option<Reservation>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if !self.body.is_end_stream() {
            return polled;
        }
        // HTTP/2 drops the body here, and keeps its last part until the client takes that.
        let reserved = self.reserved.take();
        polled.map(|frame| {
            frame.map(|frame| {
                frame.map(|frame| frame.map_data(|bytes| Bytes::from_owner(Part { bytes, _reserved: reserved })))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
