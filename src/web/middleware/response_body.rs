//! Response bodies: counts the memory of what slow clients have not read yet.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};

use crate::server::memory_budget::{MemoryBudget, Reservation};

/// Responses up to this size are not counted: a connection itself takes more.
const MIN_COUNTED_SIZE: usize = 2 * 1024;
/// Memory of a response of unknown length: the part of a file that is read at a time.
const STREAM_CHUNK: usize = 64 * 1024;

/// Reserves the memory of a response until the client has read it.
#[must_use]
pub fn count(response: Response, budget: &MemoryBudget, of: Option<IpAddr>) -> Response {
    let size =
        response.body().size_hint().exact().map_or(STREAM_CHUNK, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if size <= MIN_COUNTED_SIZE {
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
        // HTTP/2 drops the body here, and keeps its last part until the client reads it.
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
