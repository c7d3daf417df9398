//! API keys, and the rule that decides whether one is valid.

mod access;
mod forms;
mod lists;
mod registered;

use serde::{Deserialize, Serialize};

pub use self::access::{
    Access, AccessKind, ApiLimit, MAX_REGISTERED, RegisteredScope, RequiredScope, Scope, Scopes, scope,
};
pub use self::forms::{
    DEFAULT_EXPIRY_DAYS, EXPIRY_PRESET_DAYS, EditForm, Grace, IdempotencyKey, KeyEdit, KeyForm, KeySpec, RotateForm,
    expiry,
};
pub use self::lists::{KeyEntry, KeyList, KeyPage, KeyQuery, KeySlice, OwnKeyQuery, Sort, StateFilter};
pub use self::registered::{complete, included};
use super::teams::TeamId;
use super::text::{short_text, shown};
use super::time::{DAY, Timestamp};

super::id! {
    /// The id of a key. Public. A rotation keeps it.
    KeyId
}

/// How long before its expiry a key is shown as "Expires soon".
pub const SOON: i64 = 3 * DAY;

/// The public data of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    pub id: KeyId,
    pub name: KeyName,
    /// The public prefix: `kf_8Qw3ZkPa`.
    pub prefix: String,
    pub access: Access,
    /// The team that the key is limited to.
    pub team_id: Option<TeamId>,
    pub created_at: Timestamp,
    /// The first instant at which the key is rejected. `None` for a key that never expires.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// The status of a key, as pages show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Active,
    /// The key expires in less than [`SOON`].
    ExpiresSoon,
    Expired,
    Revoked,
}

impl Status {
    /// Returns the label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::ExpiresSoon => "Expires soon",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }
}

/// Why a key with a matching secret is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRejection {
    Revoked,
    Expired,
    AccountDisabled,
    NotInTeam,
    /// The API that the key is limited to was removed.
    ApiRemoved,
}

/// The current state of a key's user and team, on which its validity depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyContext {
    pub user_active: bool,
    /// Whether the user is in the team of the key. Irrelevant for a key without one.
    pub in_team: bool,
    /// The expiry of the previous secret, for a request that used it.
    pub old_secret_until: Option<Timestamp>,
}

impl KeyFacts {
    /// Returns the status at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.expires_at {
            _ if self.revoked_at.is_some() => Status::Revoked,
            Some(at) if at <= now => Status::Expired,
            Some(at) if at < now.plus(SOON) => Status::ExpiresSoon,
            _ => Status::Active,
        }
    }

    /// Checks that the key is valid at `now`. Every path that takes a key uses this rule.
    pub fn validate(&self, context: KeyContext, now: Timestamp) -> Result<(), KeyRejection> {
        match self.status(now) {
            Status::Revoked => Err(KeyRejection::Revoked),
            Status::Expired => Err(KeyRejection::Expired),
            _ if context.old_secret_until.is_some_and(|until| until <= now) => Err(KeyRejection::Expired),
            _ if !context.user_active => Err(KeyRejection::AccountDisabled),
            _ if self.team_id.is_some() && !context.in_team => Err(KeyRejection::NotInTeam),
            _ if self.access == Access::Api(None) => Err(KeyRejection::ApiRemoved),
            Status::Active | Status::ExpiresSoon => Ok(()),
        }
    }
}

/// The name of a key: one line of 1 to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyName(String);

impl KeyName {
    /// Validates the typed text.
    pub fn parse(raw: &str) -> Result<Self, String> {
        short_text(raw, "Give the key a name.").map(Self)
    }

    /// Accepts a stored name. Earlier versions stored names that are rejected today. Their invisible characters are made visible.
    pub fn stored(raw: &str) -> Self {
        Self(shown(raw))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for KeyName {
    fn from(raw: String) -> Self {
        Self::stored(&raw)
    }
}

/// A new key. Nothing else holds the secret, and it is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    pub key: String,
    pub facts: KeyFacts,
}

impl NewKey {
    /// Returns a command that calls the API with the key. `origin` is the server's: `http://localhost:8000`.
    pub fn curl(&self, origin: &str) -> String {
        let path = match &self.facts.access {
            Access::Api(Some(limit)) => format!("/api/v1/verify?api={}", limit.slug),
            _ => "/pegasus/employees/api/employees/".to_owned(),
        };
        format!("curl {origin}{path} -H \"Authorization: Api-Key {}\"", self.key)
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
    fn a_key_of_a_removed_api_is_refused() {
        let limited = |api| KeyFacts { access: Access::Api(api), ..key(None, false) };
        assert_eq!(limited(None).validate(WELL, NOW), Err(KeyRejection::ApiRemoved));
        let billing = ApiLimit { slug: "billing".into(), name: "Billing".into() };
        assert_eq!(limited(Some(billing)).validate(WELL, NOW), Ok(()));
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
        let three_days = 3 * 24 * 60 * 60 * 1000;
        assert_eq!(key(Some(three_days), false).status(NOW), Status::Active);
        assert_eq!(key(Some(three_days - 1), false).status(NOW), Status::ExpiresSoon);
    }

    #[test]
    fn a_new_key_prints_nothing_of_its_secret() {
        let new = NewKey { key: "kf_secret".into(), facts: key(None, false) };
        let printed = format!("{new:?}");
        assert!(!printed.contains("kf_secret") && printed.contains("kf_8Qw3ZkPa"), "{printed}");
    }

    #[test]
    fn command_calls_an_api_that_the_key_works_for() {
        let curl = |access| {
            let facts = KeyFacts { access, ..key(None, false) };
            NewKey { key: "kf_secret".into(), facts }.curl("https://keys.example.com")
        };
        let header = "-H \"Authorization: Api-Key kf_secret\"";
        let employees = format!("curl https://keys.example.com/pegasus/employees/api/employees/ {header}");
        assert_eq!((curl(Access::Full), curl(Access::Api(None))), (employees.clone(), employees));
        let billing = ApiLimit { slug: "billing".into(), name: "Billing".into() };
        let verify = format!("curl https://keys.example.com/api/v1/verify?api=billing {header}");
        assert_eq!(curl(Access::Api(Some(billing))), verify);
    }
}
