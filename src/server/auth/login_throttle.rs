//! Slows down whoever guesses passwords or makes accounts. Addresses are limited in memory, by each process for itself. Accounts
//! are in the database: after a few sign-ins that failed in a row, each further one makes the next wait twice as long.
//!
//! A try is counted before its password is looked at, and taken back if that was right: whoever sends many at once gains nothing.
//! Made-up accounts wait as real ones do. A browser that has signed in to the account before is counted apart from strangers:
//! they cannot make it wait.

use std::net::IpAddr;

use super::key_format::Digest;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::time::{DAY, Timestamp, wait};
use crate::model::users::{SessionId, UserId};
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::{Db, Tx, execute, fetch};
use crate::server::rate_limits::{IpRateLimiter, MINUTE};

/// How many may fail in a row before the next has to wait.
const FREE: i64 = 5;
/// The longest wait, in milliseconds.
const LONGEST: i64 = 15 * MINUTE;
/// How long what failed is remembered, in milliseconds.
const REMEMBERED: i64 = DAY;
/// After so long a try has failed for sure, in milliseconds: a request may take 10 s.
const FOR_SURE: i64 = 15_000;
/// How many accounts and browsers are remembered, so that made-up ones cannot fill the disk.
const MOST: i64 = 100_000;
/// How many rows the audit gets at a time.
const BATCH: i64 = 500;

/// What addresses have tried. Cheap to clone.
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
    /// Lets an address try to sign in, if it is within so many a minute; 0 for no limit.
    ///
    /// # Errors
    /// [`AppError::TooManyTries`].
    pub fn admit_sign_in(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), AppError> {
        if limit == 0 { Ok(()) } else { within(self.sign_ins.try_acquire(from, limit, now)) }
    }

    /// Takes a sign-in back that did not fail.
    pub fn give_back_sign_in(&self, from: Option<IpAddr>) {
        self.sign_ins.release(from);
    }

    /// Lets an address try to sign up, if it is within so many an hour; 0 for no limit.
    ///
    /// # Errors
    /// [`AppError::TooManyTries`].
    pub fn admit_sign_up(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), AppError> {
        if limit == 0 { Ok(()) } else { within(self.sign_ups.try_acquire(from, limit, now)) }
    }

    /// Puts what failed into the audit, and forgets what is old; for a server to do again and again.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn maintain(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        self.sign_ins.evict_expired(now);
        self.sign_ups.evict_expired(now);
        record_failures(db, now).await?;
        forget(db, now).await
    }
}

fn within(spent: Result<(), u32>) -> Result<(), AppError> {
    spent.map_err(|seconds| AppError::TooManyTries { seconds })
}

/// Whose tries are counted together.
#[derive(Clone, Copy, Debug)]
pub enum LoginScope<'a> {
    /// Of all browsers that are new to an account, by its email address as it was typed.
    Strangers(&'a str),
    /// Of a browser that has signed in to the account before, by the number of its cookie.
    Browser(&'a str),
    /// Of a session, to enter its user's password again.
    Session(&'a SessionId),
}

impl LoginScope<'_> {
    fn digest(self) -> String {
        let text = match self {
            Self::Strangers(email) => format!("account {}", email.trim().to_lowercase()),
            Self::Browser(number) => format!("browser {number}"),
            Self::Session(id) => format!("session {}", id.as_str()),
        };
        Digest::of(&text).hex()
    }
}

/// A try that has begun. It is one that failed, until it is told otherwise.
#[derive(Debug)]
pub struct LoginAttempt {
    digest: String,
    before: FailedLogins,
}

/// What failed in a row.
#[derive(Debug, sqlx::FromRow)]
struct FailedLogins {
    failures: i64,
    recorded: i64,
    ip: String,
    failed_at: Timestamp,
}

impl LoginAttempt {
    /// Begins a try, of a user if there is such a one, unless it has to wait.
    ///
    /// # Errors
    /// [`AppError::TooManyTries`].
    pub async fn begin(
        db: &Db,
        (whose, user): (LoginScope<'_>, Option<&UserId>),
        by: &Actor,
    ) -> Result<Self, AppError> {
        let digest = whose.digest();
        let mut tx = db.begin().await?;
        // The update that changes nothing holds the row, so that tries at once go one after the other.
        let sql = "INSERT INTO failed_sign_ins (digest, user_id, ip, failures, recorded, failed_at) \
                   VALUES ($1, $2, $3, 0, 0, $4) ON CONFLICT (digest) DO UPDATE SET failures = failed_sign_ins.failures \
                   RETURNING failures, recorded, ip, failed_at";
        let before = fetch!(tx, one FailedLogins, sql, &digest, user, &by.ip, by.at)?;
        if let Some(seconds) = before.wait(by.at) {
            return Err(AppError::TooManyTries { seconds });
        }
        let sql = "UPDATE failed_sign_ins SET failures = failures + 1, user_id = $2, ip = $3, failed_at = $4 \
                   WHERE digest = $1";
        execute!(tx, sql, &digest, user, &by.ip, by.at)?;
        tx.commit().await?;
        Ok(Self { digest, before })
    }

    /// The password was right: nothing has failed in a row any more. What had is in the audit afterwards.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn succeed(self, tx: &mut Tx, (user, email): (&UserId, &str)) -> Result<(), AppError> {
        if self.before.failures > self.before.recorded {
            self.before.record(tx, (user, email)).await?;
        }
        execute!(tx, "DELETE FROM failed_sign_ins WHERE digest = $1", self.digest)?;
        Ok(())
    }

    /// The same where it was a session's, of which the audit does not tell.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn succeed_in_session(self, db: &Db) -> Result<(), AppError> {
        let mut conn = db.write().await?;
        execute!(conn, "DELETE FROM failed_sign_ins WHERE digest = $1", self.digest)?;
        Ok(())
    }

    /// The password was not looked at: it is as if the try had not been.
    pub async fn take_back(self, db: &Db) {
        let sql =
            "UPDATE failed_sign_ins SET failures = failures - 1, failed_at = $2 WHERE digest = $1 AND failures > 0";
        // If this fails, too, it was a try.
        if let Ok(mut conn) = db.write().await {
            let _ = execute!(conn, sql, self.digest, self.before.failed_at);
        }
    }
}

