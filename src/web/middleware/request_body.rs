//! Request bodies: buffered in one piece, within a memory budget that all requests share. Every extractor reads through this.
//!
//! While a request waits for its body it holds no permit, because a few slow clients could hold all of them. Its memory is
//! counted instead, and it takes a permit again when the body is complete.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};

use crate::server::admission::{MAX_BODY_SIZE, RequestClass};
use crate::server::memory_budget::Reservation;
use crate::server::state::AppState;

/// Memory of a waiting request without head and body, in bytes: its task, and what its connection reads ahead.
const REQUEST_OVERHEAD: usize = 16 * 1024;
/// Initial size of a body's buffer, in bytes.
const INITIAL_BUFFER: usize = 512;

/// Tells whether the body of a request was discarded for lack of memory.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub fn get(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Wraps the body of a request in a buffer within the budget.
pub fn watch(
    request: Request,
    state: &AppState,
    (kind, of): (RequestClass, Option<IpAddr>),
) -> Result<(Request, Option<GivenUp>), OverBudget> {
    if request.body().is_end_stream() {
        return Ok((request, None));
    }
    let reserved = state.admission.bodies.try_reserve(of, REQUEST_OVERHEAD + head_size(&request)).ok_or(OverBudget)?;
    let given_up = GivenUp::default();
    let watched = |body| Buffered {
        body,
        rest: Bytes::new(),
        piece: Vec::new(),
        reserved,
        given_up: given_up.clone(),
        waiting: Waiting { state: state.clone(), kind, waits: false, has_permit: true },
        is_read: false,
        ended: false,
    };
    let request = request.map(|body| Body::new(watched(body)));
    Ok((request, Some(given_up)))
}

fn head_size(request: &Request) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + request.uri().path().len() + request.uri().query().map_or(0, str::len)
}

/// The memory budget of request bodies is used up.
#[derive(Debug)]
pub struct OverBudget;

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory is left for the bodies of requests")
    }
}

impl std::error::Error for OverBudget {}

/// Body in pieces of [`MAX_BODY_SIZE`]; nearly always it is one. The parts that arrive are copied, because each would keep
/// alive the whole buffer from which the connection read it.
struct Buffered {
    body: Body,
    /// Rest of the last part that is not in the piece yet.
    rest: Bytes,
    piece: Vec<u8>,
    reserved: Reservation,
    given_up: GivenUp,
    waiting: Waiting,
    /// Whether the handler has received a piece.
    is_read: bool,
    ended: bool,
}

impl Buffered {
    /// Moves what has arrived into the piece. Returns false if there is no memory for it.
    fn fill(&mut self) -> bool {
        let part = self.rest.split_to(self.rest.len().min(MAX_BODY_SIZE - self.piece.len()));
        let (needed, has) = (self.piece.len() + part.len(), self.piece.capacity());
        if needed > has {
            let wanted = needed.max(2 * has).clamp(INITIAL_BUFFER, MAX_BODY_SIZE);
            if !self.reserved.try_grow(wanted - has) {
                return false;
            }
            self.piece.reserve_exact(wanted - self.piece.len());
        }
        self.piece.extend_from_slice(&part);
        true
    }

    /// Returns the piece; it holds its part of the budget until it is dropped.
    fn take_piece(&mut self) -> Bytes {
        self.is_read = true;
        let bytes = std::mem::take(&mut self.piece);
        let reserved = self.reserved.split(bytes.capacity());
        Bytes::from_owner(Piece { bytes, _reserved: reserved })
    }

    fn give_up(&mut self) -> axum::Error {
        self.given_up.0.store(true, Relaxed);
        self.ended = true;
        (self.rest, self.piece, self.body) = (Bytes::new(), Vec::new(), Body::empty());
        axum::Error::new(OverBudget)
    }
}

struct Piece {
    bytes: Vec<u8>,
    _reserved: Reservation,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Buffered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            if !this.rest.is_empty() && !this.fill() {
                return Poll::Ready(Some(Err(this.give_up())));
            }
            if this.piece.len() == MAX_BODY_SIZE || (this.ended && !this.piece.is_empty()) {
                if !this.waiting.has_permit && !this.is_read {
                    return Poll::Ready(Some(Err(this.give_up())));
                }
                return Poll::Ready(Some(Ok(Frame::data(this.take_piece()))));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            let polled = Pin::new(&mut this.body).poll_frame(cx);
            this.waiting.set(polled.is_pending());
            match polled {
                Poll::Pending => return Poll::Pending,
                // No handler reads trailers.
                Poll::Ready(Some(Ok(frame))) => this.rest = frame.into_data().unwrap_or_default(),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => this.ended = true,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.piece.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let (kept, of_body) = ((self.rest.len() + self.piece.len()) as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(kept));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint
    }
}

/// Tracks whether a request waits for its body, and so holds no permit.
struct Waiting {
    state: AppState,
    kind: RequestClass,
    waits: bool,
    /// Whether there was a permit when the wait ended.
    has_permit: bool,
}

impl Waiting {
    fn set(&mut self, waits: bool) {
        match (self.waits, waits) {
            (false, true) => self.state.admission.pause(self.kind),
            (true, false) => self.has_permit = self.state.admission.resume(self.kind),
            _ => {}
        }
        self.waits = waits;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.set(false);
    }
}
