//! API keys: what one may do, whether it is valid, and the form that makes one.

use serde::{Deserialize, Serialize};

use super::fields::{FieldErrors, short_text};
use super::time::{DAY, Timestamp};

super::id! {
    /// Which key. Public, and the same for as long as the key lives.
    KeyId
}
super::id! {
    /// Which showing of the "Create API key" form, so that a form sent twice makes one key.
    FormId
}

/// How long before its expiry a key is said to expire soon.
pub const SOON: i64 = 3 * DAY;

/// The expiries that the form offers, in days.
pub const PRESET_DAYS: [i64; 6] = [7, 30, 60, 90, 180, 365];

/// The expiry that the form starts with, in days.
pub const DEFAULT_DAYS: i64 = 90;

/// All that is public of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct KeyFacts {
    /// Its id.
    pub id: KeyId,
    /// What its owner calls it.
    pub name: KeyName,
    /// The public part that it begins with: `kf_8Qw3ZkPa`.
    pub prefix: String,
    /// What it leaves out of its user's rights.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub access: Access,
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
pub enum Refusal {
    /// It was revoked.
    Revoked,
    /// Its expiry has come.
    Expired,
    /// Its user may not sign in any more.
    AccountDisabled,
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
    pub fn validate(&self, user_active: bool, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            Status::Revoked => Err(Refusal::Revoked),
            Status::Expired => Err(Refusal::Expired),
            Status::Active | Status::ExpiresSoon if !user_active => Err(Refusal::AccountDisabled),
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

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What of its user's rights a key has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// All that its user may do by the API.
    #[default]
    Full,
    /// Only what changes nothing: GET, HEAD and OPTIONS.
    ReadOnly,
}

impl Access {
    /// All of them, in the order of their choice.
    pub const ALL: [Self; 2] = [Self::Full, Self::ReadOnly];

    /// As the database and forms hold it: `read_only`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
        }
    }

    /// The words on the page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "Full access",
            Self::ReadOnly => "Read only",
        }
    }
}

impl TryFrom<String> for Access {
    type Error = String;

    fn try_from(raw: String) -> Result<Self, String> {
        Self::ALL.into_iter().find(|access| access.as_str() == raw).ok_or_else(|| "Choose an access.".to_owned())
    }
}

/// What a new key shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Its name.
    pub name: KeyName,
    /// Its expiry; never if `None`.
    pub expires_at: Option<Timestamp>,
    /// Its access.
    pub access: Access,
}

/// The form "Create API key", as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyForm {
    /// Which showing of the form.
    pub form_id: String,
    /// The name.
    pub name: String,
    /// One of [`PRESET_DAYS`], `date` or `never`.
    pub expires: String,
    /// The last day, as `2027-02-21`, where `expires` is `date`.
    pub date: String,
    /// The access: `full` or `read_only`.
    pub access: String,
}

impl KeyForm {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// What is wrong, field by field.
    pub fn parse(&self, now: Timestamp) -> Result<(FormId, KeySpec), FieldErrors> {
        let mut errors = FieldErrors::default();
        let form = FormId::parse(&self.form_id).ok_or("Reload the page and fill in the form again.");
        let form = errors.take(super::fields::WHOLE_FORM, form);
        let name = errors.take("name", KeyName::parse(&self.name));
        let access = errors.take("access", Access::try_from(self.access.clone()));
        let expires_at = match expiry(&self.expires, &self.date, now) {
            Ok(at) => Some(at),
            Err((field, sentence)) => {
                errors.add(field, sentence);
                None
            }
        };
        match (form, name, access, expires_at) {
            (Some(form), Some(name), Some(access), Some(expires_at)) => {
                Ok((form, KeySpec { name, expires_at, access }))
            }
            _ => Err(errors),
        }
    }
}

/// The instant that a choice of the form comes to; `None` for never.
///
/// # Errors
/// The field that is wrong, and a sentence.
pub fn expiry(choice: &str, date: &str, now: Timestamp) -> Result<Option<Timestamp>, (&'static str, &'static str)> {
    match choice {
        "never" => Ok(None),
        "date" => match Timestamp::end_of_day(date) {
            Some(at) if at > now => Ok(Some(at)),
            Some(_) => Err(("date", "Choose today or a later day.")),
            None => Err(("date", "Give the last day as year-month-day, like 2027-02-21.")),
        },
        _ => match PRESET_DAYS.into_iter().find(|days| days.to_string() == choice) {
            Some(days) => Ok(Some(now.plus(days * DAY))),
            None => Err(("expires", "Choose when the key expires.")),
        },
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

/// A user's keys, as the page shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyFacts>,
    /// Whether there are revoked ones, shown or not.
    pub has_revoked: bool,
    /// When the list was made: what the states are told by, and what new expiries are reckoned from.
    pub now: Timestamp,
    /// The next showing of the form "Create API key": sent twice, it makes one key.
    pub form_id: String,
    /// The address of the server, for the command to try a new key with.
    pub origin: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(expires_at: Option<i64>, revoked: bool) -> KeyFacts {
        KeyFacts {
            id: KeyId::parse("01890000-0000-7000-8000-000000000000").unwrap(),
            name: KeyName::parse("ci").unwrap(),
            prefix: "kf_8Qw3ZkPa".into(),
            access: Access::Full,
            created_at: NOW,
            expires_at: expires_at.map(|millis| NOW.plus(millis)),
            revoked_at: revoked.then_some(NOW),
        }
    }

    #[test]
    fn the_instant_of_expiry_is_expired() {
        assert_eq!(key(Some(-1), false).validate(true, NOW), Err(Refusal::Expired));
        assert_eq!(key(Some(0), false).validate(true, NOW), Err(Refusal::Expired));
        assert_eq!(key(Some(1), false).validate(true, NOW), Ok(()));
        assert_eq!(key(None, false).validate(true, NOW), Ok(()));
    }

    #[test]
    fn a_revoked_key_is_refused_whatever_else_it_is() {
        assert_eq!(key(None, true).validate(true, NOW), Err(Refusal::Revoked));
        assert_eq!(key(Some(-1), true).validate(false, NOW), Err(Refusal::Revoked));
    }

    #[test]
    fn a_key_of_a_disabled_user_is_refused() {
        assert_eq!(key(None, false).validate(false, NOW), Err(Refusal::AccountDisabled));
    }

    #[test]
    fn a_key_expires_soon_in_its_last_three_days() {
        assert_eq!(key(Some(SOON), false).status(NOW), Status::Active);
        assert_eq!(key(Some(SOON - 1), false).status(NOW), Status::ExpiresSoon);
    }

    #[test]
    fn an_expiry_is_a_preset_a_day_that_is_not_over_or_never() {
        assert_eq!(expiry("never", "", NOW), Ok(None));
        assert_eq!(expiry("90", "", NOW), Ok(Some(NOW.plus(90 * DAY))));
        assert_eq!(expiry("date", &NOW.iso_date(), NOW).unwrap().unwrap().iso_date(), NOW.iso_date());
        assert_eq!(expiry("date", &NOW.plus(-DAY).iso_date(), NOW).unwrap_err().0, "date");
        assert_eq!(expiry("date", "soon", NOW).unwrap_err().0, "date");
        for junk in ["", "0", "-7", "8", "9999999999999999999"] {
            assert_eq!(expiry(junk, "", NOW).unwrap_err().0, "expires", "{junk}");
        }
    }

    #[test]
    fn a_new_key_prints_nothing_of_its_secret() {
        let new = NewKey { key: "kf_secret".into(), facts: key(None, false) };
        assert!(!format!("{new:?}").contains("kf_secret"));
    }
}
