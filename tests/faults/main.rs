//! Fault injection: the server is killed, stopped, overloaded or out of disk.
//!
//! Each test has a short form for `make test`, and a long form for `make test-faults`, which prints a table.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "tests: a panic is how they fail"
)]

#[path = "../support"]
mod support {
    #[allow(dead_code, reason = "tests/cluster uses the rest")]
    pub mod browser;
    pub mod free_address;
    #[allow(dead_code, reason = "tests/cluster uses the rest")]
    pub mod http;
    #[allow(dead_code, reason = "tests/cluster uses the rest")]
    pub mod key_client;
    #[allow(dead_code, reason = "tests/cluster uses the rest")]
    pub mod machines;
    pub mod outcome;
    pub mod scene;
    pub mod serial;
}

mod bodies;
mod crashes;
mod damage;
mod disk;
mod http2;
mod limits;
mod lock;
mod measurements;
mod overload;
mod sign_ins;
mod stopping;
