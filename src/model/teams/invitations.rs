//! Invitations to teams.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::model::fields::FieldErrors;
use crate::model::time::{DAY, Timestamp};
use crate::model::users::Email;

/// How long an invitation can be accepted, in milliseconds.
pub const INVITATION_TTL: i64 = 14 * DAY;

/// An open invitation, as the person who may accept it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct Invitation {
    /// The team's part of an address.
    pub slug: String,
    /// The team's name.
    pub name: String,
    /// The role that accepting gives.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub role: Role,
    /// The email address of the admin who sent it.
    pub inviter: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// An open invitation, as the admins of its team see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct SentInvitation {
    /// The email address that may accept it.
    pub email: String,
    /// The role that accepting gives.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub role: Role,
    /// The email address of the admin who sent it.
    pub inviter: String,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The form "Add member", as typed.
#[derive(Clone, Debug, Default)]
pub struct InvitationForm {
    /// The email address.
    pub email: String,
    /// The role.
    pub role: String,
}

/// The form "Add member", checked.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// The email address.
    pub email: Email,
    /// The role.
    pub role: Role,
}

impl InvitationForm {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// What is wrong, field by field.
    pub fn parse(&self) -> Result<NewInvitation, FieldErrors> {
        let mut errors = FieldErrors::default();
        let email = errors.take("email", Email::parse(&self.email));
        let role = errors.take("role", Role::try_from(self.role.clone()));
        email.zip(role).map(|(email, role)| NewInvitation { email, role }).ok_or(errors)
    }
}
