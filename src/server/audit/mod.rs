//! Audit log: what happened, to what, by whom, from where. A row is written in the transaction of its change and never
//! changed, except that a deleted account takes its names and addresses along: see `erase`.

mod erase;
mod search;

use std::net::IpAddr;

pub use self::erase::{DELETED_USER, erase_invited, erase_user};
pub use self::search::{csv, page};
use super::auth::random;
use super::db::row::{Row, params};
use super::db::{Db, Tx};
use crate::error::AppError;
use crate::model::audit::{Action, AuditEntry};
use crate::model::keys::KeyId;
use crate::model::redact::redact;
use crate::model::teams::TeamId;
use crate::model::text::shown;
use crate::model::time::Timestamp;
use crate::model::users::{User, UserId};

/// Who makes a change, from where, and when.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user; `None` for the command line and for a report of a leaked key.
    pub user: Option<UserId>,
    /// What they are called: an email address, `the command line`.
    pub name: String,
    /// The address of their machine; empty where it is not known.
    pub ip: String,
    /// When.
    pub at: Timestamp,
}

impl Actor {
    /// A user.
    #[must_use]
    pub fn user(user: &User, ip: Option<IpAddr>, at: Timestamp) -> Self {
        Self { user: Some(user.id.clone()), name: user.email.clone(), ip: text(ip), at }
    }

    /// The operator, by the command line.
    #[must_use]
    pub fn operator(at: Timestamp) -> Self {
        Self { user: None, name: "the command line".to_owned(), ip: String::new(), at }
    }

    /// Somebody who reports a leaked key.
    #[must_use]
    pub fn reporter(ip: Option<IpAddr>, at: Timestamp) -> Self {
        Self { user: None, name: "a report".to_owned(), ip: text(ip), at }
    }
}

/// An address as the audit has it; empty where it is not known.
pub fn text(ip: Option<IpAddr>) -> String {
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// What an event is about. Nothing secret may stand in it.
#[derive(Clone, Debug, Default)]
pub struct AuditTarget<'a> {
    /// The user whom it concerns, and who sees it under "Recent activity".
    pub user: Option<&'a UserId>,
    /// The key.
    pub key: Option<&'a KeyId>,
    /// The team.
    pub team: Option<&'a TeamId>,
    /// What people know it by: a prefix, an email address, a slug.
    pub subject: &'a str,
    /// What changed, in a few words.
    pub detail: String,
}

/// Adds an event.
pub async fn record(tx: &mut Tx, by: &Actor, action: Action, about: AuditTarget<'_>) -> Result<(), AppError> {
    let sql = "INSERT INTO audit (id, at, action, actor_id, actor, ip, user_id, key_id, team_id, subject, detail) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let (id, AuditTarget { user, key, team, subject, detail }) = (random::make_id(by.at), about);
    let [actor, subject, detail] = [by.name.as_str(), subject, &detail].map(redact);
    let action_name = action.as_str();
    let params = params![id, by.at, action_name, by.user, actor, by.ip, user, key, team, subject, detail];
    tx.execute(sql, params).await?;
    Ok(())
}

/// How many events of an export are read at a time.
const EXPORT_BATCH: i64 = 500;
/// How many events the profile page shows.
pub const ON_PROFILE: i64 = 10;

/// Events of a user before the id $4: what they did, and what was done to them or their keys, the latest first. The address is given
/// for what they did themselves, for tries to sign in as them and for a used reset link: where an administrator or a reporter sits
/// is not for everybody. Two ways into the table, each by its index; together they would be a scan.
const OF_USER: &str = "SELECT id, at, action, actor, CASE WHEN actor_id = $1 OR $3 OR (actor_id IS NULL AND action IN \
    ('account.create', 'account.password', 'session.fail', 'session.delay')) THEN ip ELSE '' END AS ip, subject, detail \
    FROM audit WHERE id IN \
    (SELECT id FROM (SELECT id FROM audit WHERE user_id = $1 AND id < $4 ORDER BY id DESC LIMIT $2) AS concerned \
    UNION SELECT id FROM (SELECT id FROM audit WHERE actor_id = $1 AND id < $4 ORDER BY id DESC LIMIT $2) AS done) \
    ORDER BY id DESC LIMIT $2";
/// After all ids.
const END: &str = "~";

/// Returns the latest events of a user.
pub async fn of_user(db: &Db, user: &User, most: i64) -> Result<Vec<AuditEntry>, AppError> {
    db.query_inline(OF_USER, params![user.id, most, user.superuser, END], entry).await
}

/// Returns the next events of a user for an export, the latest first: those before an id, or the first if it is empty.
pub async fn of_user_before(db: &Db, user: &User, before: &str) -> Result<Vec<AuditEntry>, AppError> {
    let before = if before.is_empty() { END } else { before };
    db.query(OF_USER, params![user.id, EXPORT_BATCH, user.superuser, before], entry).await
}

fn entry(row: Row<'_>) -> Result<AuditEntry, AppError> {
    Ok(as_shown(AuditEntry {
        id: row.get("id")?,
        at: row.get("at")?,
        action: row.get::<String>("action")?.into(),
        actor: row.get("actor")?,
        ip: row.get("ip")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
    }))
}

/// An event as it may be shown. Older versions recorded names that hold a key, or characters that are not shown.
fn as_shown(entry: AuditEntry) -> AuditEntry {
    let AuditEntry { actor, subject, detail, .. } = &entry;
    let (actor, subject, detail) = (shown(actor), shown(subject), redact(detail).into_owned());
    AuditEntry { actor, subject, detail, ..entry }
}
