//! Hears what other processes change: on PostgreSQL by LISTEN, on SQLite by looking at the audit. What they change is noted
//! in [`Changes`], and nobody here goes on with what they remember of it.
//!
//! Nothing depends on hearing it: what is remembered ends after 5 s in any case, and after 1 s while nothing is heard.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::audit::affects_keys;
use super::db::invalidations::Invalidations;
use super::db::{CHANNEL, Db, Servers, fetch};
use crate::error::AppError;

/// How often the audit of an SQLite database is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After so long without a word, a listening connection says something to itself; and how long it may take to hear it.
const QUIET: Duration = Duration::from_secs(1);
/// What it says. No id is called so.
const HEARTBEAT: &str = "beat";
/// How long opening a listening connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long to wait before the next try.
const AGAIN: Duration = Duration::from_millis(500);
/// How many events are read at once.
const MOST: i64 = 1000;

/// Hears what other processes change, for ever.
pub async fn run(db: Db) {
    match &db {
        Db::Sqlite { .. } => poll_audit(&db).await,
        Db::Postgres { servers, session, .. } if session.listens() => listen(&db, servers).await,
        Db::Postgres { .. } if db.is_pooled() => tracing::info!(
            "PostgreSQL is behind a pooler: each statement is a transaction, and keys are looked up each second"
        ),
        Db::Postgres { .. } => tracing::info!("this server cannot tell what changes: keys are looked up each second"),
    }
}

/// Looks at the audit again and again.
async fn poll_audit(db: &Db) {
    let mut seen = None;
    loop {
        let found = poll_audit_once(db, seen).await;
        db.invalidations().set_connected(found.is_ok());
        seen = found.ok().or(seen);
        sleep(LOOK_EVERY).await;
    }
}

/// Notes what was changed after the event of this number; gives the number of the last. An event has a higher number than
/// those committed before it, for SQLite writes one transaction after the other.
async fn poll_audit_once(db: &Db, seen: Option<i64>) -> Result<i64, AppError> {
    type Event = (String, Option<String>, Option<String>);
    let mut conn = db.read().await?;
    let (last,) = fetch!(conn, one(i64,), "SELECT COALESCE(MAX(rowid), 0) FROM audit")?;
    let Some(seen) = seen.filter(|seen| last >= *seen && last - *seen <= MOST) else {
        // The first look, another file in place of this one, or too much to read.
        db.invalidations().invalidate_all();
        return Ok(last);
    };
    if last == seen {
        return Ok(last);
    }
    let sql = "SELECT action, key_id, user_id FROM audit WHERE rowid > $1 AND rowid <= $2";
    for (action, key, user) in fetch!(conn, all Event, sql, seen, last)? {
        if let (true, Some(id)) = (affects_keys(&action), key.or(user)) {
            db.invalidations().invalidate(&id);
        }
    }
    Ok(last)
}

/// Listens, and begins anew whenever that ends.
async fn listen(db: &Db, servers: &Servers) {
    let changes = db.invalidations();
    loop {
        let Err(error) = listen_once(servers, changes).await;
        changes.set_connected(false);
        tracing::warn!(%error, "the changes of other processes are not heard: keys are looked up each second");
        // Whatever was said meanwhile is lost. If the database is away, nobody changes anything, and what is remembered
        // serves out its time; if only this connection went, all that is remembered may be wrong.
        if db.has_migrations().await.is_ok() {
            changes.invalidate_all();
        }
        sleep(AGAIN).await;
    }
}

/// Listens until the connection ends, or no longer carries what is said.
async fn listen_once(servers: &Servers, changes: &Invalidations) -> Result<std::convert::Infallible, sqlx::Error> {
    let silent = |_| sqlx::Error::Protocol("the listening connection is silent".to_owned());
    // A connection of its own, for a busy pool must not keep it waiting.
    let options = servers.current().application_name("keyfob-listen");
    let own = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect_lazy_with(options);
    let mut listener = timeout(CONNECT, PgListener::connect_with(&own)).await.map_err(silent)??;
    timeout(CONNECT, listener.listen(CHANNEL)).await.map_err(silent)??;
    listener.eager_reconnect(false);
    // What was changed before this began was not heard.
    changes.invalidate_all();
    changes.set_connected(true);
    tracing::debug!("the changes of other processes are heard");
    let mut asked = false;
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(said))) => {
                asked = false;
                if said.payload() != HEARTBEAT {
                    changes.invalidate(said.payload());
                }
            }
            Ok(Ok(None)) => return Err(sqlx::Error::Protocol("the listening connection ended".to_owned())),
            Ok(Err(error)) => return Err(error),
            Err(elapsed) if asked => return Err(silent(elapsed)),
            Err(_) => {
                asked = true;
                let sql = "SELECT pg_notify($1, $2), current_setting('transaction_read_only')";
                let beat = sqlx::query(sql).bind(CHANNEL).bind(HEARTBEAT);
                let said = timeout(QUIET, beat.fetch_one(&mut listener)).await.map_err(silent)??;
                if said.try_get::<&str, _>(1)? == "on" {
                    return Err(sqlx::Error::Protocol(
                        "the server became read-only: changes happen elsewhere".to_owned(),
                    ));
                }
            }
        }
    }
}
