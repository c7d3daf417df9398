//! Invitations to teams.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::model::fields::FieldErrors;
use crate::model::time::{DAY, Timestamp};
use crate::model::users::Email;

/// How long an invitation is open, in milliseconds.
pub const INVITATION_TTL: i64 = 14 * DAY;

/// An open invitation, as its recipient sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The slug of the team.
    pub slug: String,
    /// The name of the team.
    pub name: String,
    pub role: Role,
    /// The email address of the admin who sent it.
    pub inviter: String,
    pub expires_at: Timestamp,
}

/// An open invitation, as the admins of its team see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentInvitation {
    /// The email address of the recipient.
    pub email: String,
    pub role: Role,
    /// The email address of the admin who sent it.
    pub inviter: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The form "Add member", as typed.
#[derive(Clone, Debug, Default)]
pub struct InvitationForm {
    pub email: String,
    pub role: String,
}

/// A validated invitation.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    pub email: Email,
    pub role: Role,
}

impl InvitationForm {
    /// Validates all fields at once.
    pub fn parse(&self) -> Result<NewInvitation, FieldErrors> {
        let mut errors = FieldErrors::default();
        let email = errors.take("email", Email::parse(&self.email));
        let role = errors.take("role", Role::try_from(self.role.clone()));
        email.zip(role).map(|(email, role)| NewInvitation { email, role }).ok_or(errors)
    }
}
