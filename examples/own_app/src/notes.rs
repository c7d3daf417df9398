//! Notes: their queries. Each names the owner.

use keyfob::error::AppError;
use keyfob::model::users::UserId;
use keyfob::server::auth::random;
use keyfob::server::auth::tenant::Tenant;
use keyfob::server::db::Db;
use keyfob::server::db::row::{Row, params};
use keyfob::server::state::AppState;
use serde::Serialize;
use utoipa::ToSchema;

/// The longest text, in characters.
const MAX_TEXT: usize = 500;
/// The most notes that a list has.
const MAX_LISTED: i64 = 100;

/// A note.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Note {
    pub id: String,
    pub text: String,
}

fn note(row: Row<'_>) -> Result<Note, AppError> {
    Ok(Note { id: row.get("id")?, text: row.get("text")? })
}

/// Returns the user's newest notes.
pub async fn list(db: &Db, user: &UserId) -> Result<Vec<Note>, AppError> {
    let sql = "SELECT id, text FROM notes WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
    db.query(sql, params![user, MAX_LISTED], note).await
}

/// Returns one of the user's notes.
pub async fn find(db: &Db, user: &UserId, id: &str) -> Result<Option<Note>, AppError> {
    db.query_optional("SELECT id, text FROM notes WHERE id = $1 AND user_id = $2", params![id, user], note).await
}

/// Checks a text: `None` if it is empty or too long.
pub fn valid(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && text.chars().count() <= MAX_TEXT && !text.contains('\0')).then_some(text)
}

/// Adds a note, in a transaction that checks that the caller's session or key is still valid.
pub async fn add(state: &AppState, tenant: &Tenant, text: &str) -> Result<Note, AppError> {
    let now = state.now();
    let note = Note { id: random::make_id(now), text: text.to_owned() };
    let mut tx = tenant.begin(&state.db, now).await?;
    let sql = "INSERT INTO notes (id, user_id, text, created_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![note.id, tenant.user_id(), note.text, now]).await?;
    tx.commit().await?;
    Ok(note)
}
