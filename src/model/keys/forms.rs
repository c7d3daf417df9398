//! The forms that create, rotate and edit a key.

use serde::{Deserialize, Serialize};

use super::KeyName;
use super::access::Access;
use crate::model::fields::{FieldError, FieldErrors, WHOLE_FORM};
use crate::model::teams::TeamId;
use crate::model::time::{DAY, Timestamp};

crate::model::id! {
    /// The id of one rendering of the form "Create API key", so that a form sent twice creates one key.
    IdempotencyKey
}

/// The expiry presets of the form, in days.
pub const EXPIRY_PRESET_DAYS: [i64; 6] = [7, 30, 60, 90, 180, 365];

/// The preset that the form starts with.
pub const DEFAULT_EXPIRY_DAYS: i64 = 90;

/// A validated request for a new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    pub name: KeyName,
    /// `None` for a key that never expires.
    pub expires_at: Option<Timestamp>,
    pub access: Access,
    /// The team that the key is limited to.
    pub team: Option<TeamId>,
}

/// The form "Create API key", as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyForm {
    /// The [`IdempotencyKey`].
    pub form_id: String,
    pub name: String,
    /// One of [`EXPIRY_PRESET_DAYS`], `date` or `never`.
    pub expires: String,
    /// The last day, `2027-02-21`, if `expires` is `date`.
    pub date: String,
    /// The name of an [`AccessKind`](super::AccessKind).
    pub access: String,
    /// The names of the scopes, if `access` is `only`.
    #[serde(alias = "scopes[]")]
    pub scopes: Vec<String>,
    /// The slug of the registered API, if `access` is `api`.
    pub api: String,
    /// The id of the team. Empty for none.
    pub team: String,
    /// The email address of the user that an administrator creates the key for. Empty for the own key.
    pub owner: String,
}

impl KeyForm {
    /// Validates all fields at once.
    pub fn parse(&self, now: Timestamp) -> Result<(IdempotencyKey, KeySpec), FieldErrors> {
        let mut errors = FieldErrors::default();
        let form = IdempotencyKey::parse(&self.form_id).ok_or("Reload the page and fill in the form again.");
        let form = errors.take(WHOLE_FORM, form);
        let name = errors.take("name", KeyName::parse(&self.name));
        let access = errors.take_at(Access::from_form(&self.access, &self.scopes, &self.api));
        let team = (!self.team.is_empty()).then(|| TeamId::parse(&self.team).ok_or("Choose one of your teams."));
        let team = errors.take("team", team.transpose());
        let expires_at = errors.take_at(expiry(&self.expires, &self.date, now));
        match (form, name, access, team, expires_at) {
            (Some(form), Some(name), Some(access), Some(team), Some(expires_at)) => {
                Ok((form, KeySpec { name, expires_at, access, team }))
            }
            _ => Err(errors),
        }
    }
}

/// How long the previous secret of a rotated key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The name in forms and bodies: `15m`.
    pub name: &'static str,
    pub millis: i64,
    /// The label on the page.
    pub label: &'static str,
}

impl Grace {
    pub const ALL: [Self; 5] = [
        Self { name: "0", millis: 0, label: "Not at all" },
        Self { name: "15m", millis: 15 * 60 * 1000, label: "15 minutes" },
        Self { name: "1h", millis: 60 * 60 * 1000, label: "1 hour" },
        Self { name: "24h", millis: DAY, label: "24 hours" },
        Self { name: "7d", millis: 7 * DAY, label: "7 days" },
    ];

    /// Returns the grace with this name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|grace| grace.name == name);
        known.ok_or_else(|| format!("Choose one of {}.", Self::ALL.map(|grace| grace.name).join(", ")))
    }
}

/// The form "Rotate", as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RotateForm {
    /// The id of the key.
    pub id: String,
    /// The name of a [`Grace`].
    pub grace: String,
    /// The time of the last rotation that the page knows, in Unix milliseconds. Empty without one. A form sent twice rotates
    /// once.
    pub seen: String,
}

/// Returns the expiry that the form selects. `None` means never.
pub fn expiry(choice: &str, date: &str, now: Timestamp) -> Result<Option<Timestamp>, FieldError> {
    match choice {
        "never" => Ok(None),
        "date" => match Timestamp::end_of_day(date) {
            Some(at) if at > now => Ok(Some(at)),
            Some(_) => Err(FieldError::new("date", "Choose today or a later day.")),
            None => Err(FieldError::new("date", "Enter the last day as YYYY-MM-DD, for example 2027-02-21.")),
        },
        _ => match EXPIRY_PRESET_DAYS.into_iter().find(|days| days.to_string() == choice) {
            Some(days) => Ok(Some(now.plus(days * DAY))),
            None => Err(FieldError::new("expires", "Choose when the key expires.")),
        },
    }
}

/// The form "Edit API key" of administrators, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EditForm {
    /// The id of the key.
    pub id: String,
    pub name: String,
    /// `keep`, or a value of [`KeyForm::expires`].
    pub expires: String,
    pub date: String,
    /// Requests per minute. Empty for the server's default.
    pub rate: String,
}

/// A validated change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEdit {
    pub name: KeyName,
    /// The new expiry, `None` to keep the current one.
    pub expires_at: Option<Option<Timestamp>>,
    /// Requests per minute, `None` for the server's default.
    pub rate: Option<i64>,
}

impl EditForm {
    /// Validates all fields at once.
    pub fn parse(&self, now: Timestamp) -> Result<KeyEdit, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("name", KeyName::parse(&self.name));
        let expires_at = match self.expires.as_str() {
            "keep" => Some(None),
            choice => errors.take_at(expiry(choice, &self.date, now)).map(Some),
        };
        let rate = match self.rate.trim() {
            "" => Ok(None),
            text => text
                .parse::<u32>()
                .map(|rate| Some(i64::from(rate)))
                .map_err(|_| "Enter a whole number, or leave this empty."),
        };
        match (name, expires_at, errors.take("rate", rate)) {
            (Some(name), Some(expires_at), Some(rate)) => Ok(KeyEdit { name, expires_at, rate }),
            _ => Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::tests::NOW;

    #[test]
    fn an_expiry_is_a_preset_a_day_that_is_not_over_or_never() {
        assert_eq!(expiry("never", "", NOW), Ok(None));
        assert_eq!(expiry("90", "", NOW), Ok(Some(NOW.plus(90 * DAY))));
        assert_eq!(expiry("date", &NOW.iso_date(), NOW).unwrap().unwrap().iso_date(), NOW.iso_date());
        assert_eq!(expiry("date", &NOW.plus(-DAY).iso_date(), NOW).unwrap_err().field, "date");
        assert_eq!(expiry("date", "soon", NOW).unwrap_err().field, "date");
        for junk in ["", "0", "-7", "8", "9999999999999999999"] {
            assert_eq!(expiry(junk, "", NOW).unwrap_err().field, "expires", "{junk}");
        }
        let end = Timestamp::end_of_day("2027-02-21").unwrap();
        assert_eq!(expiry("date", "2027-02-21", end.plus(-1)), Ok(Some(end)));
        assert_eq!(expiry("date", "2027-02-21", end).unwrap_err().field, "date");
    }

    #[test]
    fn grace_is_as_long_as_its_name_says() {
        let millis = Grace::ALL.map(|grace| grace.millis);
        assert_eq!(millis, [0, 900_000, 3_600_000, 86_400_000, 604_800_000]);
    }
}
