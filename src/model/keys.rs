//! API keys: what one may do, whether it is valid, and the form that makes one.

use serde::{Deserialize, Serialize};

use super::fields::{FieldErrors, short_text};
use super::teams::{Membership, TeamId};
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
    /// The one team whose data it reaches; all that its user reaches if `None`.
    pub team_id: Option<TeamId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first instant at which it is refused; never if `None`.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A key as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct KeyEntry {
    /// The key.
    #[cfg_attr(feature = "ssr", sqlx(flatten))]
    pub key: KeyFacts,
    /// The email address of its user.
    pub owner: String,
    /// The name of its team.
    pub team: Option<String>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// The address that it was last used from.
    pub used_ip: Option<String>,
    /// The program that it was last used by, as it called itself.
    pub used_agent: Option<String>,
    /// When it was last given a new secret.
    pub rotated_at: Option<Timestamp>,
    /// Until when the secret before that works.
    pub old_expires_at: Option<Timestamp>,
    /// When the secret before that was last used.
    pub old_used_at: Option<Timestamp>,
    /// When somebody reported that they hold it.
    pub leaked_at: Option<Timestamp>,
    /// Requests a minute that an administrator allows it; what the server allows all keys if `None`.
    pub rate: Option<i64>,
    /// Its requests of the last [`USAGE_DAYS`] days, as the database has them; see [`KeyEntry::usage`].
    pub days: Option<String>,
}

/// How many days of requests the page shows.
pub const USAGE_DAYS: i64 = 30;

/// The requests of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayUsage {
    /// The day, as the number of days since 1970-01-01 in UTC.
    pub day: i64,
    /// Requests that were let through.
    pub allowed: i64,
    /// Requests that were refused.
    pub refused: i64,
}

impl KeyEntry {
    /// The requests of the last [`USAGE_DAYS`] days until `now`, one entry a day, the oldest first.
    #[must_use]
    pub fn usage(&self, now: Timestamp) -> Vec<DayUsage> {
        let days = self.days.as_deref().unwrap_or_default().split_ascii_whitespace().filter_map(|text| {
            let mut numbers = text.split(':').map(str::parse::<i64>);
            let mut next = || numbers.next()?.ok();
            Some(DayUsage { day: next()?, allowed: next()?, refused: next()? })
        });
        let known: Vec<_> = days.collect();
        let last = now.as_millis() / DAY;
        (last - USAGE_DAYS + 1..=last)
            .map(|day| {
                let found = known.iter().find(|known| known.day == day).copied();
                found.unwrap_or(DayUsage { day, allowed: 0, refused: 0 })
            })
            .collect()
    }

    /// Until when the secret before the last rotation works, if it still does at `now`.
    #[must_use]
    pub fn old_works_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.old_expires_at.filter(|at| *at > now && self.key.revoked_at.is_none())
    }
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
    /// Its user has left its team.
    NotInTeam,
}

/// What a key's validity depends on beside the key itself, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
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
    pub fn validate(&self, standing: Standing, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            Status::Revoked => Err(Refusal::Revoked),
            Status::Expired => Err(Refusal::Expired),
            _ if standing.old_secret_until.is_some_and(|until| until <= now) => Err(Refusal::Expired),
            _ if !standing.user_active => Err(Refusal::AccountDisabled),
            _ if self.team_id.is_some() && !standing.in_team => Err(Refusal::NotInTeam),
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

    /// The name as it is searched and sorted by: without case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// What an endpoint asks of a key in its signature; see [`scope`].
pub trait Needs: Send + Sync + 'static {
    /// The scope that a key must have.
    const SCOPE: Scope;
}

macro_rules! scopes {
    ($($name:ident $text:literal $label:literal)*) => {
        /// A part of the API that a key may be limited to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scope { $(#[doc = concat!("`", $text, "`")] $name),* }

        impl Scope {
            /// All of them, in the order of their choice.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As the database, forms and refusals have it: `employees:read`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The words on the page.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }

        /// Each scope as a type, for an endpoint to name in its signature.
        pub mod scope {
            $(#[doc = concat!("`", $text, "`")] #[derive(Clone, Copy, Debug)] pub struct $name;
            impl super::Needs for $name { const SCOPE: super::Scope = super::Scope::$name; })*
        }
    };
}

// To add a scope, add a line.
scopes! {
    EmployeesRead "employees:read" "See employees and their figures"
    EmployeesWrite "employees:write" "Add, change and delete employees"
    ProfileRead "profile:read" "See whose key it is"
    KeyRotate "key:rotate" "Give itself a new secret"
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// The same set with one more.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u32)
    }

    /// Whether a scope is in it.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u32 != 0
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        Scope::ALL.iter().filter(move |scope| self.has(**scope)).map(|scope| scope.as_str())
    }

    /// The names of all scopes there are, for people.
    #[must_use]
    pub fn list() -> String {
        Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Takes the names of scopes.
    ///
    /// # Errors
    /// A sentence, if there is none or one of them is no scope.
    pub fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut scopes = Self::default();
        for name in names {
            let known = Scope::ALL.iter().find(|scope| scope.as_str() == name);
            scopes = scopes.with(*known.ok_or("Choose from the list.")?);
        }
        if scopes == Self::default() { Err("Choose at least one.".to_owned()) } else { Ok(scopes) }
    }
}

