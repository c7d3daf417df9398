//! Admission control: caps concurrent requests, enforces a deadline and tracks shutdown. Lock-free, because every request
//! passes through.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::auth::password;
use super::memory_budget::MemoryBudget;

/// Largest request body, in bytes.
pub const MAX_BODY_SIZE: usize = 64 * 1024;
/// Memory for request bodies that have not arrived completely, in bytes.
pub const REQUEST_BODY_BUDGET: usize = 64 * 1024 * 1024;
/// Memory for responses that clients have not read yet, in bytes. Beyond it, requests are rejected.
pub const RESPONSE_BODY_BUDGET: usize = 256 * 1024 * 1024;

/// Requests that run at once. One more is rejected immediately, so that the others finish in time.
pub const MAX_IN_FLIGHT: usize = 256;
/// Forms that run at once. They have permits of their own: a crowd that signs in must not take those of API requests.
pub const MAX_FORMS_IN_FLIGHT: usize = 128;
/// Sign-ins and sign-ups that run at once: as many as fit into the queue of password hashing.
pub const MAX_SIGN_INS_IN_FLIGHT: usize = password::MAX_QUEUED;
/// Time for a request, its body included. A client that waits ten seconds gets an answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(9_500);

/// Counts of the requests that run.
#[derive(Debug)]
pub struct AdmissionControl {
    sign_ins: AtomicUsize,
    forms: AtomicUsize,
    others: AtomicUsize,
    probes: AtomicUsize,
    stopping: AtomicBool,
    /// Permits of the listener, and their number; unset without a listener.
    connections: OnceLock<(Arc<Semaphore>, usize)>,
    /// Memory for request bodies that have not arrived completely.
    pub bodies: MemoryBudget,
    /// Memory for responses that clients have not read yet.
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
            connections: OnceLock::new(),
            bodies: MemoryBudget::new(REQUEST_BODY_BUDGET),
            answers: MemoryBudget::new(RESPONSE_BODY_BUDGET),
        }
    }
}

/// Class of a request. Each has permits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestClass {
    /// A form to sign in or sign up.
    SignIn,
    /// Any other server function.
    Form,
    /// A health check, which is always admitted.
    Probe,
    /// Anything else.
    Other,
}

impl AdmissionControl {
    fn running(&self, class: RequestClass) -> (&AtomicUsize, usize) {
        match class {
            RequestClass::SignIn => (&self.sign_ins, MAX_SIGN_INS_IN_FLIGHT),
            RequestClass::Form => (&self.forms, MAX_FORMS_IN_FLIGHT),
            RequestClass::Probe => (&self.probes, usize::MAX),
            RequestClass::Other => (&self.others, MAX_IN_FLIGHT),
        }
    }

    /// Returns a permit to run a request, or `None` if the server is full.
    pub fn admit(&self, class: RequestClass) -> Option<Permit<'_>> {
        let (running, max) = self.running(class);
        let before = running.fetch_add(1, Relaxed);
        // When it is dropped, it takes its count back, also here.
        let permit = Permit(running);
        (before < max).then_some(permit)
    }

    /// Releases the permit of a request while it waits for its client.
    pub fn pause(&self, class: RequestClass) {
        self.running(class).0.fetch_sub(1, Relaxed);
    }

    /// Takes a permit again for a request that has waited. Returns false if the server is full.
    pub fn resume(&self, class: RequestClass) -> bool {
        let (running, max) = self.running(class);
        running.fetch_add(1, Relaxed) < max
    }

    /// Returns the requests of a class that run, and how many may.
    pub fn in_flight(&self, class: RequestClass) -> (usize, usize) {
        let (running, max) = self.running(class);
        (running.load(Relaxed), max)
    }

    /// Notes the permits of the listener. Only the first listener counts.
    pub fn set_connection_permits(&self, permits: Arc<Semaphore>, max: usize) {
        let _ = self.connections.set((permits, max));
    }

    /// Returns the open connections, and how many there may be.
    pub fn connections(&self) -> (usize, usize) {
        let of = |(permits, max): &(Arc<Semaphore>, usize)| (max.saturating_sub(permits.available_permits()), *max);
        self.connections.get().map_or((0, 0), of)
    }

    /// Starts the shutdown.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether the server shuts down: it is not ready, and its responses close their connections.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

/// Permit to run a request. Dropping it releases it.
pub struct Permit<'a>(&'a AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Runs work up to a time limit. Returns `None` if it took longer.
pub async fn with_timeout<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    // Most work completes on the first poll, without a timer.
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(limit, work).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_is_free_and_a_rejected_request_takes_none() {
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
    async fn slow_work_times_out() {
        assert_eq!(with_timeout(Duration::ZERO, async { 1 }).await, Some(1));
        assert_eq!(with_timeout(REQUEST_TIMEOUT, tokio::task::yield_now()).await, Some(()));
        assert_eq!(with_timeout(Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }
}
