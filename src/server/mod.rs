//! Business logic, authentication and database access. Compiled for the server only.

pub mod admission;
pub mod apis;
pub mod audit;
pub mod auth;
mod background_thread;
pub mod change_listener;
pub mod clock;
pub mod concurrency_limit;
pub mod config;
pub mod db;
pub mod denial_log;
pub mod employees;
mod fast_map;
pub mod import;
pub mod ip_quota;
pub mod keys;
pub mod leptos_context;
pub mod log_format;
pub mod maintenance;
pub mod memory_budget;
pub mod metrics;
pub mod rate_limits;
pub mod report_signature;
pub mod request_context;
pub mod site;
pub mod state;
pub mod teams;
pub mod theme;
pub mod trace_context;
pub mod users;

pub use self::leptos_context::redirect;
