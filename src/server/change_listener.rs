//! Listens for changes made by other processes (PostgreSQL NOTIFY, SQLite polling of the audit) and invalidates cached
//! keys. Cached keys expire after 5 s in any case, and after 1 s while this process is not connected.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use super::db::invalidations::{APIS, Invalidations};
use super::db::row::params;
use super::db::subscription::{Received, Subscription, silent};
use super::db::{Db, Error, Servers};
use crate::error::AppError;

/// How often the audit of an SQLite database is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long a connection may receive nothing before it sends itself a heartbeat, and how long that may take.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before the next attempt to listen.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How many events one poll reads at most.
const MAX_EVENTS: i64 = 1000;

/// Listens until the process ends.
pub async fn run(db: Db) {
    match &db {
        Db::Sqlite { .. } => poll_audit(&db).await,
        Db::Postgres { servers, session, .. } if session.listens() => listen(&db, servers).await,
        Db::Postgres { .. } if db.is_pooled() => {
            tracing::info!("PostgreSQL is behind a pooler: no change notifications; key cache TTL is 1 s");
        }
        Db::Postgres { .. } => {
            tracing::info!("PostgreSQL without NOTIFY: no change notifications; key cache TTL is 1 s");
        }
    }
}

/// Polls the audit until the process ends.
async fn poll_audit(db: &Db) {
    let mut seen = None;
    loop {
        let found = poll_audit_once(db, seen).await;
        db.invalidations().set_connected(found.is_ok());
        seen = found.ok().or(seen);
        sleep(POLL_INTERVAL).await;
    }
}

/// Invalidates what changed after the event with this row id, and returns the last row id. Row ids follow the order of
/// commits: SQLite runs one writing transaction at a time.
async fn poll_audit_once(db: &Db, seen: Option<i64>) -> Result<i64, AppError> {
    let last = db.query_one("SELECT COALESCE(MAX(rowid), 0) AS last FROM audit", &[], |row| row.get("last")).await?;
    let Some(seen) = seen.filter(|seen| last >= *seen && last - *seen <= MAX_EVENTS) else {
        // The first poll, another file in place of this one, or too much to read.
        db.invalidations().invalidate_all();
        return Ok(last);
    };
    if last == seen {
        return Ok(last);
    }
    // Any event: the few that change nothing of a key cost one more lookup.
    let sql = "SELECT COALESCE(key_id, user_id, CASE WHEN action LIKE 'api.%' THEN $3 END) AS id FROM audit \
               WHERE rowid > $1 AND rowid <= $2";
    let changed: Vec<Option<String>> = db.query(sql, params![seen, last, APIS], |row| row.get("id")).await?;
    for id in changed.into_iter().flatten() {
        db.invalidations().invalidate(&id);
    }
    Ok(last)
}

/// Listens, and reconnects whenever the connection ends.
async fn listen(db: &Db, servers: &Servers) {
    let changes = db.invalidations();
    loop {
        let Err(error) = listen_once(servers, changes).await;
        changes.set_connected(false);
        tracing::warn!(%error, "change notifications lost; key cache TTL lowered to 1 s");
        // Notifications in between are lost. If the database is down, nobody changes anything, and cached keys may serve
        // out their time. If only this connection ended, every cached key may be out of date.
        if db.has_migrations().await.is_ok() {
            changes.invalidate_all();
        }
        sleep(RETRY_DELAY).await;
    }
}

/// Listens until the connection ends or no longer carries notifications.
async fn listen_once(servers: &Servers, changes: &Invalidations) -> Result<Infallible, Error> {
    let mut subscription = Subscription::open(servers).await?;
    // Changes from before this moment were not received.
    changes.invalidate_all();
    changes.set_connected(true);
    tracing::debug!("listening for changes of other processes");
    let mut heartbeat_sent = false;
    loop {
        let received = subscription.receive(HEARTBEAT_INTERVAL).await?;
        if !matches!(received, Received::Nothing) {
            changes.note_heard();
        }
        match received {
            Received::Change(id) => {
                heartbeat_sent = false;
                changes.invalidate(&id);
            }
            Received::Heartbeat => heartbeat_sent = false,
            Received::Nothing if heartbeat_sent => return Err(silent()),
            Received::Nothing => {
                heartbeat_sent = true;
                subscription.send_heartbeat().await?;
            }
        }
    }
}
