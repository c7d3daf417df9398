//! Whose data a request works on, and in whose name: the same for pages and for the API.

use super::Caller;
use crate::error::AppError;
use crate::model::employees::OwnerId;
use crate::model::keys::KeyFacts;
use crate::model::teams::TeamId;
use crate::model::time::Timestamp;
use crate::model::users::UserId;
use crate::server::db::{Db, Tx, execute, fetch};

/// The owner of data, a user or a team, and the caller who works on it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The owner.
    pub owner: OwnerId,
    /// The owner, where it is a team.
    pub team: Option<TeamId>,
    pub(super) caller: Caller,
}

impl Tenant {
    /// The user in whose name the request works.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.caller.user().id
    }

    /// Begins a transaction that changes what is the owner's, and decides in it whether the caller still may: the session has
    /// not ended, the key is valid, the account is active, and the user is in the team. All of them and the owner are locked,
    /// always in this order: user, session, team, membership, key.
    ///
    /// # Errors
    /// [`AppError::CredentialsMissing`], [`AppError::AccountDisabled`], [`AppError::KeyRevoked`] or [`AppError::KeyExpired`] for
    /// a caller who may no longer; [`AppError::NotFound`] for a team that the user is no longer in.
    pub async fn begin(&self, db: &Db, now: Timestamp) -> Result<Tx, AppError> {
        let mut tx = match &self.caller {
            Caller::Session(session) => session.begin(db).await?,
            Caller::Key { user, .. } => {
                let mut tx = db.begin().await?;
                let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL";
                if execute!(tx, sql, &user.id)? == 0 {
                    return Err(AppError::AccountDisabled);
                }
                tx
            }
        };
        if let Some(team) = &self.team {
            execute!(tx, "UPDATE teams SET name = name WHERE id = $1", team)?;
            let sql = "UPDATE members SET role = role WHERE team_id = $1 AND user_id = $2";
            if execute!(tx, sql, team, self.user())? == 0 {
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
    type Ends = (Option<Timestamp>, Option<Timestamp>);
    let sql = "UPDATE keys SET name = name WHERE id = $1 AND user_id = $2 RETURNING revoked_at, expires_at";
    match fetch!(tx, optional Ends, sql, &key.id, user)? {
        Some((None, expires_at)) if expires_at.is_none_or(|at| at > now) => Ok(()),
        Some((None, _)) => Err(AppError::KeyExpired),
        _ => Err(AppError::KeyRevoked),
    }
}
