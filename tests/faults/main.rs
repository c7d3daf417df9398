//! Faults: what becomes of requests and of what was acknowledged when the server is killed, stopped, held up or out of disk.
//! Each test has a short form, which `make test` runs, and a long one, which `make test-faults` runs and makes a table of.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "tests: a panic is how they fail"
)]

#[allow(dead_code, reason = "what tests/cluster opens")]
mod browser;
#[allow(dead_code, reason = "what tests/cluster asks by")]
#[path = "../cluster/client.rs"]
mod client;
#[allow(dead_code, reason = "what `make bench` asks by")]
#[path = "../../benches/http/connection.rs"]
mod connection;
#[allow(dead_code, reason = "what tests/cluster does to them")]
#[path = "../cluster/machines.rs"]
mod machines;
mod scene;
mod table;
#[allow(dead_code, reason = "what tests/cluster looks at")]
#[path = "../cluster/traffic.rs"]
mod traffic;

mod bodies;
mod crashes;
mod damage;
mod disk;
mod http2;
mod limits;
mod lock;
mod overload;
mod sign_ins;
mod stopping;

use tokio::sync::{Mutex, MutexGuard};

/// One test at a time, whatever the number of threads: they measure.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}
