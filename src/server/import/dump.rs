//! The JSON of Django's `dumpdata`. Models are known by their fields, because projects name them as they like.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};

use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::model::time::Timestamp;

/// Largest dump in bytes.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The rows of a dump that can be imported.
#[derive(Default)]
pub struct Dump {
    pub(super) users: Vec<DjangoUser>,
    pub(super) keys: Vec<DjangoKey>,
    pub(super) teams: Vec<DjangoTeam>,
    pub(super) memberships: Vec<DjangoMembership>,
    pub(super) ignored: BTreeMap<String, u64>,
    user_models: BTreeMap<String, u64>,
}

pub(super) struct DjangoUser {
    /// Model and primary key, for the report.
    pub place: String,
    /// What other rows call it: its primary key, or a natural key.
    pub references: Vec<String>,
    pub email: String,
    pub username: String,
    pub password: String,
    pub name: String,
    pub active: bool,
    pub superuser: bool,
    pub joined_at: Option<Timestamp>,
}

pub(super) struct DjangoKey {
    pub place: String,
    /// `None` for a model without a user.
    pub user: Option<String>,
    pub prefix: String,
    pub hash: String,
    pub name: String,
    pub created_at: Option<Timestamp>,
    pub expires_at: Result<Option<Timestamp>, ()>,
    pub revoked: bool,
}

pub(super) struct DjangoTeam {
    pub place: String,
    pub reference: String,
    pub slug: String,
    pub name: String,
    pub created_at: Option<Timestamp>,
}

pub(super) struct DjangoMembership {
    pub place: String,
    pub team: String,
    pub user: String,
    pub role: String,
    pub created_at: Option<Timestamp>,
}

/// Why a file is no dump that can be imported.
#[derive(Debug, PartialEq, Eq)]
pub enum DumpError {
    TooLarge,
    /// The line where it stops being one.
    NotADump(usize),
    Io(String),
    /// It has no users and no keys.
    Empty,
    TwoUserModels(String, String),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(
                f,
                "the file has more than {} MB. Dump only the apps of users, API keys and teams.",
                MAX_BYTES / 1_000_000
            ),
            // The parser's own words could repeat a hash.
            Self::NotADump(line) => write!(
                f,
                "line {line} is not as in a JSON file of dumpdata. Make the file with python manage.py dumpdata --output."
            ),
            Self::Io(error) => write!(f, "cannot read the file: {error}."),
            Self::Empty => write!(
                f,
                "the file has no users and no API keys of Django. Name their apps: python manage.py dumpdata users api."
            ),
            Self::TwoUserModels(one, other) => {
                write!(
                    f,
                    "the file has users of two models. Choose one with --user-model {one} or --user-model {other}."
                )
            }
        }
    }
}

impl std::error::Error for DumpError {}

impl Dump {
    /// Reads a dump. With `user_model`, such as `users.customuser`, other models are no users.
    ///
    /// # Errors
    /// If the file is too large, no dump, or does not say which model is that of the users.
    pub fn read(source: impl Read, user_model: Option<&str>) -> Result<Self, DumpError> {
        Self::read_up_to(MAX_BYTES, source, user_model)
    }

    fn read_up_to(max_bytes: u64, source: impl Read, user_model: Option<&str>) -> Result<Self, DumpError> {
        let mut reader = BufReader::new(source.take(max_bytes));
        let mut rows = Rows { dump: Self::default(), user_model: user_model.map(str::to_lowercase) };
        let read = {
            let mut deserializer = serde_json::Deserializer::from_reader(&mut reader);
            deserializer.deserialize_seq(&mut rows).and_then(|()| deserializer.end())
        };
        if let Err(error) = read {
            return Err(match reader.get_ref().limit() {
                0 => DumpError::TooLarge,
                _ if error.is_io() => DumpError::Io(error.to_string()),
                _ => DumpError::NotADump(error.line()),
            });
        }
        let dump = rows.dump;
        let mut models = dump.user_models.keys();
        if let (Some(one), Some(other)) = (models.next(), models.next()) {
            return Err(DumpError::TwoUserModels(one.clone(), other.clone()));
        }
        if dump.users.is_empty() && dump.keys.is_empty() { Err(DumpError::Empty) } else { Ok(dump) }
    }
}

/// A row of any model.
#[derive(Deserialize)]
struct DumpedRow {
    model: String,
    /// Missing in a dump with natural primary keys.
    #[serde(default)]
    pk: Value,
    fields: Map<String, Value>,
}

/// Reads one row after another, so that rows of other models take no memory.
struct Rows {
    dump: Dump,
    user_model: Option<String>,
}

impl<'de> Visitor<'de> for &mut Rows {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rows of a dump")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<DumpedRow>()? {
            self.add(&row);
        }
        Ok(())
    }
}

