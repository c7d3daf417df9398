//! Brute-force protection for sign-ins and sign-ups.
//!
//! Each process limits addresses in memory. The database counts failed sign-ins per account: after a few in a row, each
//! failure doubles the delay before the next attempt. An attempt is counted before the password check and cancelled if the
//! password was right, so that parallel attempts gain nothing. Unknown accounts are delayed like known ones. A browser with a
//! device cookie is counted apart from strangers, so that strangers cannot lock the owner out.

use std::net::IpAddr;

use super::key_format::Digest;
use crate::error::{AppError, Limit};
use crate::model::audit::Action;
use crate::model::time::{DAY, Timestamp, wait};
use crate::model::users::{SessionId, UserId};
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::{Db, Tx, execute, fetch};
use crate::server::rate_limits::{IpRateLimiter, MINUTE};

/// Failures in a row before the first delay.
const FREE_FAILURES: i64 = 5;
/// Longest delay, in milliseconds.
const MAX_DELAY: i64 = 15 * MINUTE;
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

/// Attempts that are counted together.
#[derive(Clone, Copy, Debug)]
pub enum LoginScope<'a> {
    /// All browsers without a device cookie of the account, by the typed email address.
    Strangers(&'a str),
    /// One browser that has signed in to the account before, by the nonce of its device cookie.
    Browser(&'a str),
    /// One session that asks for the password again.
    Session(&'a SessionId),
}

impl LoginScope<'_> {
    fn digest(self) -> String {
        let text = match self {
            Self::Strangers(email) => format!("account {}", email.trim().to_lowercase()),
            Self::Browser(nonce) => format!("browser {nonce}"),
            Self::Session(id) => format!("session {}", id.as_str()),
        };
        Digest::of(&text).hex()
    }
}

/// Attempt to sign in. It counts as failed until [`LoginAttempt::succeed`] or [`LoginAttempt::cancel`].
#[derive(Debug)]
pub struct LoginAttempt {
    digest: String,
    before: FailedLogins,
}

/// Failures in a row.
#[derive(Debug, sqlx::FromRow)]
struct FailedLogins {
    failures: i64,
    recorded: i64,
    ip: String,
    failed_at: Timestamp,
}

impl LoginAttempt {
    /// Begins an attempt. `user` is `None` for an unknown account.
    ///
    /// # Errors
    /// [`AppError::RateLimited`] before the delay is over.
    pub async fn begin(db: &Db, scope: LoginScope<'_>, user: Option<&UserId>, by: &Actor) -> Result<Self, AppError> {
        let digest = scope.digest();
        let mut tx = db.begin().await?;
        // The update changes nothing but locks the row, which serialises parallel attempts.
        let sql = "INSERT INTO failed_sign_ins (digest, user_id, ip, failures, recorded, failed_at) \
                   VALUES ($1, $2, $3, 0, 0, $4) ON CONFLICT (digest) DO UPDATE SET failures = failed_sign_ins.failures \
                   RETURNING failures, recorded, ip, failed_at";
        let before = fetch!(tx, one FailedLogins, sql, &digest, user, &by.ip, by.at)?;
        if let Some(retry_after) = before.retry_after(by.at) {
            return Err(AppError::RateLimited { limit: Limit::LoginBackoff, retry_after });
        }
        let sql = "UPDATE failed_sign_ins SET failures = failures + 1, user_id = $2, ip = $3, failed_at = $4 \
                   WHERE digest = $1";
        execute!(tx, sql, &digest, user, &by.ip, by.at)?;
        tx.commit().await?;
        Ok(Self { digest, before })
    }

    /// Ends the attempt after the right password: records the failures before it in the audit and deletes them.
    pub async fn succeed(self, tx: &mut Tx, user: &UserId, email: &str) -> Result<(), AppError> {
        if self.before.failures > self.before.recorded {
            self.before.record(tx, user, email).await?;
        }
        execute!(tx, "DELETE FROM failed_sign_ins WHERE digest = $1", self.digest)?;
        Ok(())
    }

    /// Like [`LoginAttempt::succeed`] for [`LoginScope::Session`], whose failures are not audited.
    pub async fn succeed_in_session(self, db: &Db) -> Result<(), AppError> {
        let mut conn = db.write().await?;
        execute!(conn, "DELETE FROM failed_sign_ins WHERE digest = $1", self.digest)?;
        Ok(())
    }

    /// Uncounts an attempt whose password was never checked.
    pub async fn cancel(self, db: &Db) {
        let sql =
            "UPDATE failed_sign_ins SET failures = failures - 1, failed_at = $2 WHERE digest = $1 AND failures > 0";
        // If this fails, the attempt stays counted.
        if let Ok(mut conn) = db.write().await {
            let _ = execute!(conn, sql, self.digest, self.before.failed_at);
        }
    }
}

impl FailedLogins {
    /// Returns the seconds until the next attempt is allowed.
    fn retry_after(&self, now: Timestamp) -> Option<u32> {
        let left = self.failed_at.as_millis() + delay(self.failures) - now.as_millis();
        // A clock that was set back must not lengthen the delay.
        let left = if left > 2 * MAX_DELAY { 0 } else { left.min(MAX_DELAY) };
        u32::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1000))
    }

    async fn record(&self, tx: &mut Tx, user: &UserId, email: &str) -> Result<(), AppError> {
        let in_a_row = format!("{} in a row", self.failures);
        let (action, detail) = match delay(self.failures) / 1000 {
            0 => (Action::SessionFail, in_a_row),
            seconds => {
                let next = wait(u32::try_from(seconds).unwrap_or(u32::MAX));
                (Action::SessionDelay, format!("{in_a_row}, the next had to wait {next}"))
            }
        };
        let by = Actor { user: None, name: "unknown".to_owned(), ip: self.ip.clone(), at: self.failed_at };
        audit::record(
            tx,
            &by,
            action,
            AuditTarget { user: Some(user), subject: email, detail, ..AuditTarget::default() },
        )
        .await
    }
}

