//! Export of a user's own data as JSON, for a download. It is read in parts, each after the client has taken the one before; none
//! holds a connection to the database while it waits. It holds what the pages show, and no secret, hash or token.

use axum::body::Bytes;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::AppError;
use crate::model::audit::AuditEntry;
use crate::model::employees::{Employee, OwnerId};
use crate::model::keys::KeyEntry;
use crate::model::time::{DAY, Timestamp};
use crate::server::auth::sessions::Session;
use crate::server::concurrency_limit::ReadPermit;
use crate::server::db::row::{Row, params};
use crate::server::state::AppState;
use crate::server::{audit, employees, keys};

/// A user's export while it is read.
struct Export {
    state: AppState,
    session: Session,
    next: Next,
    /// Bounds the exports and long lists of one user.
    _permit: ReadPermit,
}

/// The part that follows. Each list begins after the last row of the part before.
enum Next {
    Keys(i64, String),
    Employees(i64, String),
    Activity(String),
    Nothing,
}

/// Streams the data of the session's user as one JSON object.
///
/// # Errors
/// [`AppError::RateLimited`] if too many long reads of the user run. An error after the first part ends the download, because half
/// of it must not look like the whole.
pub async fn stream(
    state: AppState,
    session: Session,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + Send + 'static, AppError> {
    let permit = state.read_concurrency.acquire(session.user.id.as_str()).await?;
    let head = head(&state, &session).await?;
    let export = Export { state, session, next: Next::Keys(0, String::new()), _permit: permit };
    let rest = stream::try_unfold(export, |mut export| async move {
        Ok(export.read_next().await?.map(|part| (Bytes::from(part), export)))
    });
    Ok(futures_util::StreamExt::chain(stream::iter([Ok(Bytes::from(head))]), rest))
}

impl Export {
    async fn read_next(&mut self) -> Result<Option<String>, AppError> {
        let (state, user) = (&self.state, &self.session.user);
        let (part, next) = match &self.next {
            Next::Keys(at, id) => {
                let keys = keys::batch(&state.db, &user.id, (*at, id), state.now()).await?;
                let next =
                    keys.last().map(|entry| Next::Keys(entry.key.created_at.as_millis(), entry.key.id.to_string()));
                let closes = (next.is_none(), "],\n\"employees\":[");
                (list(keys.iter().map(key), id.is_empty(), closes)?, next.unwrap_or(Next::Employees(0, String::new())))
            }
            Next::Employees(at, id) => {
                let found = employees::batch(&state.db, &OwnerId::from(&user.id), (*at, id)).await?;
                let next = found.last().map(|last| Next::Employees(last.created_at.as_millis(), last.id.to_string()));
                let closes = (next.is_none(), "],\n\"activity\":[");
                (
                    list(found.iter().map(employee), id.is_empty(), closes)?,
                    next.unwrap_or(Next::Activity(String::new())),
                )
            }
            Next::Activity(before) => {
                let found = audit::of_user_before(&state.db, user, before).await?;
                let next = found.last().map(|last| Next::Activity(last.id.clone()));
                let closes = (next.is_none(), "]}\n");
                (list(found.iter().map(event), before.is_empty(), closes)?, next.unwrap_or(Next::Nothing))
            }
            Next::Nothing => return Ok(None),
        };
        self.next = next;
        Ok(Some(part))
    }
}

