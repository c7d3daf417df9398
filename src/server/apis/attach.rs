//! Stores which API a new key is limited to, and which registered scopes it has. Each API is locked, so that a removal at the same
//! time is before or after the whole key.

use crate::error::AppError;
use crate::model::apis::{ApiId, slug_of, unknown_scope};
use crate::model::fields::FieldErrors;
use crate::model::keys::{Access, KeyId};
use crate::server::db::Tx;
use crate::server::db::row::params;

/// Locks the API that an access is limited to, and returns its id; `None` for any other access.
///
/// # Errors
/// [`AppError::Invalid`] if the API was removed.
pub async fn lock_api(tx: &mut Tx, access: &Access) -> Result<Option<ApiId>, AppError> {
    match access {
        Access::Api(limit) => {
            let slug = limit.as_ref().map_or("", |limit| limit.slug.as_str());
            let id = lock(tx, slug).await?;
            Ok(Some(id.ok_or_else(|| FieldErrors::one("api", "This API was removed. Choose another."))?))
        }
        _ => Ok(None),
    }
}

async fn lock(tx: &mut Tx, slug: &str) -> Result<Option<ApiId>, AppError> {
    tx.query_optional("UPDATE apis SET name = name WHERE slug = $1 RETURNING id", params![slug], |row| row.get("id"))
        .await
}

/// Gives a new key its registered scopes.
///
/// # Errors
/// [`AppError::Invalid`] if one was removed, or registered again with the other kind.
pub async fn attach_scopes(tx: &mut Tx, key: &KeyId, access: &Access) -> Result<(), AppError> {
    let Access::Only(scopes) = access else { return Ok(()) };
    let (mut slug, mut api) = ("", None);
    // By name, so the scopes of an API follow each other, and all keys lock in one order.
    for scope in &scopes.registered {
        if slug != slug_of(&scope.name) {
            slug = slug_of(&scope.name);
            api = lock(tx, slug).await?;
        }
        let name = scope.name.split_once(':').map_or("", |(_, name)| name);
        let sql = "INSERT INTO key_scopes (key_id, scope_id) \
                   SELECT $1, id FROM api_scopes WHERE api_id = $2 AND name = $3 AND writes = $4";
        if tx.execute(sql, params![key, api, name, scope.writes]).await? == 0 {
            return Err(unknown_scope(&scope.name).into());
        }
    }
    Ok(())
}