impl Rows {
    fn add(&mut self, row: &DumpedRow) {
        let has = |names: &[&str]| names.iter().all(|name| row.fields.contains_key(*name));
        let model = row.model.to_lowercase();
        let name = model.rsplit_once('.').map_or("", |(_, name)| name);
        let is_user = match &self.user_model {
            Some(wanted) => model == *wanted,
            None => has(&["password", "last_login"]),
        };
        if is_user {
            *self.dump.user_models.entry(model).or_default() += 1;
            self.dump.users.push(row.user());
        } else if has(&["revoked", "expiry_date"]) {
            self.dump.keys.push(row.key());
        } else if name == "team" && has(&["name", "slug"]) {
            self.dump.teams.push(row.team());
        } else if name == "membership" && has(&["team", "user"]) {
            self.dump.memberships.push(row.membership());
        } else {
            *self.dump.ignored.entry(row.model.clone()).or_default() += 1;
        }
    }
}

impl DumpedRow {
    fn text(&self, field: &str) -> String {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn flag(&self, field: &str, missing: bool) -> bool {
        self.fields.get(field).and_then(Value::as_bool).unwrap_or(missing)
    }

    fn time(&self, field: &str) -> Option<Timestamp> {
        instant(self.fields.get(field)?.as_str()?)
    }

    /// Returns what a foreign key refers to.
    fn reference(&self, field: &str) -> Option<String> {
        self.fields.get(field).filter(|value| !value.is_null()).map(Value::to_string)
    }

    /// Returns the place of a row without a secret: the primary key of an API key contains its hash.
    fn place(&self, natural: &str) -> String {
        let pk = match &self.pk {
            Value::Null => natural.to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{} {pk}", self.model)
    }

    fn user(&self) -> DjangoUser {
        let (email, username) = (self.text("email"), self.text("username"));
        let natural = [&username, &email].into_iter().filter(|name| !name.is_empty()).map(|name| json!([name]));
        let pk = Some(self.pk.clone()).filter(|pk| !pk.is_null());
        DjangoUser {
            place: self.place(if username.is_empty() { &email } else { &username }),
            references: pk.into_iter().chain(natural).map(|value| value.to_string()).collect(),
            password: self.text("password"),
            name: [self.text("first_name"), self.text("last_name")].join(" ").trim().to_owned(),
            active: self.flag("is_active", true),
            superuser: self.flag("is_superuser", false),
            joined_at: self.time("date_joined"),
            email,
            username,
        }
    }

    fn key(&self) -> DjangoKey {
        // Before version 1.4 of the package, only the primary key had prefix and hash.
        let pk = self.pk.as_str().unwrap_or_default();
        let (first, rest) = pk.split_once('.').unwrap_or_default();
        let or = |field: &str, other: &str| {
            Some(self.text(field)).filter(|text| !text.is_empty()).unwrap_or(other.to_owned())
        };
        let prefix = or("prefix", first);
        let expires_at = match self.fields.get("expiry_date") {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.time("expiry_date").map(Some).ok_or(()),
        };
        DjangoKey {
            place: self.model.clone(),
            user: self.reference("user"),
            hash: or("hashed_key", rest),
            name: self.text("name"),
            created_at: self.time("created"),
            expires_at,
            // A key whose state is unclear must not work.
            revoked: self.flag("revoked", true),
            prefix,
        }
    }

    fn team(&self) -> DjangoTeam {
        let slug = self.text("slug");
        DjangoTeam {
            place: self.place(&slug),
            reference: if self.pk.is_null() { json!([slug]).to_string() } else { self.pk.to_string() },
            name: self.text("name"),
            created_at: self.time("created_at"),
            slug,
        }
    }

    fn membership(&self) -> DjangoMembership {
        DjangoMembership {
            place: self.place(""),
            team: self.reference("team").unwrap_or_default(),
            user: self.reference("user").unwrap_or_default(),
            role: self.text("role"),
            created_at: self.time("created_at"),
        }
    }
}

/// Reads a time as Django writes it: `2023-04-05T06:07:08.910Z`, with another offset, or without one for UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once(['T', ' '])?;
    let day = Timestamp::start_of_day(day)?;
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let offset = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => 0,
        Some(("+", offset)) => minutes(offset)?,
        Some(("-", offset)) => -minutes(offset)?,
        Some(_) => return None,
    };
    let (hour_and_minute, second) = clock.rsplit_once(':')?;
    let second: i64 = second.parse().ok().filter(|second| (0..=60).contains(second))?;
    let millis = (minutes(hour_and_minute)? * 60 + second) * 1000 + millis.parse::<i64>().ok()?;
    Some(day.plus(millis - offset * 60_000))
}

