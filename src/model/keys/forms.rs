//! The forms that make, rotate and change a key.

use serde::{Deserialize, Serialize};

use super::KeyName;
use super::access::Access;
use crate::model::fields::{FieldErrors, WHOLE_FORM};
use crate::model::teams::TeamId;
use crate::model::time::{DAY, Timestamp};

crate::model::id! {
    /// Which showing of the "Create API key" form, so that a form sent twice makes one key.
    IdempotencyKey
}

/// The expiries that the form offers, in days.
pub const PRESET_DAYS: [i64; 6] = [7, 30, 60, 90, 180, 365];

/// The expiry that the form starts with, in days.
pub const DEFAULT_DAYS: i64 = 90;

/// What a new key shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Its name.
    pub name: KeyName,
    /// Its expiry; never if `None`.
    pub expires_at: Option<Timestamp>,
    /// Its access.
    pub access: Access,
    /// The one team whose data it shall reach.
    pub team: Option<TeamId>,
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
    /// The access: one of [`Access::KINDS`].
    pub access: String,
    /// The names of the scopes, where `access` is `only`.
    #[serde(alias = "scopes[]")]
    pub scopes: Vec<String>,
    /// The id of the team; empty for none.
    pub team: String,
    /// The email address of its user, where an administrator makes it; empty for a key of one's own.
    pub owner: String,
}

impl KeyForm {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// What is wrong, field by field.
    pub fn parse(&self, now: Timestamp) -> Result<(IdempotencyKey, KeySpec), FieldErrors> {
        let mut errors = FieldErrors::default();
        let form = IdempotencyKey::parse(&self.form_id).ok_or("Reload the page and fill in the form again.");
        let form = errors.take(WHOLE_FORM, form);
        let name = errors.take("name", KeyName::parse(&self.name));
        let access = at_field(&mut errors, Access::choose(&self.access, &self.scopes));
        let team = (!self.team.is_empty()).then(|| TeamId::parse(&self.team).ok_or("Choose one of your teams."));
        let team = errors.take("team", team.transpose());
        let expires_at = at_field(&mut errors, expiry(&self.expires, &self.date, now));
        match (form, name, access, team, expires_at) {
            (Some(form), Some(name), Some(access), Some(team), Some(expires_at)) => {
                Ok((form, KeySpec { name, expires_at, access, team }))
            }
            _ => Err(errors),
        }
    }
}

/// Takes a parsed value, or notes its error at the field that it names.
fn at_field<T>(errors: &mut FieldErrors, parsed: Result<T, (&'static str, impl Into<String>)>) -> Option<T> {
    parsed.map_err(|(field, sentence)| errors.add(field, sentence)).ok()
}

/// For how long the old secret of a rotated key works on: what forms and bodies call it, milliseconds, and the words on the
/// page.
pub const GRACES: [(&str, i64, &str); 5] = [
    ("0", 0, "Not at all"),
    ("15m", 15 * 60 * 1000, "15 minutes"),
    ("1h", 60 * 60 * 1000, "1 hour"),
    ("24h", DAY, "24 hours"),
    ("7d", 7 * DAY, "7 days"),
];

/// The form "Rotate", as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RotateForm {
    /// The key.
    pub id: String,
    /// The name of one of [`GRACES`].
    pub grace: String,
    /// When the key was last rotated, as the page said, in Unix milliseconds; empty for never. So a form that is sent twice
    /// rotates once.
    pub seen: String,
}

/// Takes a grace by its name; gives milliseconds.
///
/// # Errors
/// A sentence that lists those there are.
pub fn grace(raw: &str) -> Result<i64, String> {
    let known = GRACES.iter().find(|(name, ..)| *name == raw);
    known
        .map(|(_, millis, _)| *millis)
        .ok_or_else(|| format!("Choose one of {}.", GRACES.map(|(name, ..)| name).join(", ")))
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

/// The form that changes a key, as an administrator typed it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EditForm {
    /// The key.
    pub id: String,
    /// The name.
    pub name: String,
    /// `keep`, or as in [`KeyForm`].
    pub expires: String,
    /// As in [`KeyForm`].
    pub date: String,
    /// Requests a minute; empty for what the server allows all keys.
    pub rate: String,
}

/// The name, the new expiry where it changes, and the requests a minute.
type Edit = (KeyName, Option<Option<Timestamp>>, Option<i64>);

impl EditForm {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// What is wrong, field by field.
    pub fn parse(&self, now: Timestamp) -> Result<Edit, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("name", KeyName::parse(&self.name));
        let expires_at = match self.expires.as_str() {
            "keep" => Some(None),
            choice => at_field(&mut errors, expiry(choice, &self.date, now)).map(Some),
        };
        let rate = match self.rate.trim() {
            "" => Ok(None),
            text => {
                text.parse::<u32>().map(|rate| Some(i64::from(rate))).map_err(|_| "Give a whole number, or nothing.")
            }
        };
        match (name, expires_at, errors.take("rate", rate)) {
            (Some(name), Some(expires_at), Some(rate)) => Ok((name, expires_at, rate)),
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
        assert_eq!(expiry("date", &NOW.plus(-DAY).iso_date(), NOW).unwrap_err().0, "date");
        assert_eq!(expiry("date", "soon", NOW).unwrap_err().0, "date");
        for junk in ["", "0", "-7", "8", "9999999999999999999"] {
            assert_eq!(expiry(junk, "", NOW).unwrap_err().0, "expires", "{junk}");
        }
    }
}
