//! The API of an app that uses this crate: registered at its start, so that people can choose its scopes for a key.

use super::{Registrar, add_with_scopes, find, insert_scope, list};
use crate::error::AppError;
use crate::model::apis::{ApiForm, NewScope};
use crate::model::fields::FieldErrors;
use crate::model::keys::RequiredScope;
use crate::model::time::Timestamp;
use crate::server::audit::Actor;
use crate::server::db::Db;

/// API of an app that uses this crate.
#[derive(Clone, Copy, Debug)]
pub struct OwnApi {
    /// The first part of the names of its scopes: `notes` of `notes:read`.
    pub slug: &'static str,
    /// The name on pages.
    pub name: &'static str,
    pub scopes: &'static [OwnScope],
}

/// Scope of an [`OwnApi`].
#[derive(Clone, Copy, Debug)]
pub struct OwnScope {
    name: &'static str,
    writes: bool,
}

impl OwnScope {
    /// Returns the scope that an endpoint requires.
    pub const fn of<S: RequiredScope>() -> Self {
        Self { name: S::NAME, writes: S::WRITES }
    }
}

impl OwnApi {
    /// Registers the API, and the scopes that it lacks. Changes nothing else, so it can run at every start.
    ///
    /// # Errors
    /// [`AppError::Invalid`] if the slug or a scope has another form than `slug` and `slug:name`, or there are too many.
    pub async fn register(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        let by = Actor::operator(now);
        if find(&list(db).await?, self.slug).is_none() {
            let scopes = self.scopes.iter().map(|scope| self.parse(scope)).collect::<Result<Vec<_>, _>>()?;
            let form = ApiForm { slug: self.slug.to_owned(), name: self.name.to_owned(), ..ApiForm::default() };
            let added = add_with_scopes(db, Registrar::Operator, &form, &scopes, &by).await;
            // Another server may have been faster.
            if added.is_ok() || find(&list(db).await?, self.slug).is_none() {
                return added;
            }
        }
        self.add_missing(db, &by).await
    }

    async fn add_missing(&self, db: &Db, by: &Actor) -> Result<(), AppError> {
        // The lock first, so that two servers at once add a scope only once.
        let mut tx = Registrar::Operator.begin(db).await?;
        let known = list(db).await?;
        let Some(api) = find(&known, self.slug) else { return Ok(()) };
        let missing = self.scopes.iter().filter(|own| api.scopes.iter().all(|scope| scope.name != own.name));
        let missing: Vec<_> = missing.map(|own| self.parse(own)).collect::<Result<_, _>>()?;
        if missing.is_empty() {
            return Ok(());
        }
        for scope in &missing {
            insert_scope(&mut tx, &api.id, &api.slug, scope, by).await?;
        }
        tx.invalidate_apis().await?;
        tx.commit().await?;
        Ok(())
    }

    fn parse(&self, scope: &OwnScope) -> Result<NewScope, FieldErrors> {
        NewScope::parse(self.slug, scope.name, if scope.writes { "write" } else { "read" })
    }
}
