//! Runs one test at a time.

use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test of this program runs. These tests measure, and the database has 200 connections.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}
