//! What the server carries: how many requests at once, how long each may take, and whether it is about to stop. All of it is
//! counted without a lock, for every request comes by here.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};

use super::auth::password;
use super::state::AppState;

/// How many requests may run at once. One more is refused at once, so that the others keep their time.
pub const MOST: usize = 256;
/// How many of them may be forms that are sent. They have places of their own, for a crowd that signs in must not take those of
/// whoever comes with a key.
pub const MOST_FORMS: usize = 128;
/// How many may sign in or up: as many as can wait for their password to be hashed. The rest of a crowd is refused before it
/// costs anything.
pub const MOST_SIGN_INS: usize = password::QUEUE;
/// How long a request may take, its body included: whoever waits ten seconds has an answer.
pub const TIME: Duration = Duration::from_millis(9_500);

/// What the server carries just now.
#[derive(Debug, Default)]
pub struct Load {
    sign_ins: AtomicUsize,
    forms: AtomicUsize,
    others: AtomicUsize,
    probes: AtomicUsize,
    stopping: AtomicBool,
}

/// What a request takes a place as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A form to sign in or up.
    SignIn,
    /// Any other form that is sent: a server function.
    Form,
    /// The question whether the server is alive, or ready. It is answered whatever else runs.
    Probe,
    /// Anything else.
    Other,
}

impl Load {
    fn running(&self, kind: Kind) -> (&AtomicUsize, usize) {
        match kind {
            Kind::SignIn => (&self.sign_ins, MOST_SIGN_INS),
            Kind::Form => (&self.forms, MOST_FORMS),
            Kind::Probe => (&self.probes, usize::MAX),
            Kind::Other => (&self.others, MOST),
        }
    }

    /// A place for a request, until it is dropped; `None` if there is none.
    pub fn admit(&self, kind: Kind) -> Option<Place<'_>> {
        let (running, most) = self.running(kind);
        let before = running.fetch_add(1, Relaxed);
        // Dropped where there is none, it takes back what it counted.
        let place = Place(running);
        (before < most).then_some(place)
    }

    /// Notes that the server is about to stop.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether the server is about to stop: it is not ready, and its answers end their connections.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

/// A place among the requests that run.
pub struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Work that must end in time; `None` if it did not.
pub async fn in_time<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    // Most of it is done at once, and needs no timer.
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// Lets a request give up its place for as long as its client keeps it waiting for the body: otherwise a few clients that
/// are slow, or seem so, would take all places.
pub fn watch_body(request: Request, state: &AppState, kind: Kind) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Watched { body, state: state.clone(), kind, waits: false }))
}

struct Watched {
    body: Body,
    state: AppState,
    kind: Kind,
    waits: bool,
}

impl Watched {
    fn set_waits(&mut self, waits: bool) {
        let (running, _) = self.state.load.running(self.kind);
        match (self.waits, waits) {
            (false, true) => drop(running.fetch_sub(1, Relaxed)),
            // Whoever was let in stays in, also where that makes one too many.
            (true, false) => drop(running.fetch_add(1, Relaxed)),
            _ => {}
        }
        self.waits = waits;
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.set_waits(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.set_waits(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_is_gone_and_one_too_many_takes_none() {
        let load = Load::default();
        let mut places: Vec<_> = (0..MOST).map(|_| load.admit(Kind::Other).unwrap()).collect();
        for _ in 0..3 {
            assert!(load.admit(Kind::Other).is_none());
        }
        assert!(load.admit(Kind::Form).is_some() && load.admit(Kind::SignIn).is_some());
        places.pop();
        let place = load.admit(Kind::Other);
        assert!(place.is_some() && load.admit(Kind::Other).is_none());
        drop((place, places));
        assert_eq!((load.others.load(Relaxed), load.forms.load(Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn work_that_does_not_end_in_time_is_given_up() {
        assert_eq!(in_time(Duration::ZERO, async { 1 }).await, Some(1));
        assert_eq!(in_time(TIME, tokio::task::yield_now()).await, Some(()));
        assert_eq!(in_time(Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }
}