/// Reads `06:07`.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let read = |text: &str, limit: i64| text.parse().ok().filter(|number| (0..limit).contains(number));
    Some(read(hours, 24)? * 60 + read(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &[u8] = include_bytes!("../../../tests/fixtures/django/dump.json");

    fn read(text: &str) -> Result<Dump, DumpError> {
        Dump::read(text.as_bytes(), None)
    }

    #[test]
    fn what_is_no_dump_is_refused_without_repeating_it() {
        for (text, line) in [
            ("", 1),
            ("secret", 1),
            ("{\"model\": \"secret\"}", 1),
            ("[\n{\"model\": 5}]", 2),
            ("[\n{\"model\": \"auth.user\", \"fields\": \"secret\"}]", 2),
            ("[] []", 1),
            ("[", 1),
        ] {
            let error = read(text).err().unwrap();
            assert_eq!(error, DumpError::NotADump(line), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert_eq!(read("[]").err(), Some(DumpError::Empty));
        assert_eq!(read("[{\"model\":\"a.b\",\"pk\":1,\"fields\":{}}]").err(), Some(DumpError::Empty));
        let deep = "[".repeat(100_000);
        assert_eq!(read(&deep).err(), Some(DumpError::NotADump(1)));
    }

    #[test]
    fn endless_file_is_refused() {
        assert_eq!(Dump::read_up_to(100_000, std::io::repeat(b' '), None).err(), Some(DumpError::TooLarge));
    }

    #[test]
    fn two_user_models_need_a_choice() {
        let user = |model: &str| {
            format!("{{\"model\":\"{model}\",\"pk\":1,\"fields\":{{\"password\":\"!\",\"last_login\":null}}}}")
        };
        let text = format!("[{},{}]", user("auth.user"), user("users.CustomUser"));
        let two = DumpError::TwoUserModels("auth.user".to_owned(), "users.customuser".to_owned());
        assert_eq!(read(&text).err(), Some(two));
        let chosen = Dump::read(text.as_bytes(), Some("users.CustomUser")).unwrap();
        assert_eq!((chosen.users.len(), chosen.ignored["auth.user"]), (1, 1));
    }

    #[test]
    fn dump_of_django_is_read() {
        let dump = Dump::read(DUMP, None).unwrap();
        assert_eq!((dump.users.len(), dump.keys.len(), dump.teams.len(), dump.memberships.len()), (15, 10, 3, 6));
        let ada = &dump.users[0];
        assert_eq!(
            (ada.place.as_str(), ada.name.as_str(), ada.superuser),
            ("users.customuser 1", "Ada Lovelace", true)
        );
        assert_eq!(ada.references, ["1", "[\"ada\"]", "[\"ada@example.com\"]"]);
        assert_eq!(ada.joined_at.unwrap().rfc3339(), "2023-04-05T06:07:08.910Z");
        assert!(dump.ignored.keys().all(|model| model == "contenttypes.contenttype"), "{:?}", dump.ignored);
        assert!(dump.keys.iter().all(|key| key.prefix.len() == 8 && key.hash.contains('$')));
        assert!(dump.keys.iter().all(|key| !key.place.contains('$')), "a primary key contains the hash");
    }

    #[test]
    fn key_of_an_early_version_is_read_from_its_primary_key() {
        let text = "[{\"model\":\"rest_framework_api_key.apikey\",\"pk\":\"OcgvSBeR.pbkdf2_sha256$1$a.b$c\",\
                    \"fields\":{\"revoked\":false,\"expiry_date\":null}}]";
        let dump = read(text).unwrap();
        let key = &dump.keys[0];
        assert_eq!((key.prefix.as_str(), key.hash.as_str()), ("OcgvSBeR", "pbkdf2_sha256$1$a.b$c"));
        assert_eq!((key.user.as_deref(), key.revoked, key.expires_at), (None, false, Ok(None)));
    }

    #[test]
    fn times_have_an_offset_or_are_in_utc() {
        for (text, utc) in [
            ("2023-04-05T06:07:08.910Z", "2023-04-05T06:07:08.910Z"),
            ("2023-04-05T06:07:08.910123+00:00", "2023-04-05T06:07:08.910Z"),
            ("2023-04-05T06:07:08+02:00", "2023-04-05T04:07:08.000Z"),
            ("2023-04-05 00:07:08.5-05:30", "2023-04-05T05:37:08.500Z"),
            ("2023-04-05T06:07:08", "2023-04-05T06:07:08.000Z"),
        ] {
            assert_eq!(instant(text).map(Timestamp::rfc3339).as_deref(), Some(utc), "{text}");
        }
        for junk in [
            "",
            "soon",
            "2023-04-05",
            "2023-04-05T25:00:00Z",
            "2023-02-30T00:00:00Z",
            "2023-04-05T06:07Z",
            "2023-04-05T06:07:08Zulu",
        ] {
            assert_eq!(instant(junk), None, "{junk}");
        }
    }
}
