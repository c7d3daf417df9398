//! Many machines: processes of the built program on one database, behind nginx, and what becomes of them when
//! connections and processes go. Each test prints its figures:
//! `scripts/with-postgres.sh cargo test --test cluster -- --nocapture --test-threads=1`.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "tests: a panic is how they fail"
)]

#[allow(dead_code, reason = "what `make test-faults` does with it")]
#[path = "../faults/browser.rs"]
mod browser;
mod client;
#[allow(dead_code, reason = "what `make bench` asks by")]
#[path = "../../benches/http/connection.rs"]
mod connection;
mod database;
#[allow(dead_code, reason = "what `make test-faults` does to them")]
mod machines;
mod nginx;
mod pgbouncer;
mod postgres;
mod proxy;
#[path = "../faults/table.rs"]
mod table;
mod traffic;

mod failover;
mod faults;
mod outages;
mod pooler;
mod processes;
mod revocations;
mod upgrade;

use tokio::sync::{Mutex, MutexGuard};

/// One test at a time, whatever the number of threads: they measure, and the database has 200 connections.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}
