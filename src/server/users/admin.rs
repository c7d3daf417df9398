//! Accounts, for administrators and the operator: find, disable, promote.

use super::{get, record};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::text::shown;
use crate::model::users::{Account, AccountPage, User, UserId};
use crate::server::audit::Actor;
use crate::server::auth::sessions;
use crate::server::auth::sessions::Session;
use crate::server::auth::{key_format, login_throttle};
use crate::server::db::{Db, Tx, execute, fetch, like};
use crate::server::state::AppState;
use crate::server::teams::invitations;

/// How many accounts the administrators' page shows at a time.
const ON_A_PAGE: usize = 25;

/// The accounts that an administrator looks for, by email address, from the one after `after`.
///
/// # Errors
/// If the database does not answer.
pub async fn page(db: &Db, session: &Session, (search, after): (String, &str)) -> Result<AccountPage, AppError> {
    let search = key_format::searched(&search);
    let mut conn = db.read().await?;
    let sql = "SELECT id, email, name, superuser, disabled_at, created_at FROM users WHERE email > $1 \
               AND ($2 = '' OR email LIKE $2 ESCAPE '\\' OR name_folded LIKE $2 ESCAPE '\\') \
               ORDER BY email LIMIT $3";
    let most = i64::try_from(ON_A_PAGE + 1).unwrap_or(0);
    let mut accounts = fetch!(conn, all Account, sql, after, like(&search), most)?;
    let more = accounts.len() > ON_A_PAGE;
    accounts.truncate(ON_A_PAGE);
    let next = accounts.last().filter(|_| more).map(|account| account.user.email.clone());
    for Account { user, .. } in &mut accounts {
        (user.email, user.name) = (shown(&user.email), shown(&user.name));
    }
    Ok(AccountPage { accounts, next, search, me: session.user.id.clone(), about: None })
}

/// The account that a dialog is about, by its id; `None` if there is none.
///
/// # Errors
/// If the database does not answer.
pub async fn account(db: &Db, id: Option<&str>) -> Result<Option<Account>, AppError> {
    let Some(id) = id.and_then(UserId::parse) else { return Ok(None) };
    let mut conn = db.read().await?;
    let sql = "SELECT id, email, name, superuser, disabled_at, created_at FROM users WHERE id = $1";
    let found = fetch!(conn, optional Account, sql, id)?;
    Ok(found.map(|mut account| {
        (account.user.email, account.user.name) = (shown(&account.user.email), shown(&account.user.name));
        account
    }))
}

/// What can be done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its sessions end, and its keys are refused from the next request on.
    Disable,
    /// It may sign in again, without a wait, and its keys work as before.
    Enable,
    /// It becomes a superuser.
    Promote,
    /// It is a superuser no more.
    Demote,
}

impl Change {
    /// Takes what forms call it.
    #[must_use]
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

/// Changes an account, as an administrator asks by a form.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such account, and as [`change`].
pub async fn change_by_name(state: &AppState, session: &Session, (id, what): (&str, &str)) -> Result<(), AppError> {
    let what = Change::parse(what).ok_or(AppError::NotFound)?;
    let user = get(&state.db, id).await?;
    let tx = session.begin_as_superuser(&state.db).await?;
    change_in(tx, &user, what, &session.by(state.now())).await
}

/// Changes an account for the operator; one that is so already stays as it is.
///
/// # Errors
/// [`AppError::Invalid`] if no superuser would be left.
pub async fn change(db: &Db, user: &User, change: Change, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    sessions::lock_superusers(&mut tx).await?;
    change_in(tx, user, change, by).await
}

/// Changes an account within a transaction that holds the lock of the superusers, and commits it. Two administrators at once,
/// each of whom takes the other away, go one after the other.
async fn change_in(mut tx: Tx, user: &User, change: Change, by: &Actor) -> Result<(), AppError> {
    // Not as the page showed it: the user may have been promoted since.
    let sql = "SELECT superuser FROM users WHERE id = $1";
    let (superuser,) = fetch!(tx, optional(bool,), sql, &user.id)?.ok_or(AppError::NotFound)?;
    let changed = match change {
        Change::Disable => {
            let sql = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
            let changed = execute!(tx, sql, &user.id, by.at)?;
            sessions::end_all(&mut tx, &user.id).await?;
            invitations::end_of_account(&mut tx, &user.id).await?;
            changed
        }
        Change::Enable => {
            let sql = "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
            login_throttle::lift(&mut tx, &user.id).await? + execute!(tx, sql, &user.id)?
        }
        Change::Promote => execute!(tx, "UPDATE users SET superuser = TRUE WHERE id = $1 AND NOT superuser", &user.id)?,
        Change::Demote => execute!(tx, "UPDATE users SET superuser = FALSE WHERE id = $1 AND superuser", &user.id)?,
    };
    if changed == 0 {
        return Ok(());
    }
    if superuser && matches!(change, Change::Disable | Change::Demote) {
        let sql = "SELECT COUNT(*) FROM users WHERE superuser AND disabled_at IS NULL";
        if fetch!(tx, one(i64,), sql)?.0 == 0 {
            return Err(FieldErrors::whole("This is the last superuser. Make somebody else one first.").into());
        }
    }
    record(&mut tx, by, change.action(), user).await?;
    tx.commit().await?;
    Ok(())
}
