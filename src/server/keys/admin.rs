//! All keys, for administrators: find, change, make for a user, revoke.

use super::lists::{ON_A_PAGE, entries, usage_after};
use super::{Creator, Request, create_as, revoke_in};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::{EditForm, KeyEntry, KeyFacts, KeyForm, KeyId, KeyPage, KeyQuery, KeySpec, NewKey, Sort};
use crate::model::redact::{contains_key, redact};
use crate::model::text::{isolated, shown};
use crate::model::time::Timestamp;
use crate::model::users::{Email, UserId};
use crate::server::audit;
use crate::server::audit::AuditTarget;
use crate::server::auth::sessions::Session;
use crate::server::auth::{key_format, random};
use crate::server::db::{Conn, execute, fetch};
use crate::server::maintenance::fold_names::fold;
use crate::server::state::AppState;
use crate::server::users;

/// How many keys can be revoked at a time.
const MAX_REVOKED: usize = 100;

/// The keys that an administrator looks for. A pasted key is found by its digest; it is written nowhere.
///
/// # Errors
/// If the database does not answer.
pub async fn page(state: &AppState, query: KeyQuery) -> Result<KeyPage, AppError> {
    let now = state.now();
    let mut conn = state.db.read().await?;
    let text = query.search.trim();
    let pasted = contains_key(text);
    let mut keys = if pasted { by_secret(&mut conn, text, now).await? } else { listed(&mut conn, &query, now).await? };
    let mut about = by_ids(&mut conn, &query.about, now).await?;
    drop(conn);
    let more = keys.len() > ON_A_PAGE;
    keys.truncate(ON_A_PAGE);
    let next = keys.last().filter(|_| more).map(|entry| cursor(query.sort, &entry.key));
    // What was pasted does not come back, for it would stand in the page's source.
    let search = if pasted { String::new() } else { text.to_owned() };
    let (state_name, after) = (redact(&query.state).into_owned(), redact(&query.after).into_owned());
    let query = KeyQuery { search, state: state_name, after, about: Vec::new(), ..query };
    for entry in keys.iter_mut().chain(&mut about) {
        entry.owner = shown(&entry.owner);
    }
    let (form_id, origin) = (random::make_id(now), state.config.origin());
    Ok(KeyPage { keys, next, query, about, pasted, now, form_id, origin })
}

/// The keys that a text holds, whatever surrounds them. Most hold one.
async fn by_secret(conn: &mut Conn, text: &str, now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let sql = entries!("WHERE k.digest = $2 OR k.old_digest = $2");
    let mut found: Vec<KeyEntry> = Vec::new();
    for key_format::FoundKey { digest, .. } in key_format::find_keys(text) {
        for entry in fetch!(conn, all KeyEntry, sql, usage_after(now), digest.hex())? {
            if found.iter().all(|known| known.key.id != entry.key.id) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// The keys that a dialog is about: no more than a page has, for more cannot be ticked.
async fn by_ids(conn: &mut Conn, ids: &[String], now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let mut found = Vec::new();
    for id in ids.iter().filter_map(|id| KeyId::parse(id)).take(ON_A_PAGE) {
        let sql = entries!("WHERE k.id = $2");
        found.extend(fetch!(conn, optional KeyEntry, sql, usage_after(now), id)?);
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

async fn listed(conn: &mut Conn, query: &KeyQuery, now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let search = crate::server::db::like(&query.search);
    let (prefix, state, most) = (query.search.trim(), query.state.as_str(), i64::try_from(ON_A_PAGE + 1).unwrap_or(0));
    let days = usage_after(now);
    macro_rules! run {
        ($value:expr, $id:expr, $sql:expr) => {
            fetch!(conn, all KeyEntry, $sql, days, &search, prefix, state, now, $id, $value, most)?
        };
    }
    // The first page begins before all ids, or, where the newest come first, after all.
    let (first, last) = ("", "~");
    let (id, value) =
        query.after.split_once('~').unwrap_or((if query.sort == Sort::Newest { last } else { first }, ""));
    let number: Option<i64> = value.parse().ok();
    Ok(match query.sort {
        Sort::Newest => {
            let sql = listed!("(k.created_at, k.id) < ($7, $6)", "k.created_at DESC, k.id DESC");
            run!(number.unwrap_or(i64::MAX), id, sql)
        }
        Sort::Oldest => {
            run!(number.unwrap_or(i64::MIN), id, listed!("(k.created_at, k.id) > ($7, $6)", "k.created_at, k.id"))
        }
        Sort::Name => run!(value, id, listed!("(k.name_folded, k.id) > ($7, $6)", "k.name_folded, k.id")),
        Sort::Expiry => {
            run!(number.unwrap_or(i64::MIN), id, listed!("(k.expires_at, k.id) > ($7, $6)", "k.expires_at, k.id"))
        }
    })
}

/// Changes a key's name and expiry. What a revoked key refuses is refused here too.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such key; [`AppError::Invalid`] if a field is wrong, or the key is revoked.
pub async fn edit(state: &AppState, session: &Session, form: &EditForm) -> Result<(), AppError> {
    type Row = (UserId, Option<Timestamp>, Option<Timestamp>, String);
    let (id, by) = (KeyId::parse(&form.id).ok_or(AppError::NotFound)?, session.actor(state.now()));
    let (name, change, rate) = form.parse(by.at)?;
    let mut tx = session.begin_as_superuser(&state.db).await?;
    let sql = "SELECT user_id, expires_at, revoked_at, prefix FROM keys WHERE id = $1";
    let (user, old, revoked_at, prefix) = fetch!(tx, optional Row, sql, &id)?.ok_or(AppError::NotFound)?;
    if revoked_at.is_some() {
        return Err(FieldErrors::whole("This key is revoked, and cannot be changed any more.").into());
    }
    let expires_at = change.unwrap_or(old);
    // A secret that was replaced never outlives its key.
    let sql = "UPDATE keys SET name = $3, name_folded = $4, expires_at = $5, rate = $6, old_expires_at = CASE \
               WHEN old_expires_at > $5 THEN $5 ELSE old_expires_at END \
               WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
    execute!(tx, sql, &id, &user, &name, fold(name.as_str()), expires_at, rate)?;
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
        let owner = fetch!(tx, optional(UserId,), "SELECT user_id FROM keys WHERE id = $1", &id)?;
        if let Some((user,)) = owner {
            revoked += u32::from(revoke_in(&mut tx, &user, &id, &by).await?);
            tx.commit().await?;
        }
    }
    Ok(revoked)
}
