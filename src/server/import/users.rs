//! Import of users.

use std::collections::HashMap;

use super::dump::DjangoUser;
use super::report::RemarkKind;
use super::{ImportedUser, Importer};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::users::{Email, UserId, display_name};
use crate::server::audit;
use crate::server::audit::AuditTarget;
use crate::server::auth::django_hash::{DjangoHash, DjangoHashError};
use crate::server::auth::random;
use crate::server::db::fold::fold;
use crate::server::db::row::params;

/// In place of a password hash: nobody can sign in with a password.
const NO_PASSWORD: &str = "none";

const SET_PASSWORD: &str = "set one with keyfob user set-password";

impl Importer<'_> {
    pub(super) async fn add_users(&mut self, users: Vec<DjangoUser>) -> Result<(), AppError> {
        let mut places = HashMap::new();
        for user in users {
            let added = self.add_user(&user, &mut places).await?;
            if added.is_none() {
                self.report.users.skipped += 1;
            }
            for reference in user.references {
                self.users.insert(reference, added.clone());
            }
        }
        Ok(())
    }

    /// Adds a user. `places` has the place of each address that was seen.
    async fn add_user(
        &mut self,
        user: &DjangoUser,
        places: &mut HashMap<String, String>,
    ) -> Result<Option<ImportedUser>, AppError> {
        let typed = if user.email.trim().is_empty() { &user.username } else { &user.email };
        let email = match Email::parse(typed) {
            Ok(email) => email,
            Err(_) if user.email.trim().is_empty() => {
                self.skip(user, &user.username, "it has no email address");
                return Ok(None);
            }
            Err(sentence) => {
                self.skip(user, &user.email, format!("its email address can't be used here. {sentence}"));
                return Ok(None);
            }
        };
        if let Some(first) = places.get(email.as_str()) {
            let reason = format!("its email address is the same as that of {first}");
            self.skip(user, &user.email, reason);
            return Ok(None);
        }
        places.insert(email.as_str().to_owned(), user.place.clone());
        if self.has_account(&email).await? {
            self.skip(user, email.as_str(), "there is an account with this email address, which stays as it is");
            return Ok(None);
        }
        let added = self.insert_user(user, &email).await?;
        self.report.users.take([(user.superuser, "superusers"), (!user.active, "disabled")]);
        Ok(Some(added))
    }

    async fn has_account(&mut self, email: &Email) -> Result<bool, AppError> {
        let [one, two, three, four] = &email.forms();
        let sql = "SELECT id FROM users WHERE email IN ($1, $2, $3, $4) LIMIT 1";
        let params = params![one, two, three, four];
        Ok(self.tx.query_optional(sql, params, |row| row.get::<UserId>("id")).await?.is_some())
    }

    async fn insert_user(&mut self, user: &DjangoUser, email: &Email) -> Result<ImportedUser, AppError> {
        let (now, email) = (self.by.at, email.as_str());
        let hash = DjangoHash::parse(&user.password);
        let imported_cost = hash.as_ref().ok().map(|hash| i64::from(hash.cost()));
        let password_hash = if hash.is_ok() { &user.password } else { NO_PASSWORD };
        if let Err(error) = hash {
            let why = match error {
                DjangoHashError::Unusable => "it has no usable password",
                DjangoHashError::Unknown => "its password hash is of an unknown kind",
                DjangoHashError::TooCostly => "its password hash takes too much time or memory to check",
            };
            self.report.note(RemarkKind::Note, &user.place, email, format!("{why}; {SET_PASSWORD}"));
        }
        let name = display_name(&user.name).unwrap_or_else(|sentence| {
            self.report.note(RemarkKind::Note, &user.place, email, format!("its name is left out. {sentence}"));
            String::new()
        });
        let created_at = user.joined_at.unwrap_or(now).min(now);
        let id = UserId::parse(&random::make_id(created_at)).ok_or(AppError::Internal)?;
        let disabled_at = (!user.active).then_some(now);
        let sql = "INSERT INTO users (id, email, name, name_folded, password_hash, imported_cost, superuser, disabled_at, \
                   created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let folded = fold(&name);
        let params = params![
            id,
            email,
            name,
            folded,
            password_hash,
            imported_cost,
            user.superuser,
            disabled_at,
            created_at,
            now,
        ];
        self.tx.execute(sql, params).await?;
        let detail = if user.superuser { "imported from Django as a superuser" } else { "imported from Django" };
        let target =
            AuditTarget { user: Some(&id), subject: email, detail: detail.to_owned(), ..AuditTarget::default() };
        audit::record(&mut self.tx, self.by, Action::AccountCreate, target).await?;
        Ok(ImportedUser { id, email: email.to_owned(), active: user.active })
    }

    fn skip(&mut self, user: &DjangoUser, subject: &str, reason: impl Into<String>) {
        self.report.note(RemarkKind::Skipped, &user.place, subject, reason);
    }
}