/// What of its user's rights a key has. In the database and on the wire `full`, `read_only`, or the names of scopes with
/// a space between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Access {
    /// All that its user may do by the API.
    #[default]
    Full,
    /// Only what changes nothing: GET, HEAD and OPTIONS.
    ReadOnly,
    /// Only what needs no more than these scopes.
    Only(Scopes),
}

impl Access {
    /// What forms call the three kinds, and the words on the page.
    pub const KINDS: [(&'static str, &'static str); 3] =
        [("full", "Full access"), ("read_only", "Read only"), ("only", "Only these")];

    /// Whether a key of this access may call what needs a scope; `safe` is a method that changes nothing (RFC 9110, 9.2.1).
    #[must_use]
    pub const fn allows(self, needed: Scope, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            Self::Only(scopes) => scopes.has(needed),
        }
    }

    /// Whether a key of this access may call what states no scope.
    #[must_use]
    pub const fn allows_unstated(self, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            Self::Only(_) => false,
        }
    }

    /// The scopes that a key of this access has.
    pub fn scopes(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.allows(*scope, scope.as_str().ends_with(":read")))
    }

    /// The words on the page.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Full => Self::KINDS[0].1.to_owned(),
            Self::ReadOnly => Self::KINDS[1].1.to_owned(),
            Self::Only(scopes) => scopes.names().collect::<Vec<_>>().join(", "),
        }
    }

    /// Takes what a form says: one of [`Access::KINDS`], and scopes for `only`.
    ///
    /// # Errors
    /// The field that is wrong, and a sentence.
    pub fn choose(kind: &str, scopes: &[String]) -> Result<Self, (&'static str, String)> {
        match kind {
            "only" => Scopes::parse(scopes.iter().map(String::as_str)).map(Self::Only).map_err(|why| ("scopes", why)),
            "full" => Ok(Self::Full),
            "read_only" => Ok(Self::ReadOnly),
            _ => Err(("access", "Choose an access.".to_owned())),
        }
    }
}

impl From<Access> for String {
    fn from(access: Access) -> Self {
        match access {
            Access::Full => "full".to_owned(),
            Access::ReadOnly => "read_only".to_owned(),
            Access::Only(scopes) => scopes.names().collect::<Vec<_>>().join(" "),
        }
    }
}

impl TryFrom<String> for Access {
    type Error = String;

    fn try_from(raw: String) -> Result<Self, String> {
        match raw.as_str() {
            "full" => Ok(Self::Full),
            "read_only" => Ok(Self::ReadOnly),
            names => Scopes::parse(names.split(' ')).map(Self::Only),
        }
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
    pub fn parse(&self, now: Timestamp) -> Result<(FormId, KeySpec), FieldErrors> {
        let mut errors = FieldErrors::default();
        let form = FormId::parse(&self.form_id).ok_or("Reload the page and fill in the form again.");
        let form = errors.take(super::fields::WHOLE_FORM, form);
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

/// In which order administrators see keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Those made last first.
    #[default]
    Newest,
    /// Those made first first.
    Oldest,
    /// By name.
    Name,
    /// Those that expire first first; those that never do are left out.
    Expiry,
}

impl Sort {
    /// All of them, what an address calls them, and the words on the page.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Newest, "newest", "Newest first"),
        (Self::Oldest, "oldest", "Oldest first"),
        (Self::Name, "name", "By name"),
        (Self::Expiry, "expiry", "By expiry"),
    ];
}

/// Which keys an administrator looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyQuery {
    /// A part of the name or of the owner's email address, a prefix, or a whole key; all if empty.
    pub search: String,
    /// `active`, `expired` or `revoked`; all if empty.
    pub state: String,
    /// In which order.
    pub sort: Sort,
    /// Where the page before ended; the first page if empty.
    pub after: String,
}

