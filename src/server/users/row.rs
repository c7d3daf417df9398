//! Reads the columns of users.

use crate::error::AppError;
use crate::model::users::{Account, User};
use crate::server::db::row::Row;

/// Reads the columns `id, email, name, superuser`.
pub fn user_from_row(row: Row<'_>) -> Result<User, AppError> {
    Ok(User { id: row.get("id")?, email: row.get("email")?, name: row.get("name")?, superuser: row.get("superuser")? })
}

/// Reads the columns of [`user_from_row`] and `disabled_at, created_at`.
pub(super) fn account_from_row(row: Row<'_>) -> Result<Account, AppError> {
    Ok(Account { user: user_from_row(row)?, disabled_at: row.get("disabled_at")?, created_at: row.get("created_at")? })
}
