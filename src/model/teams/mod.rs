//! Teams, their members and roles.

mod invitations;

use serde::{Deserialize, Serialize};

pub use self::invitations::{INVITATION_TTL, Invitation, InvitationForm, NewInvitation, SentInvitation};
use super::fields::FieldErrors;
use super::text::short_text;
use super::time::Timestamp;
use super::users::UserId;

super::id! {
    /// The id of a team.
    TeamId
}

/// The most teams of a user.
pub const MAX_TEAMS: i64 = 50;
/// The most members of a team.
pub const MAX_MEMBERS: i64 = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    pub id: TeamId,
    /// The part of the address: `/a/{slug}`.
    pub slug: String,
    pub name: String,
}

impl Team {
    /// Returns the path of its page.
    pub fn path(&self) -> String {
        format!("/a/{}", self.slug)
    }
}

/// The role of a user in a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uses the data of the team.
    Member,
    /// Also manages its members and keys.
    Admin,
}

impl Role {
    pub const ALL: [Self; 2] = [Self::Member, Self::Admin];

    /// Returns the name in forms and the database: `admin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// Returns the label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Admin => "Admin",
        }
    }
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(raw: String) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == raw).ok_or_else(|| "Choose a role.".to_owned())
    }
}

/// A team of a user, with the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub team: Team,
    pub role: Role,
}

/// A member of a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub user_id: UserId,
    pub email: String,
    /// The display name. May be empty.
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
}

/// The form "Create team", as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamForm {
    pub name: String,
    pub slug: String,
}

impl TeamForm {
    /// Validates all fields at once. Returns the name and the slug.
    pub fn parse(&self) -> Result<(String, String), FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("name", short_text(&self.name, "Give the team a name."));
        let slug = errors.take("slug", slug(&self.slug));
        name.zip(slug).ok_or(errors)
    }
}

/// Validates a slug: 2 to 40 lowercase letters, digits and hyphens, starting with a letter.
pub fn slug(raw: &str) -> Result<String, String> {
    let slug = raw.trim();
    super::text::check_length(slug, 40)?;
    let fits = (2..=40).contains(&slug.len())
        && slug.starts_with(|c: char| c.is_ascii_lowercase())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        Ok(slug.to_owned())
    } else {
        Err("Use 2 to 40 lowercase letters, digits and hyphens, starting with a letter, for example red-team."
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_short_plain_word() {
        for good in ["hr", "red-team", "team2"] {
            assert_eq!(slug(good).unwrap(), good);
        }
        for bad in ["", "a", "Red", "red team", "2nd", "-a", "über", "a/b", &"a".repeat(41)] {
            assert!(slug(bad).is_err(), "{bad}");
        }
    }
}