/// Returns the beginning of the object: everything but the long lists.
async fn head(state: &AppState, session: &Session) -> Result<String, AppError> {
    let (db, user) = (&state.db, &session.user);
    let sql = "SELECT created_at, updated_at FROM users WHERE id = $1";
    let times = |row: Row<'_>| Ok((row.get::<Timestamp>("created_at")?, row.get::<Timestamp>("updated_at")?));
    let (created_at, updated_at) = db.query_one(sql, params![user.id], times).await?;
    let sql = "SELECT created_at, seen_at, user_agent FROM sessions WHERE user_id = $1 ORDER BY created_at";
    let sessions = db.query(sql, params![user.id], session_json).await?;
    let sql = "SELECT t.slug, t.name, m.role, m.created_at FROM members m JOIN teams t ON t.id = m.team_id \
               WHERE m.user_id = $1 ORDER BY t.slug";
    let teams = db.query(sql, params![user.id], team_json).await?;
    let sql = "SELECT t.slug, t.name, i.role, i.created_at FROM invitations i JOIN teams t ON t.id = i.team_id \
               WHERE i.email = $1 ORDER BY t.slug LIMIT 500";
    let invitations = db.query(sql, params![user.email], team_json).await?;
    let account = json!({
        "id": user.id, "email": user.email, "name": user.name, "superuser": user.superuser,
        "created_at": created_at.rfc3339(), "updated_at": updated_at.rfc3339(),
    });
    Ok(format!(
        "{{\"exported_at\":{},\n\"account\":{account},\n\"sessions\":{},\n\"teams\":{},\n\"invitations\":{},\n\"keys\":[",
        json!(state.now().rfc3339()),
        Value::from(sessions),
        Value::from(teams),
        Value::from(invitations),
    ))
}

/// Returns rows of a list, one a line, and closes it after the last part.
fn list(rows: impl Iterator<Item = Value>, is_first: bool, (is_last, close): (bool, &str)) -> Result<String, AppError> {
    let mut text = String::new();
    for (n, row) in rows.enumerate() {
        text.push_str(if is_first && n == 0 { "\n" } else { ",\n" });
        text.push_str(&to_text(&row)?);
    }
    if is_last {
        text.push_str(close);
    }
    Ok(text)
}

fn to_text(value: &impl Serialize) -> Result<String, AppError> {
    serde_json::to_string(value).map_err(|_| AppError::Internal)
}

fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| at.rfc3339().into())
}

fn session_json(row: Row<'_>) -> Result<Value, AppError> {
    Ok(json!({
        "created_at": row.get::<Timestamp>("created_at")?.rfc3339(),
        "seen_at": row.get::<Timestamp>("seen_at")?.rfc3339(),
        "user_agent": row.get::<String>("user_agent")?,
    }))
}

fn team_json(row: Row<'_>) -> Result<Value, AppError> {
    Ok(json!({
        "slug": row.get::<String>("slug")?,
        "name": row.get::<String>("name")?,
        "role": row.get::<String>("role")?,
        "since": row.get::<Timestamp>("created_at")?.rfc3339(),
    }))
}

fn key(entry: &KeyEntry) -> Value {
    let (key, days) = (&entry.key, entry.days.iter());
    let date = |day: i64| Timestamp::from_millis(day * DAY).iso_date();
    let requests = days.map(|day| json!({ "day": date(day.day), "allowed": day.allowed, "rejected": day.refused }));
    json!({
        "id": key.id, "name": key.name, "prefix": key.prefix, "access": key.access.text(), "team": entry.team,
        "created_at": key.created_at.rfc3339(), "expires_at": time(key.expires_at), "revoked_at": time(key.revoked_at),
        "rotated_at": time(entry.rotated_at), "reported_as_leaked_at": time(entry.leaked_at),
        "requests_per_minute": entry.rate,
        "last_used_at": time(entry.used_at), "last_used_from": entry.used_ip, "last_used_by": entry.used_agent,
        "requests_by_day": requests.collect::<Vec<_>>(),
    })
}

fn employee(employee: &Employee) -> Value {
    json!({
        "id": employee.id, "name": employee.name, "department": employee.department, "salary": employee.salary,
        "created_at": employee.created_at.rfc3339(), "updated_at": employee.updated_at.rfc3339(),
    })
}

fn event(entry: &AuditEntry) -> Value {
    json!({
        "at": entry.at.rfc3339(), "action": entry.action, "by": entry.actor, "from": entry.ip, "to": entry.subject,
        "detail": entry.detail,
    })
}
