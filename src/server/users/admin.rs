//! User management by superusers and the operator.

use super::row::account_from_row;
use super::{get, record, resets};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::text::shown;
use crate::model::users::{Account, AccountPage, User, UserId};
use crate::server::audit::Actor;
use crate::server::auth::sessions::Session;
use crate::server::auth::{key_format, login_throttle, sessions};
use crate::server::db::row::params;
use crate::server::db::{Db, Tx, like};
use crate::server::state::AppState;
use crate::server::teams::invitations;

/// Accounts per page.
const PAGE_SIZE: usize = 25;

/// Returns a page of the accounts that match `search`, by email address, after the address `after`.
pub async fn page(db: &Db, session: &Session, search: &str, after: &str) -> Result<AccountPage, AppError> {
    let search = key_format::search_term(search);
    let sql = "SELECT id, email, name, superuser, disabled_at, created_at FROM users WHERE email > $1 \
               AND ($2 = '' OR email LIKE $2 ESCAPE '\\' OR name_folded LIKE $2 ESCAPE '\\') \
               ORDER BY email LIMIT $3";
    let limit = i64::try_from(PAGE_SIZE + 1).unwrap_or(0);
    let mut accounts = db.query(sql, params![after, like(&search), limit], account_from_row).await?;
    let has_more = accounts.len() > PAGE_SIZE;
    accounts.truncate(PAGE_SIZE);
    let next = accounts.last().filter(|_| has_more).map(|account| account.user.email.clone());
    for Account { user, .. } in &mut accounts {
        (user.email, user.name) = (shown(&user.email), shown(&user.name));
    }
    Ok(AccountPage { accounts, next, search, me: session.user.id.clone(), about: None })
}

/// Returns a page of accounts, and the account of a dialog by its id.
pub async fn page_with_dialog(
    db: &Db,
    session: &Session,
    search: &str,
    after: &str,
    about: Option<&str>,
) -> Result<AccountPage, AppError> {
    let mut page = page(db, session, search, after).await?;
    page.about = find_account(db, about).await?;
    Ok(page)
}

async fn find_account(db: &Db, id: Option<&str>) -> Result<Option<Account>, AppError> {
    let Some(id) = id.and_then(UserId::parse) else { return Ok(None) };
    let sql = "SELECT id, email, name, superuser, disabled_at, created_at FROM users WHERE id = $1";
    let found = db.query_optional(sql, params![id], account_from_row).await?;
    Ok(found.map(|mut account| {
        (account.user.email, account.user.name) = (shown(&account.user.email), shown(&account.user.name));
        account
    }))
}

/// Change of an account by a superuser or the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// Ends all sessions. Keys are rejected from the next request on.
    Disable,
    /// Clears the sign-in delay. Keys work as before.
    Enable,
    Promote,
    Demote,
}

impl AccountChange {
    /// Parses the value of a form.
    pub fn parse(raw: &str) -> Option<Self> {
        match raw {
            "disable" => Some(Self::Disable),
            "enable" => Some(Self::Enable),
            "promote" => Some(Self::Promote),
            "demote" => Some(Self::Demote),
            _ => None,
        }
    }

    const fn action(self) -> Action {
        match self {
            Self::Disable => Action::AccountDisable,
            Self::Enable => Action::AccountEnable,
            Self::Promote => Action::AccountPromote,
            Self::Demote => Action::AccountDemote,
        }
    }
}

/// Applies the change of a superuser's form.
///
/// # Errors
/// [`AppError::NotFound`] for an unknown account or change, and as [`change`].
pub async fn change_as_superuser(state: &AppState, session: &Session, id: &str, change: &str) -> Result<(), AppError> {
    let change = AccountChange::parse(change).ok_or(AppError::NotFound)?;
    let user = get(&state.db, id).await?;
    let tx = session.begin_as_superuser(&state.db).await?;
    apply(tx, &user, change, &session.actor(state.now())).await
}

/// Applies a change for the operator. Does nothing if the account is already in that state.
///
/// # Errors
/// [`AppError::Invalid`] if no active superuser would be left.
pub async fn change(db: &Db, user: &User, change: AccountChange, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    sessions::lock_superusers(&mut tx).await?;
    apply(tx, user, change, by).await
}

/// Applies a change in a transaction that holds the superusers' lock, and commits it. The lock keeps two superusers from
/// removing each other at once.
async fn apply(mut tx: Tx, user: &User, change: AccountChange, by: &Actor) -> Result<(), AppError> {
    // Read again: the user may have been promoted since the page was loaded.
    let sql = "SELECT superuser FROM users WHERE id = $1";
    let superuser: Option<bool> = tx.query_optional(sql, params![user.id], |row| row.get("superuser")).await?;
    let superuser = superuser.ok_or(AppError::NotFound)?;
    let changed = match change {
        AccountChange::Disable => {
            let sql = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
            let changed = tx.execute(sql, params![user.id, by.at]).await?;
            sessions::end_all(&mut tx, &user.id).await?;
            invitations::delete_sent_by(&mut tx, &user.id).await?;
            resets::withdraw(&mut tx, &user.id).await?;
            changed
        }
        AccountChange::Enable => {
            let sql = "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
            login_throttle::clear(&mut tx, &user.id).await? + tx.execute(sql, params![user.id]).await?
        }
        AccountChange::Promote => {
            let sql = "UPDATE users SET superuser = TRUE WHERE id = $1 AND NOT superuser";
            tx.execute(sql, params![user.id]).await?
        }
        AccountChange::Demote => {
            let sql = "UPDATE users SET superuser = FALSE WHERE id = $1 AND superuser";
            tx.execute(sql, params![user.id]).await?
        }
    };
    if changed == 0 {
        return Ok(());
    }
    if superuser && matches!(change, AccountChange::Disable | AccountChange::Demote) {
        check_superuser_remains(&mut tx).await?;
    }
    tx.invalidate_user(&user.id).await?;
    record(&mut tx, by, change.action(), user).await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn check_superuser_remains(tx: &mut Tx) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS count FROM users WHERE superuser AND disabled_at IS NULL";
    let superusers: i64 = tx.query_one(sql, params![], |row| row.get("count")).await?;
    if superusers > 0 {
        return Ok(());
    }
    Err(FieldErrors::whole("This is the last superuser. Make someone else a superuser first.").into())
}
