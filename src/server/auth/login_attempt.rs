//! Counting of failed sign-ins per account, browser and session. After a few failures in a row, each one doubles the delay before
//! the next attempt.
//!
//! An attempt counts as failed before the password check and is deleted if the password was right, so that parallel attempts gain
//! nothing. Unknown accounts are delayed like known ones. A browser with a device cookie is counted apart from strangers, so that
//! strangers cannot lock the owner out.

use super::key_format::Digest;
use crate::error::{AppError, Limit};
use crate::model::audit::Action;
use crate::model::time::{Timestamp, wait};
use crate::model::users::{SessionId, UserId};
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};
use crate::server::rate_limits::MINUTE;

/// Failures in a row before the first delay.
const FREE_FAILURES: i64 = 5;
/// Longest delay, in milliseconds.
const MAX_DELAY: i64 = 15 * MINUTE;

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
#[derive(Debug)]
pub(super) struct FailedLogins {
    pub failures: i64,
    pub recorded: i64,
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
        let before = tx.query_one(sql, params![digest, user, by.ip, by.at], FailedLogins::from_row).await?;
        if let Some(retry_after) = before.retry_after(by.at) {
            return Err(AppError::RateLimited { limit: Limit::LoginBackoff, retry_after });
        }
        let sql = "UPDATE failed_sign_ins SET failures = failures + 1, user_id = $2, ip = $3, failed_at = $4 \
                   WHERE digest = $1";
        tx.execute(sql, params![digest, user, by.ip, by.at]).await?;
        tx.commit().await?;
        Ok(Self { digest, before })
    }

    /// Ends the attempt after the right password: records the failures before it in the audit and deletes them.
    pub async fn succeed(self, tx: &mut Tx, user: &UserId, email: &str) -> Result<(), AppError> {
        if self.before.failures > self.before.recorded {
            self.before.record(tx, user, email).await?;
        }
        tx.execute("DELETE FROM failed_sign_ins WHERE digest = $1", params![self.digest]).await?;
        Ok(())
    }

    /// Like [`LoginAttempt::succeed`] for [`LoginScope::Session`], whose failures are not audited.
    pub async fn succeed_in_session(self, db: &Db) -> Result<(), AppError> {
        db.execute("DELETE FROM failed_sign_ins WHERE digest = $1", params![self.digest]).await?;
        Ok(())
    }

    /// Uncounts an attempt whose password was never checked.
    pub async fn cancel(self, db: &Db) {
        let sql =
            "UPDATE failed_sign_ins SET failures = failures - 1, failed_at = $2 WHERE digest = $1 AND failures > 0";
        // If this fails, the attempt stays counted.
        let _ = db.execute(sql, params![self.digest, self.before.failed_at]).await;
    }
}

impl FailedLogins {
    pub fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self {
            failures: row.get("failures")?,
            recorded: row.get("recorded")?,
            ip: row.get("ip")?,
            failed_at: row.get("failed_at")?,
        })
    }

    /// Returns the seconds until the next attempt is allowed.
    fn retry_after(&self, now: Timestamp) -> Option<u32> {
        let left = self.failed_at.as_millis() + delay(self.failures) - now.as_millis();
        // A clock that was set back must not lengthen the delay.
        let left = if left > 2 * MAX_DELAY { 0 } else { left.min(MAX_DELAY) };
        u32::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1000))
    }

    pub async fn record(&self, tx: &mut Tx, user: &UserId, email: &str) -> Result<(), AppError> {
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
    fn clock_that_was_set_back_does_not_lengthen_the_delay() {
        assert_eq!(failed(8).retry_after(NOW.plus(-MINUTE)), Some(68));
        assert_eq!(failed(0).retry_after(NOW.plus(-30 * MINUTE)), Some(900));
        assert_eq!(failed(0).retry_after(NOW.plus(-30 * MINUTE - 1)), None);
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
