//! What the server carries: how many requests at once, how long each may take, and whether it is about to stop. All of it is
//! counted without a lock, for every request comes by here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use super::auth::password;
use super::memory_budget::MemoryBudget;

/// Largest request body, in bytes.
pub const MAX_BODY_SIZE: usize = 64 * 1024;
/// Memory for request bodies that have not arrived completely, in bytes.
pub const REQUEST_BODY_BUDGET: usize = 64 * 1024 * 1024;
/// Memory for responses that clients have not read yet, in bytes. Beyond it, requests are rejected.
pub const RESPONSE_BODY_BUDGET: usize = 256 * 1024 * 1024;

/// How many requests may run at once. One more is refused at once, so that the others keep their time.
pub const MAX_IN_FLIGHT: usize = 256;
/// How many of them may be forms that are sent. They have places of their own, for a crowd that signs in must not take those of
/// whoever comes with a key.
pub const MAX_FORMS_IN_FLIGHT: usize = 128;
/// How many may sign in or up: as many as can wait for their password to be hashed. The rest of a crowd is refused before it
/// costs anything.
pub const MAX_SIGN_INS_IN_FLIGHT: usize = password::MAX_QUEUED;
/// How long a request may take, its body included: a client that waits ten seconds has an answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(9_500);

/// What the server carries just now.
#[derive(Debug)]
pub struct AdmissionControl {
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

impl Default for AdmissionControl {
    fn default() -> Self {
        Self {
            sign_ins: AtomicUsize::default(),
            forms: AtomicUsize::default(),
            others: AtomicUsize::default(),
            probes: AtomicUsize::default(),
            stopping: AtomicBool::default(),
            bodies: MemoryBudget::new(REQUEST_BODY_BUDGET),
            answers: MemoryBudget::new(RESPONSE_BODY_BUDGET),
        }
    }
}

/// What a request takes a place as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestClass {
    /// A form to sign in or up.
    SignIn,
    /// Any other form that is sent: a server function.
    Form,
    /// The question whether the server is alive, or ready. It is answered whatever else runs.
    Probe,
    /// Anything else.
    Other,
}

impl AdmissionControl {
    fn running(&self, kind: RequestClass) -> (&AtomicUsize, usize) {
        match kind {
            RequestClass::SignIn => (&self.sign_ins, MAX_SIGN_INS_IN_FLIGHT),
            RequestClass::Form => (&self.forms, MAX_FORMS_IN_FLIGHT),
            RequestClass::Probe => (&self.probes, usize::MAX),
            RequestClass::Other => (&self.others, MAX_IN_FLIGHT),
        }
    }

    /// A place for a request, until it is dropped; `None` if there is none.
    pub fn admit(&self, kind: RequestClass) -> Option<Permit<'_>> {
        let (running, most) = self.running(kind);
        let before = running.fetch_add(1, Relaxed);
        // Dropped where there is none, it takes back what it counted.
        let permit = Permit(running);
        (before < most).then_some(permit)
    }

    /// Frees the place of a request that waits for its client.
    pub fn pause(&self, kind: RequestClass) {
        self.running(kind).0.fetch_sub(1, Relaxed);
    }

    /// Takes a place again for a request that waited; false if that makes one too many.
    pub fn resume(&self, kind: RequestClass) -> bool {
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
pub struct Permit<'a>(&'a AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Work that must end in time; `None` if it did not.
pub async fn with_timeout<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
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
        let load = AdmissionControl::default();
        let mut permits: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| load.admit(RequestClass::Other).unwrap()).collect();
        for _ in 0..3 {
            assert!(load.admit(RequestClass::Other).is_none());
        }
        assert!(load.admit(RequestClass::Form).is_some() && load.admit(RequestClass::SignIn).is_some());
        permits.pop();
        let permit = load.admit(RequestClass::Other);
        assert!(permit.is_some() && load.admit(RequestClass::Other).is_none());
        drop((permit, permits));
        assert_eq!((load.others.load(Relaxed), load.forms.load(Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn work_that_does_not_end_in_time_is_given_up() {
        assert_eq!(with_timeout(Duration::ZERO, async { 1 }).await, Some(1));
        assert_eq!(with_timeout(REQUEST_TIMEOUT, tokio::task::yield_now()).await, Some(()));
        assert_eq!(with_timeout(Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }
}
