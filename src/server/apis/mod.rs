//! Registered APIs and their scopes: queries, and what superusers and the operator change. All changes hold the superusers' lock,
//! so the limits hold, too.

mod attach;
pub mod cache;
pub mod own;
pub mod requirement;
pub mod usage;

use std::sync::Arc;

pub use self::attach::{attach_scopes, lock_api};
use super::audit;
use super::audit::{Actor, AuditTarget};
use super::auth::random;
use super::auth::sessions::{self, Session};
use super::db::row::{Row, params};
use super::db::{Db, Tx, is_unique_violation};
use super::state::AppState;
use crate::error::AppError;
use crate::model::apis::{
    AffectedKey, AffectedKeys, Api, ApiFacts, ApiForm, ApiId, ApiPage, ApiScope, MAX_APIS, MAX_SCOPES, NewScope,
    ScopeId, slug_of,
};
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::text::{isolated, shown};
use crate::model::time::Timestamp;

/// Who changes what is registered.
#[derive(Clone, Copy)]
pub enum Registrar<'a> {
    /// The command line.
    Operator,
    Superuser(&'a Session),
}

impl Registrar<'_> {
    /// Begins a transaction that holds the superusers' lock.
    async fn begin(self, db: &Db) -> Result<Tx, AppError> {
        match self {
            Self::Superuser(session) => session.begin_as_superuser(db).await,
            Self::Operator => {
                let mut tx = db.begin().await?;
                sessions::lock_superusers(&mut tx).await?;
                Ok(tx)
            }
        }
    }
}

/// A scope of the registered APIs, or an API without any.
struct ScopeRow {
    api: Api,
    scope: Option<ApiScope>,
}

fn scope_row(row: Row<'_>) -> Result<ScopeRow, AppError> {
    let slug: String = row.get("slug")?;
    let scope = match (row.get::<Option<ScopeId>>("scope_id")?, row.get::<Option<String>>("scope_name")?) {
        (Some(id), Some(name)) => Some(ApiScope {
            id,
            name: format!("{slug}:{name}"),
            writes: row.get::<Option<bool>>("writes")?.unwrap_or(true),
        }),
        _ => None,
    };
    let api = Api {
        id: row.get("id")?,
        slug,
        name: shown(&row.get::<String>("name")?),
        description: shown(&row.get::<String>("description")?),
        rate: row.get("rate")?,
        scopes: Vec::new(),
    };
    Ok(ScopeRow { api, scope })
}

/// Lists the registered APIs by slug, each with its scopes by name.
pub async fn list(db: &Db) -> Result<Vec<Api>, AppError> {
    let sql = "SELECT a.id, a.slug, a.name, a.description, a.rate, s.id AS scope_id, s.name AS scope_name, s.writes \
               FROM apis a LEFT JOIN api_scopes s ON s.api_id = a.id ORDER BY a.slug, s.name";
    let mut apis: Vec<Api> = Vec::new();
    for ScopeRow { api, scope } in db.query(sql, params![], scope_row).await? {
        if apis.last().is_none_or(|last| last.id != api.id) {
            apis.push(api);
        }
        if let Some(last) = apis.last_mut() {
            last.scopes.extend(scope);
        }
    }
    Ok(apis)
}

/// Returns the registered APIs by slug, from the cache.
pub async fn current(state: &AppState) -> Result<Arc<[Api]>, AppError> {
    state.api_cache.current(&state.db, state.now(), || Box::pin(list(&state.db))).await
}

/// Returns the registered APIs that the form for a new key offers.
pub async fn offered(state: &AppState) -> Result<Vec<Api>, AppError> {
    Ok(current(state).await?.to_vec())
}

