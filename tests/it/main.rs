//! HTTP tests through the router, one module per feature.
//!
//! Tests that use the database run twice, on SQLite and on PostgreSQL. `cargo test --test it sqlite` runs the half that
//! needs no server.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "tests: a panic is how they fail"
)]

#[path = "../support"]
mod support {
    pub mod free_address;
    mod test_app;

    pub use test_app::*;
}

mod access_log;
mod account_deletion;
mod account_email;
mod account_export;
mod accounts;
mod admin;
mod apis;
mod architecture;
mod audit;
mod audit_export;
mod backup;
mod bodies;
mod bola;
mod bounds;
mod cli;
mod clock;
mod confirm;
mod copy;
mod cors;
mod credentials;
mod database;
mod dialogs;
mod docs;
mod doctor;
mod employees;
mod employees_input;
mod fold;
mod headers;
mod health;
mod import;
mod imports;
mod invalidation;
mod invitations;
mod key_lists;
mod keys;
mod keys_form;
mod last_use;
mod leak_reports;
mod limits_named;
mod links;
mod log;
mod mass_assignment;
mod matrix;
mod metrics;
mod names;
mod navigation;
mod no_js_errors;
mod openapi;
mod overload;
mod own_endpoint;
mod page_user;
mod pages;
mod panics;
mod prose;
mod queries;
mod races;
mod rate_limit_headers;
mod redaction;
mod reset_links;
mod rotation;
mod secrets;
mod sessions;
mod team_command;
mod teams;
mod throttle;
mod timing;
mod upgrade;
mod usage;
mod verify;
