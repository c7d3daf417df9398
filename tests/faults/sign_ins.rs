//! Very many sign-ins at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::setpriority_process;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::measurements::holds_in_one_of_three;
use crate::support::browser::form;
use crate::support::http::Connection;
use crate::support::key_client::{percentile, with_key};
use crate::support::machines::{KEYFOB, Machine};
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::Scene;
use crate::support::serial::alone;

const PACE: Duration = Duration::from_millis(2);
const QUIET: Duration = Duration::from_secs(3);
/// From one of the crowd to the next: all are there before a twentieth of them has its answer.
const APART: Duration = Duration::from_millis(1);
/// How long others may keep the cores from whoever waits for one: a tick of the scheduler each for a thread that hashes and for
/// the crowd, which has no cores of its own.
const SLICES: Duration = Duration::from_millis(8);
/// Without a limit of their address, which would refuse most of them at once.
const BY: [&str; 3] = ["/usr/bin/env", "KEYFOB_SIGN_IN_RATE=0", KEYFOB];

#[tokio::test]
async fn sign_in_flood_at_most_doubles_the_p99_of_key_checks() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start_by(&BY, &scene.url).await;
    let (addr, key) = (machine.addr, &scene.keys[0]);
    let people = short_or_long(200, 500);
    holds_in_one_of_three(async || measure(addr, key, people).await).await;
}

/// Compares key checks beside a crowd with key checks before it, and beside threads that only compute.
async fn measure(addr: SocketAddr, key: &str, people: usize) -> Result<(), String> {
    let before = paced(addr, key, |since| since < QUIET).await;
    // What the scheduler itself costs: as many threads as hash, and one for the crowd, that do nothing but compute.
    let control = Spinning::start(1 + hashing_threads());
    let beside_control = paced(addr, key, |since| since < QUIET).await;
    drop(control);
    let crowd = Crowd::come(addr, people);
    let during = paced(addr, key, |_| !crowd.0.is_finished()).await;
    let (at_the_end, waited, took) = crowd.join();
    let [before, beside_control, during] =
        [before, beside_control, during].map(|times| [50, 99].map(|hundredths| percentile(&times, hundredths)));
    report(
        &format!("{people} sign-ins at once"),
        &format!(
            "key checks beside them: p50 {:.2?}, p99 {:.2?}; before p50 {:.2?}, p99 {:.2?}; beside threads that only \
             compute p99 {:.2?}; {at_the_end} were answered, {waited} times with 503 first, in {took:.1?}",
            during[0], during[1], before[0], before[1], beside_control[1]
        ),
    );
    let most = 2 * before[1].max(beside_control[1]) + SLICES;
    if during[1] <= most { Ok(()) } else { Err(format!("{during:?}, before {before:?}, control {beside_control:?}")) }
}

/// How long key checks take, one each [`PACE`] for as long as `more` says, from the moment that each was due; in order of
/// time.
async fn paced(addr: SocketAddr, key: &str, more: impl Fn(Duration) -> bool) -> Vec<Duration> {
    let mut connection = Connection::open(addr).await.unwrap();
    let request = with_key("GET /api/v1/me", key);
    let (began, mut times) = (Instant::now(), Vec::new());
    while more(began.elapsed()) {
        let mut due = began + PACE * u32::try_from(times.len()).unwrap();
        if due > Instant::now() {
            // It wakes up to a millisecond late; that is the test's own.
            sleep_until(due).await;
            due = Instant::now();
        }
        assert_eq!(connection.ask(&request).await.unwrap(), 200);
        times.push(due.elapsed());
    }
    times.sort_unstable();
    times
}

/// How many threads of the server hash at a time.
fn hashing_threads() -> usize {
    (thread::available_parallelism().unwrap().get() / 2).max(1)
}

/// A thread of the test that gives way, for its load would come from other machines.
fn in_the_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(|| {
        setpriority_process(None, 19).unwrap();
        work()
    })
}

/// Threads that compute until this is dropped.
struct Spinning(Arc<AtomicBool>);

impl Spinning {
    fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let stop = Arc::clone(&stop);
            in_the_background(move || while !stop.load(Relaxed) {});
        }
        Self(stop)
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// People who sign in, all at once.
struct Crowd(JoinHandle<(usize, usize, Duration)>);

impl Crowd {
    fn come(addr: SocketAddr, people: usize) -> Self {
        Self(in_the_background(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let began = Instant::now();
                let mut crowd = JoinSet::new();
                for n in 0..people {
                    crowd.spawn(sign_in(addr, n));
                    sleep(APART).await;
                }
                let waited = crowd.join_all().await;
                (waited.len(), waited.iter().sum(), began.elapsed())
            })
        }))
    }

    /// How many were answered, how often they were told to come back before that, and how long it took.
    fn join(self) -> (usize, usize, Duration) {
        self.0.join().unwrap()
    }
}

/// Tries to sign in until it is told yes or no; gives how often it was told to come back.
async fn sign_in(addr: SocketAddr, n: usize) -> usize {
    // Never an address of an earlier measurement: one that failed often has to wait.
    static PEOPLE: AtomicUsize = AtomicUsize::new(0);
    let person = PEOPLE.fetch_add(1, Relaxed);
    let request = form("sign_in", "", &format!("email=nobody{person}%40example.com&password=four+words+for+nobody"));
    for refused in 0.. {
        let mut connection = Connection::open(addr).await.unwrap();
        match connection.ask(&request).await.unwrap() {
            // As it is told to by Retry-After; and no crowd keeps step.
            503 => sleep(Duration::from_millis(2_000 + n as u64 * 37 % 1_000)).await,
            400 => return refused,
            status => panic!("a sign-in was answered with {status}: {}", connection.text()),
        }
    }
    unreachable!()
}