/// What an open dialog would remove, by the ids in the URL.
#[derive(Clone, Copy, Debug)]
pub enum Removal<'a> {
    Nothing,
    Api(&'a str),
    Scope(&'a str),
}

/// Loads the administrators' page.
pub async fn page(state: &AppState, removal: Removal<'_>) -> Result<ApiPage, AppError> {
    let (db, now) = (&state.db, state.now());
    let affected = match removal {
        Removal::Nothing => None,
        Removal::Api(id) => affected(db, Some(id), None, now).await?,
        Removal::Scope(id) => affected(db, None, Some(id), now).await?,
    };
    Ok(ApiPage { apis: list(db).await?, usage: usage::last_days(db, now).await?, affected })
}

/// Returns the live keys that are limited to an API or have one of its scopes, or that have one scope.
async fn affected(
    db: &Db,
    api: Option<&str>,
    scope: Option<&str>,
    now: Timestamp,
) -> Result<Option<AffectedKeys>, AppError> {
    macro_rules! affected {
        ($select:literal, $rest:literal) => {
            concat!(
                "SELECT ",
                $select,
                " FROM (SELECT id FROM keys WHERE api_id = $1 UNION SELECT key_id FROM key_scopes ",
                "WHERE scope_id = $2 OR scope_id IN (SELECT id FROM api_scopes WHERE api_id = $1)) AS named ",
                "JOIN keys k ON k.id = named.id JOIN users u ON u.id = k.user_id ",
                "WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $3) ",
                $rest
            )
        };
    }
    let (api, scope) = (api.and_then(ApiId::parse), scope.and_then(ScopeId::parse));
    if api.is_none() && scope.is_none() {
        return Ok(None);
    }
    let names = affected!("k.name, k.prefix, u.email", "ORDER BY k.name_folded, k.id LIMIT $4");
    let first = db.query(names, params![api, scope, now, AffectedKeys::MAX_NAMED], affected_key).await?;
    let count = concat!("SELECT COUNT(*) AS number FROM (", affected!("k.id", "LIMIT $4"), ") AS live");
    let params = params![api, scope, now, AffectedKeys::MAX_COUNTED + 1];
    let count = db.query(count, params, |row| row.get("number")).await?.pop().unwrap_or(0);
    Ok(Some(AffectedKeys { count, first }))
}

fn affected_key(row: Row<'_>) -> Result<AffectedKey, AppError> {
    let text = |name| Ok::<_, AppError>(shown(&row.get::<String>(name)?));
    Ok(AffectedKey { name: text("name")?, prefix: text("prefix")?, owner: text("email")? })
}

/// Counts the live keys that are limited to an API or have one of its scopes, for the command line.
pub async fn count_affected(db: &Db, api: &ApiId, now: Timestamp) -> Result<AffectedKeys, AppError> {
    Ok(affected(db, Some(api.as_str()), None, now).await?.unwrap_or_default())
}

/// Registers an API.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, the slug is taken, or there are too many APIs.
pub async fn add_as_superuser(state: &AppState, session: &Session, form: &ApiForm) -> Result<(), AppError> {
    let by = session.actor(state.now());
    add_with_scopes(&state.db, Registrar::Superuser(session), form, &[], &by).await
}

/// Like [`add_as_superuser`], with scopes, and by the operator too.
pub async fn add_with_scopes(
    db: &Db,
    registrar: Registrar<'_>,
    form: &ApiForm,
    scopes: &[NewScope],
    by: &Actor,
) -> Result<(), AppError> {
    let (slug, facts) = form.parse()?;
    let mut tx = registrar.begin(db).await?;
    let number: i64 = tx.query_one("SELECT COUNT(*) AS number FROM apis", params![], |row| row.get("number")).await?;
    if number >= MAX_APIS {
        return Err(
            FieldErrors::whole(format!("There are {MAX_APIS} APIs, which is the most. Remove one first.")).into()
        );
    }
    let id = random::make_id(by.at);
    let ApiFacts { name, description, rate } = facts;
    let sql = "INSERT INTO apis (id, slug, name, description, rate, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $6)";
    match tx.execute(sql, params![id, slug, name, description, rate, by.at]).await {
        Err(error) if is_unique_violation(&error) => {
            return Err(FieldErrors::one("slug", "This slug is taken. Choose another.").into());
        }
        other => other?,
    };
    record(&mut tx, by, Action::ApiAdd, &slug, isolated(&name)).await?;
    let api = ApiId::parse(&id).ok_or(AppError::Internal)?;
    for scope in scopes {
        insert_scope(&mut tx, &api, &slug, scope, by).await?;
    }
    tx.invalidate_apis().await?;
    tx.commit().await?;
    Ok(())
}

/// Changes the name, description and rate limit of an API.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such API; [`AppError::Invalid`] if a field is wrong.
pub async fn edit(state: &AppState, session: &Session, id: &str, form: &ApiForm) -> Result<(), AppError> {
    let id = ApiId::parse(id).ok_or(AppError::NotFound)?;
    let ApiFacts { name, description, rate } = form.facts()?;
    let (by, mut tx) = (session.actor(state.now()), Registrar::Superuser(session).begin(&state.db).await?);
    let sql = "UPDATE apis SET name = $2, description = $3, rate = $4, updated_at = $5 WHERE id = $1 RETURNING slug";
    let params = params![id, name, description, rate, by.at];
    let slug: Option<String> = tx.query_optional(sql, params, |row| row.get("slug")).await?;
    let rate = rate.map_or(String::new(), |rate| format!(", {rate} requests per minute"));
    record(&mut tx, &by, Action::ApiEdit, &slug.ok_or(AppError::NotFound)?, isolated(&name) + &rate).await?;
    tx.invalidate_apis().await?;
    tx.commit().await?;
    Ok(())
}

/// Removes an API by the id that a page sent. See [`remove`].
pub async fn remove_as_superuser(state: &AppState, session: &Session, id: &str) -> Result<(), AppError> {
    remove(&state.db, Registrar::Superuser(session), id, &session.actor(state.now())).await
}

/// Removes an API with its scopes. Keys that are limited to it are rejected from then on.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such API.
pub async fn remove(db: &Db, registrar: Registrar<'_>, id: &str, by: &Actor) -> Result<(), AppError> {
    let id = ApiId::parse(id).ok_or(AppError::NotFound)?;
    let mut tx = registrar.begin(db).await?;
    let sql = "DELETE FROM apis WHERE id = $1 RETURNING slug";
    let slug: Option<String> = tx.query_optional(sql, params![id], |row| row.get("slug")).await?;
    record(&mut tx, by, Action::ApiRemove, &slug.ok_or(AppError::NotFound)?, String::new()).await?;
    usage::delete(&mut tx, &id).await?;
    tx.invalidate_apis().await?;
    tx.commit().await?;
    Ok(())
}

/// Adds a scope to an API, by its id.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such API; [`AppError::Invalid`] if a field is wrong, the name is taken, or there are too
/// many scopes.
pub async fn add_scope(state: &AppState, session: &Session, api: &str, name: &str, kind: &str) -> Result<(), AppError> {
    let api = ApiId::parse(api).ok_or(AppError::NotFound)?;
    let (by, mut tx) = (session.actor(state.now()), Registrar::Superuser(session).begin(&state.db).await?);
    let sql = "UPDATE apis SET updated_at = $2 WHERE id = $1 RETURNING slug";
    let slug: Option<String> = tx.query_optional(sql, params![api, by.at], |row| row.get("slug")).await?;
    let slug = slug.ok_or(AppError::NotFound)?;
    insert_scope(&mut tx, &api, &slug, &NewScope::parse(&slug, name, kind)?, &by).await?;
    tx.invalidate_apis().await?;
    tx.commit().await?;
    Ok(())
}

async fn insert_scope(tx: &mut Tx, api: &ApiId, slug: &str, scope: &NewScope, by: &Actor) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS number FROM api_scopes WHERE api_id = $1";
    let number: i64 = tx.query_one(sql, params![api], |row| row.get("number")).await?;
    if number >= MAX_SCOPES {
        let sentence = format!("This API has {MAX_SCOPES} scopes, which is the most. Remove one first.");
        return Err(FieldErrors::whole(sentence).into());
    }
    let (id, NewScope { name, writes }) = (random::make_id(by.at), scope);
    let sql = "INSERT INTO api_scopes (id, api_id, name, writes, created_at) VALUES ($1, $2, $3, $4, $5)";
    match tx.execute(sql, params![id, api, name, writes, by.at]).await {
        Err(error) if is_unique_violation(&error) => {
            return Err(FieldErrors::one("name", format!("The API already has a scope {slug}:{name}.")).into());
        }
        other => other?,
    };
    let kind = if *writes { "write" } else { "read" };
    record(tx, by, Action::ApiScopeAdd, slug, format!("{slug}:{name}, {kind}")).await
}

