//! Import of API keys.

use super::dump::DjangoKey;
use super::report::RemarkKind;
use super::{ImportedUser, Importer};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::keys::{Access, KeyId, KeyName};
use crate::model::text::isolated;
use crate::server::audit;
use crate::server::audit::AuditTarget;
use crate::server::auth::django_hash::DjangoHashError;
use crate::server::auth::key_format::imported_prefix;
use crate::server::auth::random;
use crate::server::db::fold::fold;
use crate::server::db::row::params;
use crate::server::keys::imported::check_hash;

/// The name of a key whose own name is empty or may not be shown.
const UNNAMED: &str = "Imported key";

impl Importer<'_> {
    pub(super) async fn add_keys(&mut self, keys: Vec<DjangoKey>) -> Result<(), AppError> {
        for key in keys {
            if let Err(reason) = self.add_key(&key).await? {
                self.report.keys.skipped += 1;
                self.report.note(RemarkKind::Skipped, &key.place, &key.prefix, reason);
            }
        }
        Ok(())
    }

    /// Adds a key, or says why not.
    async fn add_key(&mut self, key: &DjangoKey) -> Result<Result<(), &'static str>, AppError> {
        let Some(prefix) = imported_prefix(&key.prefix) else {
            return Ok(Err("its prefix does not have 8 letters and digits"));
        };
        match check_hash(&key.hash) {
            Ok(()) => {}
            Err(DjangoHashError::TooCostly) => return Ok(Err("its hash takes too much time or memory to check")),
            Err(_) => return Ok(Err("its hash is of an unknown kind")),
        }
        if key.expires_at.is_err() {
            return Ok(Err("its expiry date can't be read"));
        }
        if self.has_key(&prefix).await? {
            return Ok(Err("there is a key with this prefix, which stays as it is"));
        }
        let Some(user) = &key.user else { return Ok(Err("it has no user")) };
        let Some(Some(user)) = self.users.get(user).cloned() else { return Ok(Err("its user was not imported")) };
        self.insert_key(key, &prefix, &user).await?;
        let expired = key.expires_at.is_ok_and(|at| at.is_some_and(|at| at <= self.by.at));
        self.report.keys.take([(key.revoked, "revoked"), (expired && !key.revoked, "expired")]);
        Ok(Ok(()))
    }

    async fn has_key(&mut self, prefix: &str) -> Result<bool, AppError> {
        // A key that was rotated since an earlier import has another prefix.
        let sql = "SELECT id FROM keys WHERE prefix = $1 OR id = $1 UNION ALL \
                   SELECT key_id FROM imported_keys WHERE prefix = $1 LIMIT 1";
        Ok(self.tx.query_optional(sql, params![prefix], |row| row.get::<KeyId>("id")).await?.is_some())
    }

    async fn insert_key(&mut self, key: &DjangoKey, prefix: &str, user: &ImportedUser) -> Result<(), AppError> {
        let now = self.by.at;
        let name = KeyName::parse(&key.name).unwrap_or_else(|_| KeyName::from(UNNAMED.to_owned()));
        let created_at = key.created_at.unwrap_or(now).min(now);
        let id = KeyId::parse(&random::make_id(created_at)).ok_or(AppError::Internal)?;
        // No digest is like it.
        let placeholder = format!("imported {id}");
        let (expires_at, revoked_at) = (key.expires_at.unwrap_or_default(), key.revoked.then_some(now));
        let sql = "INSERT INTO keys (id, user_id, name, name_folded, prefix, digest, access, created_at, expires_at, \
                   revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (folded, access) = (fold(name.as_str()), Access::Full.stored_text());
        let params =
            params![id, user.id, name, folded, prefix, placeholder, access, created_at, expires_at, revoked_at,];
        self.tx.execute(sql, params).await?;
        let sql = "INSERT INTO imported_keys (prefix, key_id, placeholder, hash) VALUES ($1, $2, $3, $4)";
        self.tx.execute(sql, params![prefix, id, placeholder, key.hash]).await?;
        let state = if key.revoked { ", revoked" } else { "" };
        let detail = format!("{}, {}, imported from Django{state}", isolated(name.as_str()), Access::Full.label());
        let target =
            AuditTarget { user: Some(&user.id), key: Some(&id), subject: prefix, detail, ..AuditTarget::default() };
        audit::record(&mut self.tx, self.by, Action::KeyCreate, target).await
    }
}
