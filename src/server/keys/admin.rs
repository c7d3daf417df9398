//! All keys, for administrators: find, edit, create for a user, revoke.

use super::lists::{PAGE_SIZE, entries, entry};
use super::{Creator, Request, complete, create_as, revoke_in};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::{
    EditForm, KeyEdit, KeyEntry, KeyFacts, KeyForm, KeyId, KeyPage, KeyQuery, KeySpec, NewKey, Sort,
};
use crate::model::redact::{contains_key, redact};
use crate::model::text::{isolated, shown};
use crate::model::time::Timestamp;
use crate::model::usage::usage_after;
use crate::model::users::{Email, UserId};
use crate::server::apis;
use crate::server::audit;
use crate::server::audit::AuditTarget;
use crate::server::auth::sessions::Session;
use crate::server::auth::{key_format, random};
use crate::server::db::fold::fold;
use crate::server::db::row::{Param, Row, params};
use crate::server::db::{Db, like};
use crate::server::state::AppState;
use crate::server::users;

/// How many keys can be revoked at a time.
const MAX_REVOKED: usize = 100;

/// The keys that an administrator looks for. A pasted key is found by its digest; it is written nowhere.
pub async fn page(state: &AppState, query: KeyQuery) -> Result<KeyPage, AppError> {
    let now = state.now();
    let (db, text, create) = (&state.db, query.search.trim(), query.create);
    let pasted = contains_key(text);
    let mut keys = if pasted { by_secret(db, text, now).await? } else { listed(db, &query, now).await? };
    let mut about = by_ids(db, &query.about, now).await?;
    let more = keys.len() > PAGE_SIZE;
    keys.truncate(PAGE_SIZE);
    let next = keys.last().filter(|_| more).map(|entry| cursor(query.sort, &entry.key));
    // What was pasted does not come back, for it would stand in the page's source.
    let search = if pasted { String::new() } else { text.to_owned() };
    let query = KeyQuery { search, after: redact(&query.after).into_owned(), about: Vec::new(), ..query };
    for entry in keys.iter_mut().chain(&mut about) {
        entry.owner = shown(&entry.owner);
    }
    let (form_id, origin) = (random::make_id(now), state.config.origin());
    let apis = if create { apis::offered(state).await? } else { Vec::new() };
    Ok(KeyPage { keys, next, query, about, pasted, apis, now, form_id, origin })
}