impl FailedLogins {
    /// How many seconds the next try has to wait.
    fn wait(&self, now: Timestamp) -> Option<u32> {
        let left = self.failed_at.as_millis() + delay(self.failures) - now.as_millis();
        // A clock that was set back must not make anybody wait for longer.
        let left = if left > 2 * LONGEST { 0 } else { left.min(LONGEST) };
        u32::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1000))
    }

    async fn record(&self, tx: &mut Tx, (user, email): (&UserId, &str)) -> Result<(), AppError> {
        let in_a_row = format!("{} in a row", self.failures);
        let (action, detail) = match delay(self.failures) / 1000 {
            0 => (Action::SessionFail, in_a_row),
            seconds => {
                let next = wait(u32::try_from(seconds).unwrap_or(u32::MAX));
                (Action::SessionDelay, format!("{in_a_row}, the next had to wait {next}"))
            }
        };
        let by = Actor { user: None, name: "somebody".to_owned(), ip: self.ip.clone(), at: self.failed_at };
        audit::record(
            tx,
            &by,
            action,
            AuditTarget { user: Some(user), subject: email, detail, ..AuditTarget::default() },
        )
        .await
    }
}

/// How long the next try has to wait after so many that failed in a row, in milliseconds.
const fn delay(failures: i64) -> i64 {
    match failures - FREE {
        ..0 => 0,
        doubled @ 0..10 => 1000 << doubled,
        _ => LONGEST,
    }
}

/// Lets everybody try again at once on an account: strangers, and browsers that it knows.
///
/// # Errors
/// If the database does not answer.
pub async fn lift(tx: &mut Tx, user: &UserId) -> Result<u64, AppError> {
    Ok(execute!(tx, "DELETE FROM failed_sign_ins WHERE user_id = $1", user)?)
}

/// Puts what failed on real accounts into the audit: one row for all since the last time. Here and not when it fails, so that
/// nobody learns from the time it takes whether there is such an account.
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
    let rows = fetch!(conn, all Row, sql, now.plus(-FOR_SURE), BATCH)?;
    drop(conn);
    if rows.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for Row { digest, failed, id, email } in rows {
        // Another server may have been here in the meantime.
        let sql = "UPDATE failed_sign_ins SET recorded = $2 WHERE digest = $1 AND recorded = $3";
        if execute!(tx, sql, digest, failed.failures, failed.recorded)? == 1 {
            failed.record(&mut tx, (&id, &email)).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Forgets what failed long ago, and, where there is too much of it, those with the fewest in a row.
async fn forget(db: &Db, now: Timestamp) -> Result<(), AppError> {
    let long_ago = now.plus(-REMEMBERED);
    let mut conn = db.read().await?;
    let sql = "SELECT COUNT(*), COALESCE(MIN(failed_at), $1) FROM failed_sign_ins";
    let (number, oldest) = fetch!(conn, one(i64, Timestamp), sql, now)?;
    drop(conn);
    if oldest <= long_ago {
        let mut conn = db.write().await?;
        execute!(conn, "DELETE FROM failed_sign_ins WHERE failed_at <= $1", long_ago)?;
    } else if number > MOST {
        let sql = "DELETE FROM failed_sign_ins WHERE digest IN \
                   (SELECT digest FROM failed_sign_ins ORDER BY failures, failed_at LIMIT $1)";
        let mut conn = db.write().await?;
        execute!(conn, sql, number - MOST)?;
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
    fn five_are_free_and_then_each_makes_the_next_wait_twice_as_long_up_to_15_minutes() {
        let waits: Vec<_> = (0..18).map(|failures| failed(failures).wait(NOW).unwrap_or(0)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(failed(i64::MAX).wait(NOW), Some(900));
    }

    #[test]
    fn a_wait_ends_at_its_instant() {
        assert_eq!(failed(8).wait(NOW.plus(1)), Some(8));
        assert_eq!(failed(8).wait(NOW.plus(7_999)), Some(1));
        assert_eq!(failed(8).wait(NOW.plus(8_000)), None);
    }

    #[test]
    fn a_clock_that_is_a_little_behind_frees_nobody_and_one_that_was_set_back_keeps_nobody() {
        assert_eq!(failed(8).wait(NOW.plus(-1000)), Some(9));
        assert_eq!(failed(99).wait(NOW.plus(-1000)), Some(900));
        assert_eq!(failed(99).wait(NOW.plus(-60 * MINUTE)), None);
    }

    #[test]
    fn what_is_counted_apart_has_another_digest_and_an_address_has_one_however_it_is_typed() {
        let [strangers, browser] = [LoginScope::Strangers("x"), LoginScope::Browser("x")].map(LoginScope::digest);
        assert_ne!(strangers, browser);
        assert_eq!(
            LoginScope::Strangers(" Ada@Example.com ").digest(),
            LoginScope::Strangers("ada@example.com").digest()
        );
    }
}
