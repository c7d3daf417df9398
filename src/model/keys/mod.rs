//! API keys: what is known of one, and whether it is valid.

mod access;
mod forms;
mod lists;

use serde::{Deserialize, Serialize};

pub use self::access::{Access, RequiredScope, Scope, Scopes, scope};
pub use self::forms::{
    DEFAULT_DAYS, EditForm, GRACES, IdempotencyKey, KeyForm, KeySpec, PRESET_DAYS, RotateForm, expiry, grace,
};
pub use self::lists::{DayUsage, KeyEntry, KeyList, KeyPage, KeyQuery, KeySlice, Sort, USAGE_DAYS};
use super::fields::short_text;
use super::teams::TeamId;
use super::text::shown;
use super::time::{DAY, Timestamp};

super::id! {
    /// Which key. Public, and the same for as long as the key lives.
    KeyId
}

/// How long before its expiry a key is said to expire soon.
pub const SOON: i64 = 3 * DAY;

/// All that is public of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct KeyFacts {
    /// Its id.
    pub id: KeyId,
    /// What its owner calls it.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub name: KeyName,
    /// The public part that it begins with: `kf_8Qw3ZkPa`.
    pub prefix: String,
    /// What it leaves out of its user's rights.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub access: Access,
    /// The one team whose data it reaches; all that its user reaches if `None`.
    pub team_id: Option<TeamId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first instant at which it is refused; never if `None`.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// How a key stands, as a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works.
    Active,
    /// It works for less than [`SOON`].
    ExpiresSoon,
    /// Its expiry has come.
    Expired,
    /// It was revoked.
    Revoked,
}

impl Status {
    /// The word on the page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::ExpiresSoon => "Expires soon",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }
}

/// Why a key whose secret matched is refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRejection {
    /// It was revoked.
    Revoked,
    /// Its expiry has come.
    Expired,
    /// Its user may not sign in any more.
    AccountDisabled,
    /// Its user has left its team.
    NotInTeam,
}

/// What a key's validity depends on beside the key itself, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyContext {
    /// Whether its user may sign in.
    pub user_active: bool,
    /// Whether its user is in the key's team; nothing to ask for a key without one.
    pub in_team: bool,
    /// For a request with the secret before the last rotation: until when that works.
    pub old_secret_until: Option<Timestamp>,
}

impl KeyFacts {
    /// How the key stands at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        match self.expires_at {
            _ if self.revoked_at.is_some() => Status::Revoked,
            Some(at) if at <= now => Status::Expired,
            Some(at) if at < now.plus(SOON) => Status::ExpiresSoon,
            _ => Status::Active,
        }
    }

    /// Whether the key is valid at `now`: the one place that decides it, for every path that takes a key.
    ///
    /// # Errors
    /// Why it is not.
    pub fn validate(&self, standing: KeyContext, now: Timestamp) -> Result<(), KeyRejection> {
        match self.status(now) {
            Status::Revoked => Err(KeyRejection::Revoked),
            Status::Expired => Err(KeyRejection::Expired),
            _ if standing.old_secret_until.is_some_and(|until| until <= now) => Err(KeyRejection::Expired),
            _ if !standing.user_active => Err(KeyRejection::AccountDisabled),
            _ if self.team_id.is_some() && !standing.in_team => Err(KeyRejection::NotInTeam),
            Status::Active | Status::ExpiresSoon => Ok(()),
        }
    }
}

/// A key's name: 1 to 100 characters on one line, trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::Type))]
#[cfg_attr(feature = "ssr", sqlx(transparent))]
pub struct KeyName(String);

impl KeyName {
    /// Takes what was typed.
    ///
    /// # Errors
    /// A sentence that says how to mend it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        short_text(raw, "Give the key a name.").map(Self)
    }

    /// Takes what the database has. Older versions took names that are refused today; they are shown without what is hidden in them.
    #[must_use]
    pub fn stored(raw: &str) -> Self {
        Self(shown(raw))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for KeyName {
    /// As [`KeyName::stored`].
    fn from(raw: String) -> Self {
        Self::stored(&raw)
    }
}

/// A key that was just made. The key itself is in no other place, and is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// The key.
    pub key: String,
    /// What stays known of it.
    pub facts: KeyFacts,
}

