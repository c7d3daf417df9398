//! The owner of the data that a request works on, and the caller. Pages and the API share it.

use super::Caller;
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::model::keys::KeyFacts;
use crate::model::teams::TeamId;
use crate::model::time::Timestamp;
use crate::model::users::UserId;
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};

/// Owner of data (a user or a team) and the caller who works on it.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub owner: OwnerId,
    /// Set if the owner is a team.
    pub team: Option<TeamId>,
    pub(super) caller: Caller,
}

impl Tenant {
    /// Returns the caller's user.
    pub fn user_id(&self) -> &UserId {
        &self.caller.user().id
    }

    /// Begins a transaction on the owner's data and checks in it that the caller still has access: the session is live, the key
    /// valid, the account active and the user in the team. Locks, always in this order: user, session, team, membership, key.
    ///
    /// # Errors
    /// [`AppError::CredentialsMissing`], [`AppError::AccountDisabled`], [`AppError::KeyRevoked`] or [`AppError::KeyExpired`] for
    /// a caller without access; [`AppError::NotFound`] for a user who has left the team.
    pub async fn begin(&self, db: &Db, now: Timestamp) -> Result<Tx, AppError> {
        let mut tx = match &self.caller {
            Caller::Session(session) => session.begin(db).await?,
            Caller::Key { user, .. } => {
                let mut tx = db.begin().await?;
                let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL";
                if tx.execute(sql, params![user.id]).await? == 0 {
                    return Err(AppError::AccountDisabled);
                }
                tx
            }
        };
        if let Some(team) = &self.team {
            tx.execute("UPDATE teams SET name = name WHERE id = $1", params![team]).await?;
            let sql = "UPDATE members SET role = role WHERE team_id = $1 AND user_id = $2";
            if tx.execute(sql, params![team, self.user_id()]).await? == 0 {
                return Err(AppError::NotFound);
            }
        }
        if let Caller::Key { user, key } = &self.caller {
            lock_key(&mut tx, &user.id, key, now).await?;
        }
        Ok(tx)
    }
}

async fn lock_key(tx: &mut Tx, user: &UserId, key: &KeyFacts, now: Timestamp) -> Result<(), AppError> {
    let sql = "UPDATE keys SET name = name WHERE id = $1 AND user_id = $2 RETURNING revoked_at, expires_at";
    match tx.query_optional(sql, params![key.id, user], KeyEnd::from_row).await? {
        Some(KeyEnd { revoked_at: None, expires_at }) if expires_at.is_none_or(|at| at > now) => Ok(()),
        Some(KeyEnd { revoked_at: None, .. }) => Err(AppError::KeyExpired),
        _ => Err(AppError::KeyRevoked),
    }
}

/// When a key ends.
struct KeyEnd {
    revoked_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl KeyEnd {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self { revoked_at: row.get("revoked_at")?, expires_at: row.get("expires_at")? })
    }
}