/// Keys, as administrators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<KeyEntry>,
    /// What to ask for as `after` to see those that follow; `None` if there are none.
    pub next: Option<String>,
    /// What was asked for, but for a pasted key.
    pub query: KeyQuery,
    /// Whether a key was pasted to look for.
    pub pasted: bool,
    /// When the list was made.
    pub now: Timestamp,
    /// The next showing of the form "Create API key".
    pub form_id: String,
    /// The address of the server.
    pub origin: String,
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
    pub keys: Vec<KeyEntry>,
    /// The teams that a new key can be limited to.
    pub teams: Vec<Membership>,
    /// Whether there are revoked ones, shown or not.
    pub has_revoked: bool,
    /// Those that were reported as leaked lately, and so were revoked.
    pub leaked: Vec<KeyFacts>,
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
            team_id: None,
            created_at: NOW,
            expires_at: expires_at.map(|millis| NOW.plus(millis)),
            revoked_at: revoked.then_some(NOW),
        }
    }

    const WELL: Standing = Standing { user_active: true, in_team: false, old_secret_until: None };

    #[test]
    fn the_instant_of_expiry_is_expired() {
        assert_eq!(key(Some(-1), false).validate(WELL, NOW), Err(Refusal::Expired));
        assert_eq!(key(Some(0), false).validate(WELL, NOW), Err(Refusal::Expired));
        assert_eq!(key(Some(1), false).validate(WELL, NOW), Ok(()));
        assert_eq!(key(None, false).validate(WELL, NOW), Ok(()));
    }

    #[test]
    fn a_revoked_key_is_refused_whatever_else_it_is() {
        assert_eq!(key(None, true).validate(WELL, NOW), Err(Refusal::Revoked));
        assert_eq!(key(Some(-1), true).validate(Standing { user_active: false, ..WELL }, NOW), Err(Refusal::Revoked));
    }

    #[test]
    fn a_key_of_a_disabled_user_is_refused() {
        assert_eq!(
            key(None, false).validate(Standing { user_active: false, ..WELL }, NOW),
            Err(Refusal::AccountDisabled)
        );
    }

    #[test]
    fn a_key_of_a_team_is_refused_once_its_user_left() {
        let key = KeyFacts { team_id: TeamId::parse(key(None, false).id.as_str()), ..key(None, false) };
        assert_eq!(key.validate(WELL, NOW), Err(Refusal::NotInTeam));
        assert_eq!(key.validate(Standing { in_team: true, ..WELL }, NOW), Ok(()));
    }

    #[test]
    fn an_old_secret_works_until_its_own_end_and_no_longer_than_the_key() {
        let old = |millis| Standing { old_secret_until: Some(NOW.plus(millis)), ..WELL };
        assert_eq!(key(None, false).validate(old(1), NOW), Ok(()));
        assert_eq!(key(None, false).validate(old(0), NOW), Err(Refusal::Expired));
        assert_eq!(key(Some(0), false).validate(old(1), NOW), Err(Refusal::Expired));
        assert_eq!(key(None, true).validate(old(1), NOW), Err(Refusal::Revoked));
    }

    #[test]
    fn an_access_allows_what_it_names_and_reading_only_what_is_safe() {
        let only = Access::choose("only", &["employees:read".into()]).unwrap();
        assert!(only.allows(Scope::EmployeesRead, true) && !only.allows(Scope::EmployeesWrite, true));
        assert!(
            Access::ReadOnly.allows(Scope::EmployeesWrite, true)
                && !Access::ReadOnly.allows(Scope::EmployeesWrite, false)
        );
        assert!(Access::Full.allows(Scope::KeyRotate, false));
    }

    #[test]
    fn an_access_is_read_as_it_is_written() {
        let all = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>();
        for access in [Access::Full, Access::ReadOnly, Access::choose("only", &all).unwrap()] {
            assert_eq!(Access::try_from(String::from(access)), Ok(access));
        }
        for junk in ["", "all", "employees:read  profile:read", "Full", "employees:read,profile:read"] {
            assert!(Access::try_from(junk.to_owned()).is_err(), "{junk}");
        }
        assert_eq!(Access::choose("only", &[]).unwrap_err().0, "scopes");
        assert_eq!(Access::choose("only", &["admin".into()]).unwrap_err().0, "scopes");
        assert_eq!(Access::choose("", &[]).unwrap_err().0, "access");
    }

    #[test]
    fn usage_has_an_entry_for_each_of_the_last_30_days() {
        let today = NOW.as_millis() / DAY;
        let entry = KeyEntry {
            key: key(None, false),
            owner: String::new(),
            team: None,
            used_at: None,
            used_ip: None,
            used_agent: None,
            rotated_at: None,
            old_expires_at: None,
            old_used_at: None,
            leaked_at: None,
            rate: None,
            days: Some(format!("{}:1:2 {today}:30:4 junk", today - USAGE_DAYS)),
        };
        let usage = entry.usage(NOW);
        assert_eq!(usage.len(), 30);
        assert_eq!(usage[29], DayUsage { day: today, allowed: 30, refused: 4 });
        assert!(usage[..29].iter().all(|day| day.allowed + day.refused == 0));
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