/// Returns the delay after this many failures in a row, in milliseconds.
const fn delay(failures: i64) -> i64 {
    match failures - FREE_FAILURES {
        ..0 => 0,
        doubled @ 0..10 => 1000 << doubled,
        _ => MAX_DELAY,
    }
}

/// Deletes all failures of an account, so that everyone can try again at once. Returns how many.
pub async fn clear(tx: &mut Tx, user: &UserId) -> Result<u64, AppError> {
    Ok(execute!(tx, "DELETE FROM failed_sign_ins WHERE user_id = $1", user)?)
}

/// Records new failures of known accounts in the audit, one entry per account. It runs in the background, because an audit
/// entry during the attempt would reveal by its time that the account exists.
async fn record_failures(db: &Db, now: Timestamp) -> Result<(), AppError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        digest: String,
        #[sqlx(flatten)]
        failed: FailedLogins,
        id: UserId,
        email: String,
    }
    let sql = "SELECT f.digest, f.failures, f.recorded, f.ip, f.failed_at, u.id, u.email FROM failed_sign_ins f \
               JOIN users u ON u.id = f.user_id WHERE f.failures > f.recorded AND f.failed_at <= $1 \
               ORDER BY f.failed_at LIMIT $2";
    let mut conn = db.read().await?;
    let rows = fetch!(conn, all Row, sql, now.plus(-MAX_ATTEMPT_TIME), AUDIT_BATCH)?;
    drop(conn);
    if rows.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for Row { digest, failed, id, email } in rows {
        // Another server may have recorded it meanwhile.
        let sql = "UPDATE failed_sign_ins SET recorded = $2 WHERE digest = $1 AND recorded = $3";
        if execute!(tx, sql, digest, failed.failures, failed.recorded)? == 1 {
            failed.record(&mut tx, &id, &email).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Deletes old failures, or those with the fewest in a row where there are too many rows.
async fn delete_old(db: &Db, now: Timestamp) -> Result<(), AppError> {
    let cutoff = now.plus(-RETENTION);
    let mut conn = db.read().await?;
    let sql = "SELECT COUNT(*), COALESCE(MIN(failed_at), $1) FROM failed_sign_ins";
    let (count, oldest) = fetch!(conn, one(i64, Timestamp), sql, now)?;
    drop(conn);
    if oldest <= cutoff {
        let mut conn = db.write().await?;
        execute!(conn, "DELETE FROM failed_sign_ins WHERE failed_at <= $1", cutoff)?;
    } else if count > MAX_ROWS {
        let sql = "DELETE FROM failed_sign_ins WHERE digest IN \
                   (SELECT digest FROM failed_sign_ins ORDER BY failures, failed_at LIMIT $1)";
        let mut conn = db.write().await?;
        execute!(conn, sql, count - MAX_ROWS)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn failed(failures: i64) -> FailedLogins {
        FailedLogins { failures, recorded: 0, ip: String::new(), failed_at: NOW }
    }

    #[test]
    fn delay_doubles_after_five_failures_up_to_15_minutes() {
        let delays: Vec<_> = (0..18).map(|failures| failed(failures).retry_after(NOW).unwrap_or(0)).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(failed(i64::MAX).retry_after(NOW), Some(900));
    }

    #[test]
    fn delay_ends_exactly() {
        assert_eq!(failed(8).retry_after(NOW.plus(1)), Some(8));
        assert_eq!(failed(8).retry_after(NOW.plus(7_999)), Some(1));
        assert_eq!(failed(8).retry_after(NOW.plus(8_000)), None);
    }

    #[test]
    fn clock_changes_neither_skip_nor_extend_the_delay() {
        assert_eq!(failed(8).retry_after(NOW.plus(-1000)), Some(9));
        assert_eq!(failed(99).retry_after(NOW.plus(-1000)), Some(900));
        assert_eq!(failed(99).retry_after(NOW.plus(-60 * MINUTE)), None);
    }

    #[test]
    fn scopes_have_different_digests_and_emails_are_normalised() {
        let [strangers, browser] = [LoginScope::Strangers("x"), LoginScope::Browser("x")].map(LoginScope::digest);
        assert_ne!(strangers, browser);
        assert_eq!(
            LoginScope::Strangers(" Ada@Example.com ").digest(),
            LoginScope::Strangers("ada@example.com").digest()
        );
    }
}
