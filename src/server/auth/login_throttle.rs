//! Brute-force protection: rate limits per address in memory, and maintenance of the failures that the database counts per account
//! (see [`super::login_attempt`]).

use std::net::IpAddr;

use super::login_attempt::FailedLogins;
use crate::error::{AppError, Limit};
use crate::model::time::{DAY, Timestamp};
use crate::model::users::UserId;
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};
use crate::server::rate_limits::{IpRateLimiter, MINUTE};

/// Time after which failures are deleted, in milliseconds.
const RETENTION: i64 = DAY;
/// Time after which an attempt has surely failed, in milliseconds. A request takes at most 10 s.
const MAX_ATTEMPT_TIME: i64 = 15_000;
/// Rows kept, so that attempts on unknown accounts cannot fill the disk.
const MAX_ROWS: i64 = 100_000;
/// Rows recorded in the audit per transaction.
const AUDIT_BATCH: i64 = 500;

/// Rate limiter for the sign-ins and sign-ups of an address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LoginThrottle {
    sign_ins: IpRateLimiter,
    sign_ups: IpRateLimiter,
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self { sign_ins: IpRateLimiter::of(MINUTE), sign_ups: IpRateLimiter::of(60 * MINUTE) }
    }
}

impl LoginThrottle {
    /// Counts a sign-in of an address. `limit` is per minute, 0 for none.
    pub fn acquire_sign_in(&self, ip: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), AppError> {
        acquire(&self.sign_ins, Limit::SignIns, ip, limit, now)
    }

    /// Uncounts a sign-in that did not fail.
    pub fn release_sign_in(&self, ip: Option<IpAddr>) {
        self.sign_ins.release(ip);
    }

    /// Counts a sign-up of an address. `limit` is per hour, 0 for none.
    pub fn acquire_sign_up(&self, ip: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), AppError> {
        acquire(&self.sign_ups, Limit::SignUps, ip, limit, now)
    }

    /// Records failures in the audit and deletes old ones. The server calls it periodically.
    pub async fn maintain(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        self.sign_ins.evict_expired(now);
        self.sign_ups.evict_expired(now);
        record_failures(db, now).await?;
        delete_old(db, now).await
    }
}

fn acquire(
    limiter: &IpRateLimiter,
    limit: Limit,
    ip: Option<IpAddr>,
    max: u32,
    now: Timestamp,
) -> Result<(), AppError> {
    if max == 0 {
        return Ok(());
    }
    let acquired = limiter.try_acquire(ip, max, now);
    acquired.map(drop).map_err(|retry_after| AppError::RateLimited { limit, retry_after })
}

/// Deletes all failures of an account, so that everyone can try again at once. Returns how many.
pub async fn clear(tx: &mut Tx, user: &UserId) -> Result<u64, AppError> {
    Ok(tx.execute("DELETE FROM failed_sign_ins WHERE user_id = $1", params![user]).await?)
}

/// Records new failures of known accounts in the audit, one entry per account. It runs in the background, because an audit
/// entry during the attempt would reveal by its time that the account exists.
async fn record_failures(db: &Db, now: Timestamp) -> Result<(), AppError> {
    let sql = "SELECT f.digest, f.failures, f.recorded, f.ip, f.failed_at, u.id, u.email FROM failed_sign_ins f \
               JOIN users u ON u.id = f.user_id WHERE f.failures > f.recorded AND f.failed_at <= $1 \
               ORDER BY f.failed_at LIMIT $2";
    let failed_before = now.plus(-MAX_ATTEMPT_TIME);
    let accounts = db.query(sql, params![failed_before, AUDIT_BATCH], FailedAccount::from_row).await?;
    if accounts.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for FailedAccount { digest, failed, id, email } in accounts {
        // Another server may have recorded it meanwhile.
        let sql = "UPDATE failed_sign_ins SET recorded = $2 WHERE digest = $1 AND recorded = $3";
        if tx.execute(sql, params![digest, failed.failures, failed.recorded]).await? == 1 {
            failed.record(&mut tx, &id, &email).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Failures of a known account.
struct FailedAccount {
    digest: String,
    failed: FailedLogins,
    id: UserId,
    email: String,
}

impl FailedAccount {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        let failed = FailedLogins::from_row(row)?;
        Ok(Self { digest: row.get("digest")?, failed, id: row.get("id")?, email: row.get("email")? })
    }
}

/// Deletes old failures, or those with the fewest in a row where there are too many rows.
async fn delete_old(db: &Db, now: Timestamp) -> Result<(), AppError> {
    let cutoff = now.plus(-RETENTION);
    let sql = "SELECT COUNT(*) AS count, MIN(failed_at) AS oldest FROM failed_sign_ins";
    let read = |row: Row<'_>| Ok((row.get::<i64>("count")?, row.get::<Option<Timestamp>>("oldest")?));
    let found = db.query(sql, params![], read).await?.pop();
    let Some((count, Some(oldest))) = found else { return Ok(()) };
    if oldest <= cutoff {
        db.execute("DELETE FROM failed_sign_ins WHERE failed_at <= $1", params![cutoff]).await?;
    } else if count > MAX_ROWS {
        let sql = "DELETE FROM failed_sign_ins WHERE digest IN \
                   (SELECT digest FROM failed_sign_ins ORDER BY failures, failed_at LIMIT $1)";
        db.execute(sql, params![count - MAX_ROWS]).await?;
    }
    Ok(())
}
