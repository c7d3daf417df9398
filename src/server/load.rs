//! What the server carries: how many requests at once, how long each may take, and whether it is about to stop. All of it is
//! counted without a lock, for every request comes by here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use super::auth::password;
use super::memory_budget::MemoryBudget;
use super::{answer_body, request_body};

/// How many requests may run at once. One more is refused at once, so that the others keep their time.
pub const MOST: usize = 256;
/// How many of them may be forms that are sent. They have places of their own, for a crowd that signs in must not take those of
/// whoever comes with a key.
pub const MOST_FORMS: usize = 128;
/// How many may sign in or up: as many as can wait for their password to be hashed. The rest of a crowd is refused before it
/// costs anything.
pub const MOST_SIGN_INS: usize = password::QUEUE;
/// How long a request may take, its body included: a client that waits ten seconds has an answer.
pub const TIME: Duration = Duration::from_millis(9_500);

/// What the server carries just now.
#[derive(Debug)]
pub struct Load {
    sign_ins: AtomicUsize,
    forms: AtomicUsize,
    others: AtomicUsize,
    probes: AtomicUsize,
    stopping: AtomicBool,
    /// The memory for what is sent to the server and has not come whole.
    pub bodies: MemoryBudget,
    /// The memory for what is sent to clients and is not read yet.
    pub answers: MemoryBudget,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            sign_ins: AtomicUsize::default(),
            forms: AtomicUsize::default(),
            others: AtomicUsize::default(),
            probes: AtomicUsize::default(),
            stopping: AtomicBool::default(),
            bodies: MemoryBudget::new(request_body::BUDGET),
            answers: MemoryBudget::new(answer_body::BUDGET),
        }
    }
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

    /// Frees the place of a request that waits for its client.
    pub fn pause(&self, kind: Kind) {
        self.running(kind).0.fetch_sub(1, Relaxed);
    }

    /// Takes a place again for a request that waited; false if that makes one too many.
    pub fn resume(&self, kind: Kind) -> bool {
        let (running, most) = self.running(kind);
        running.fetch_add(1, Relaxed) < most
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