/// Removes a scope. Keys lose it.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such scope.
pub async fn remove_scope(state: &AppState, session: &Session, id: &str) -> Result<(), AppError> {
    let id = ScopeId::parse(id).ok_or(AppError::NotFound)?;
    let (by, mut tx) = (session.actor(state.now()), Registrar::Superuser(session).begin(&state.db).await?);
    // The lock of the API serialises this with new keys.
    let sql = "UPDATE apis SET updated_at = $2 WHERE id = (SELECT api_id FROM api_scopes WHERE id = $1) RETURNING slug";
    let slug: Option<String> = tx.query_optional(sql, params![id, by.at], |row| row.get("slug")).await?;
    let slug = slug.ok_or(AppError::NotFound)?;
    let sql = "DELETE FROM api_scopes WHERE id = $1 RETURNING name";
    let name: Option<String> = tx.query_optional(sql, params![id], |row| row.get("name")).await?;
    let name = name.ok_or(AppError::NotFound)?;
    record(&mut tx, &by, Action::ApiScopeRemove, &slug, format!("{slug}:{name}")).await?;
    tx.invalidate_apis().await?;
    tx.commit().await?;
    Ok(())
}

async fn record(tx: &mut Tx, by: &Actor, action: Action, slug: &str, detail: String) -> Result<(), AppError> {
    audit::record(tx, by, action, AuditTarget { subject: slug, detail, ..AuditTarget::default() }).await
}

/// Returns the API with this slug.
pub fn find<'a>(apis: &'a [Api], slug: &str) -> Option<&'a Api> {
    apis.iter().find(|api| api.slug == slug)
}

/// Returns the registered API of a scope.
fn api_of<'a>(apis: &'a [Api], scope: &str) -> Option<&'a Api> {
    find(apis, slug_of(scope))
}
