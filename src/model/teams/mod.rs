//! Teams: their names, and who may do what in one.

mod invitations;

use serde::{Deserialize, Serialize};

pub use self::invitations::{INVITATION_TTL, Invitation, InvitationForm, NewInvitation, SentInvitation};
use super::fields::{FieldErrors, short_text};
use super::keys::KeySlice;
use super::time::Timestamp;
use super::users::UserId;

super::id! {
    /// Which team.
    TeamId
}

/// How many teams an account can be in.
pub const MAX_TEAMS: i64 = 50;
/// How many members a team can have.
pub const MAX_MEMBERS: i64 = 500;

/// A team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its part of an address: `/a/{slug}`.
    pub slug: String,
    /// What people call it.
    pub name: String,
}

impl Team {
    /// The address of its page.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/a/{}", self.slug)
    }
}

/// What a user may do in a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uses what is the team's.
    Member,
    /// Sees to members and keys, too.
    Admin,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Member, Self::Admin];

    /// As the database and forms hold it: `admin`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// The word on the page.
    #[must_use]
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

/// A team that a user is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct Membership {
    /// The team.
    #[cfg_attr(feature = "ssr", sqlx(flatten))]
    pub team: Team,
    /// What the user may do there.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub role: Role,
}

/// Somebody in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// The email address.
    pub email: String,
    /// The display name; may be empty.
    pub name: String,
    /// What they may do.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub role: Role,
    /// Since when they are in the team.
    pub created_at: Timestamp,
}

/// A team as its page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamPage {
    /// The team.
    pub team: Team,
    /// What whoever looks may do in it.
    pub role: Role,
    /// Whoever looks.
    pub me: UserId,
    /// All members, by email address.
    pub members: Vec<Member>,
    /// The open invitations, the newest first; for its admins only.
    pub invitations: Vec<SentInvitation>,
    /// A page of the keys that are limited to the team; for its admins only.
    pub keys: KeySlice,
    /// When the page was made: what the states of keys are told by.
    pub now: Timestamp,
}

/// The form "Create team", as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamForm {
    /// The name.
    pub name: String,
    /// The part of the address.
    pub slug: String,
}

impl TeamForm {
    /// Checks all fields at once: the name, and the slug.
    ///
    /// # Errors
    /// What is wrong, field by field.
    pub fn parse(&self) -> Result<(String, String), FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("name", short_text(&self.name, "Give the team a name."));
        let slug = errors.take("slug", slug(&self.slug));
        name.zip(slug).ok_or(errors)
    }
}

/// A team's part of an address: 2 to 40 lower-case letters, digits and hyphens, beginning with a letter.
///
/// # Errors
/// A sentence that says how to mend it.
pub fn slug(raw: &str) -> Result<String, String> {
    let slug = raw.trim();
    super::fields::within(slug, 40)?;
    let fits = (2..=40).contains(&slug.len())
        && slug.starts_with(|c: char| c.is_ascii_lowercase())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        Ok(slug.to_owned())
    } else {
        Err("Use 2 to 40 lower-case letters, digits and hyphens, and begin with a letter, such as: red-team."
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