/// The keys that a text holds, whatever surrounds them. Most hold one.
async fn by_secret(db: &Db, text: &str, now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let sql = entries!("WHERE k.digest = $2 OR k.old_digest = $2");
    // An imported key that was not used yet has no digest.
    let unused = entries!("WHERE k.id IN (SELECT key_id FROM imported_keys WHERE prefix = $2)");
    let mut found: Vec<KeyEntry> = Vec::new();
    for key_format::FoundKey { digest, prefix } in key_format::find_keys(text) {
        let mut entries = db.query_inline(sql, params![usage_after(now), digest.hex()], entry).await?;
        if entries.is_empty() && key_format::is_imported_prefix(&prefix) {
            entries = db.query_inline(unused, params![usage_after(now), prefix], entry).await?;
        }
        for entry in entries {
            if found.iter().all(|known| known.key.id != entry.key.id) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// The keys that a dialog is about: no more than a page has, for more cannot be ticked.
async fn by_ids(db: &Db, ids: &[String], now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let mut found = Vec::new();
    for id in ids.iter().filter_map(|id| KeyId::parse(id)).take(PAGE_SIZE) {
        let sql = entries!("WHERE k.id = $2");
        found.extend(db.query_optional(sql, params![usage_after(now), id], entry).await?);
    }
    Ok(found)
}

/// Where a page ends, for the next to begin after: what it is sorted by, and the id.
fn cursor(sort: Sort, key: &KeyFacts) -> String {
    let value = match sort {
        Sort::Newest | Sort::Oldest => key.created_at.as_millis().to_string(),
        Sort::Expiry => key.expires_at.map_or(i64::MAX, Timestamp::as_millis).to_string(),
        Sort::Name => fold(key.name.as_str()),
    };
    format!("{}~{value}", key.id)
}

/// A statement for each order, for the parts of one cannot be parameters. Each page begins after the last row of the one
/// before, so that the thousandth costs no more than the first.
macro_rules! listed {
    ($after:literal, $order:literal) => {
        entries!(
            // The page is found first, by ids alone, and only then read whole.
            "JOIN (SELECT id FROM keys k WHERE ($2 = '' OR k.name_folded LIKE $2 ESCAPE '\\' OR k.prefix = $3 OR k.user_id IN ",
            "(SELECT id FROM users WHERE email LIKE $2 ESCAPE '\\')) ",
            "AND ($4 <> 'active' OR (k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $5))) ",
            "AND ($4 <> 'expired' OR (k.revoked_at IS NULL AND k.expires_at <= $5)) ",
            "AND ($4 <> 'revoked' OR k.revoked_at IS NOT NULL) AND ",
            $after,
            " ORDER BY ",
            $order,
            " LIMIT $8) AS page ON page.id = k.id ORDER BY ",
            $order
        )
    };
}

async fn listed(db: &Db, query: &KeyQuery, now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let search = like(&query.search);
    let (prefix, state, limit) = (query.search.trim(), query.state.as_str(), i64::try_from(PAGE_SIZE + 1).unwrap_or(0));
    let usage_after = usage_after(now);
    let (id, value) = query.after.split_once('~').unwrap_or_default();
    let number: Option<i64> = value.parse().ok();
    let (sql, after) = match query.sort {
        Sort::Newest => (
            listed!("(k.created_at, k.id) < ($7, $6)", "k.created_at DESC, k.id DESC"),
            Param::Number(number.unwrap_or(i64::MAX)),
        ),
        Sort::Oldest => (
            listed!("(k.created_at, k.id) > ($7, $6)", "k.created_at, k.id"),
            Param::Number(number.unwrap_or(i64::MIN)),
        ),
        Sort::Name => (listed!("(k.name_folded, k.id) > ($7, $6)", "k.name_folded, k.id"), Param::Text(value)),
        Sort::Expiry => (
            listed!("(k.expires_at, k.id) > ($7, $6)", "k.expires_at, k.id"),
            Param::Number(number.unwrap_or(i64::MIN)),
        ),
    };
    let params = [
        usage_after.into(),
        search.as_str().into(),
        prefix.into(),
        state.into(),
        now.into(),
        id.into(),
        after,
        limit.into(),
    ];
    db.query(sql, &params, entry).await
}

struct EditableKey {
    user: UserId,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    prefix: String,
}

fn editable_key(row: Row<'_>) -> Result<EditableKey, AppError> {
    let (expires_at, revoked_at) = (row.get("expires_at")?, row.get("revoked_at")?);
    Ok(EditableKey { user: row.get("user_id")?, expires_at, revoked_at, prefix: row.get("prefix")? })
}

/// Changes a key's name and expiry. What a revoked key refuses is refused here too.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such key; [`AppError::Invalid`] if a field is wrong, or the key is revoked.
pub async fn edit(state: &AppState, session: &Session, form: &EditForm) -> Result<(), AppError> {
    let (id, by) = (KeyId::parse(&form.id).ok_or(AppError::NotFound)?, session.actor(state.now()));
    let KeyEdit { name, expires_at: change, rate } = form.parse(by.at)?;
    let mut tx = session.begin_as_superuser(&state.db).await?;
    let sql = "SELECT user_id, expires_at, revoked_at, prefix FROM keys WHERE id = $1";
    let found = tx.query_optional(sql, params![id], editable_key).await?;
    let EditableKey { user, expires_at: old, revoked_at, prefix } = found.ok_or(AppError::NotFound)?;
    if revoked_at.is_some() {
        return Err(FieldErrors::whole("This key is revoked, and cannot be changed any more.").into());
    }
    let expires_at = change.unwrap_or(old);
    // A secret that was replaced never outlives its key.
    let sql = "UPDATE keys SET name = $3, name_folded = $4, expires_at = $5, rate = $6, old_expires_at = CASE \
               WHEN old_expires_at > $5 THEN $5 ELSE old_expires_at END \
               WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
    tx.execute(sql, params![id, user, name, fold(name.as_str()), expires_at, rate]).await?;
    tx.invalidate_key(&id).await?;
    let expires = expires_at.map_or("never".to_owned(), Timestamp::minute);
    let detail = format!("{}, expires: {expires}", isolated(name.as_str()));
    let about = AuditTarget { user: Some(&user), key: Some(&id), subject: &prefix, detail, ..AuditTarget::default() };
    audit::record(&mut tx, &by, Action::KeyEdit, about).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes a key for a user by the email address. Only the administrator sees it, this once.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong or nobody has the address, and as [`create`]; [`AppError::ReauthenticationRequired`]
/// unless the password was entered a short time ago.
pub(super) async fn create_for(state: &AppState, session: &Session, form: &KeyForm) -> Result<NewKey, AppError> {
    let by = session.actor(state.now());
    let user = match Email::to_find(&form.owner) {
        Ok(email) => users::find(&state.db, &email).await?,
        Err(_) => None,
    };
    let parsed = form.parse(by.at);
    let Some(user) = user else {
        let mut errors = parsed.err().unwrap_or_default();
        errors.add("owner", "Nobody here has this address.");
        return Err(errors.into());
    };
    let (form, spec): (_, KeySpec) = parsed?;
    let spec = complete(state, spec).await?;
    session.check_recent_auth(by.at)?;
    let request = Request { user: &user.id, form: Some(form), spec };
    create_as(Creator::Superuser(session), &state.db, &state.config.keys, request, &by).await
}

/// Revokes keys by their ids; those that were revoked already stay as they are. Gives how many were not.
///
/// # Errors
/// [`AppError::Invalid`] if none is chosen, or too many.
pub async fn revoke_all(state: &AppState, session: &Session, ids: &[String]) -> Result<u32, AppError> {
    if ids.is_empty() {
        return Err(FieldErrors::whole("Choose the keys to revoke first.").into());
    }
    if ids.len() > MAX_REVOKED {
        return Err(FieldErrors::whole(format!("Revoke at most {MAX_REVOKED} keys at a time.")).into());
    }
    let (by, mut revoked) = (session.actor(state.now()), 0);
    // A transaction for each key: with one for all, revoking many would hold up every other change.
    for id in ids.iter().filter_map(|id| KeyId::parse(id)) {
        let mut tx = session.begin_as_superuser(&state.db).await?;
        let sql = "SELECT user_id FROM keys WHERE id = $1";
        let owner: Option<UserId> = tx.query_optional(sql, params![id], |row| row.get("user_id")).await?;
        if let Some(user) = owner {
            revoked += u32::from(revoke_in(&mut tx, &user, &id, &by).await?);
            tx.commit().await?;
        }
    }
    Ok(revoked)
}
