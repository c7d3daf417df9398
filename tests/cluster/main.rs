//! Tests of several servers: processes of the built program on one database, behind nginx.
//!
//! They take connections and processes away. Each test prints its measurements:
//! `scripts/with-postgres.sh cargo test --test cluster -- --nocapture --test-threads=1`.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "tests: a panic is how they fail"
)]

#[path = "../support"]
mod support {
    #[allow(dead_code, reason = "tests/faults uses the rest")]
    pub mod browser;
    pub mod free_address;
    #[allow(dead_code, reason = "tests/faults uses the rest")]
    pub mod http;
    pub mod key_client;
    #[allow(dead_code, reason = "tests/faults uses the rest")]
    pub mod machines;
    pub mod nginx;
    pub mod outcome;
    pub mod pgbouncer;
    pub mod postgres;
    pub mod proxy;
    pub mod recipe;
    pub mod serial;
    pub mod shared_database;
    pub mod traffic;
    pub mod upstream;
}

mod failover;
mod faults;
mod forward_auth;
mod outages;
mod pooler;
mod processes;
mod revocations;
mod soak;
mod upgrade;