impl NewKey {
    /// A command that calls the API with the key. `origin` is the server's, as `http://localhost:8000`.
    #[must_use]
    pub fn curl(&self, origin: &str) -> String {
        format!("curl {origin}/pegasus/employees/api/employees/ -H \"Authorization: Api-Key {}\"", self.key)
    }
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("facts", &self.facts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    pub(super) fn key(expires_at: Option<i64>, revoked: bool) -> KeyFacts {
        KeyFacts {
            id: KeyId::parse("01890000-0000-7000-8000-000000000000").unwrap(),
            name: KeyName::parse("ci").unwrap(),
            prefix: "kf_8Qw3ZkPa".into(),
            access: Access::Full,
            team_id: None,
            created_at: NOW,
            expires_at: expires_at.map(|millis| NOW.plus(millis)),
            revoked_at: revoked.then_some(NOW),
        }
    }

    const WELL: KeyContext = KeyContext { user_active: true, in_team: false, old_secret_until: None };

    #[test]
    fn the_instant_of_expiry_is_expired() {
        assert_eq!(key(Some(-1), false).validate(WELL, NOW), Err(KeyRejection::Expired));
        assert_eq!(key(Some(0), false).validate(WELL, NOW), Err(KeyRejection::Expired));
        assert_eq!(key(Some(1), false).validate(WELL, NOW), Ok(()));
        assert_eq!(key(None, false).validate(WELL, NOW), Ok(()));
    }

    #[test]
    fn a_revoked_key_is_refused_whatever_else_it_is() {
        assert_eq!(key(None, true).validate(WELL, NOW), Err(KeyRejection::Revoked));
        assert_eq!(
            key(Some(-1), true).validate(KeyContext { user_active: false, ..WELL }, NOW),
            Err(KeyRejection::Revoked)
        );
    }

    #[test]
    fn a_key_of_a_disabled_user_is_refused() {
        assert_eq!(
            key(None, false).validate(KeyContext { user_active: false, ..WELL }, NOW),
            Err(KeyRejection::AccountDisabled)
        );
    }

    #[test]
    fn a_key_of_a_team_is_refused_once_its_user_left() {
        let key = KeyFacts { team_id: TeamId::parse(key(None, false).id.as_str()), ..key(None, false) };
        assert_eq!(key.validate(WELL, NOW), Err(KeyRejection::NotInTeam));
        assert_eq!(key.validate(KeyContext { in_team: true, ..WELL }, NOW), Ok(()));
    }

    #[test]
    fn an_old_secret_works_until_its_own_end_and_no_longer_than_the_key() {
        let old = |millis| KeyContext { old_secret_until: Some(NOW.plus(millis)), ..WELL };
        assert_eq!(key(None, false).validate(old(1), NOW), Ok(()));
        assert_eq!(key(None, false).validate(old(0), NOW), Err(KeyRejection::Expired));
        assert_eq!(key(Some(0), false).validate(old(1), NOW), Err(KeyRejection::Expired));
        assert_eq!(key(None, true).validate(old(1), NOW), Err(KeyRejection::Revoked));
    }

    #[test]
    fn a_key_expires_soon_in_its_last_three_days() {
        assert_eq!(key(Some(SOON), false).status(NOW), Status::Active);
        assert_eq!(key(Some(SOON - 1), false).status(NOW), Status::ExpiresSoon);
    }

    #[test]
    fn a_new_key_prints_nothing_of_its_secret() {
        let new = NewKey { key: "kf_secret".into(), facts: key(None, false) };
        assert!(!format!("{new:?}").contains("kf_secret"));
    }
}
