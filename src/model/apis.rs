//! Registered APIs: the APIs of others that Keyfob protects, and their scopes. They are data; the scopes of Keyfob's own API are
//! the type [`Scope`](super::keys::Scope).

use serde::{Deserialize, Serialize};

use super::fields::FieldErrors;
use super::text::{normalize, short_text};
use super::usage::DayUsage;

super::id! {
    /// The id of a registered API.
    ApiId
}

super::id! {
    /// The id of a registered scope.
    ScopeId
}

/// The most registered APIs.
pub const MAX_APIS: i64 = 100;
/// The most scopes of a registered API.
pub const MAX_SCOPES: i64 = 50;
/// The longest slug of an API, and the longest name of a scope, in characters.
const MAX_WORD: usize = 40;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 200;

/// A registered API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    pub id: ApiId,
    /// The first part of the names of its scopes.
    pub slug: String,
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Requests per minute and key, `None` for no limit.
    pub rate: Option<i64>,
    /// By name.
    pub scopes: Vec<ApiScope>,
}

/// A scope of a registered API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiScope {
    pub id: ScopeId,
    /// The whole name: `billing:invoices`.
    pub name: String,
    /// Whether the scope changes something. Read-only keys lack it.
    pub writes: bool,
}

impl ApiScope {
    /// Returns the label of its kind.
    pub const fn kind(&self) -> &'static str {
        if self.writes { "Write" } else { "Read" }
    }
}

/// Returns the slug of the API in the name of a registered scope: `billing` of `billing:invoices`.
pub fn slug_of(scope: &str) -> &str {
    scope.split_once(':').map_or("", |(slug, _)| slug)
}

/// Whether a text has the form of the name of a registered scope.
pub fn is_scope_name(text: &str) -> bool {
    text.split_once(':').is_some_and(|(slug, name)| is_word(slug) && is_word(name))
}

/// Whether a text has the form of a slug: up to 40 lowercase letters, digits and hyphens, starting with a letter.
pub fn is_word(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn word(raw: &str, example: &str) -> Result<String, String> {
    let word = raw.trim();
    if is_word(word) {
        return Ok(word.to_owned());
    }
    Err(format!(
        "Use 1 to {MAX_WORD} lowercase letters, digits and hyphens, starting with a letter, for example {example}."
    ))
}

/// Whether the built-in scopes begin with this slug, those of the admin API included.
pub(super) fn is_reserved(slug: &str) -> bool {
    ["admin", "employees", "key", "profile"].contains(&slug)
}

/// The form "Add API", as typed. The slug of an existing API cannot be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiForm {
    pub slug: String,
    pub name: String,
    pub description: String,
    /// Requests per minute and key. Empty or 0 for no limit.
    pub rate: String,
}

/// Validated facts of an API, without its slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFacts {
    pub name: String,
    pub description: String,
    pub rate: Option<i64>,
}

impl ApiForm {
    /// Validates all fields at once. Returns the slug and the rest.
    pub fn parse(&self) -> Result<(String, ApiFacts), FieldErrors> {
        let (slug, facts) = (self.slug(), self.facts());
        match (slug, facts) {
            (Ok(slug), Ok(facts)) => Ok((slug, facts)),
            (slug, facts) => {
                let mut errors = facts.err().unwrap_or_default();
                errors.take("slug", slug);
                Err(errors)
            }
        }
    }

    /// Validates all fields except the slug.
    pub fn facts(&self) -> Result<ApiFacts, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("name", short_text(&self.name, "Give the API a name."));
        let description = errors.take("description", normalize(&self.description, MAX_DESCRIPTION));
        let rate = match self.rate.trim() {
            "" => Ok(None),
            text => text.parse::<u32>().map(|rate| (rate > 0).then_some(i64::from(rate))),
        };
        let rate = errors.take("rate", rate.map_err(|_| "Enter a whole number, or leave this empty."));
        match (name, description, rate) {
            (Some(name), Some(description), Some(rate)) => Ok(ApiFacts { name, description, rate }),
            _ => Err(errors),
        }
    }

    fn slug(&self) -> Result<String, String> {
        let slug = word(&self.slug, "billing")?;
        if is_reserved(&slug) {
            return Err("Keyfob's own scopes begin with this. Choose another.".to_owned());
        }
        Ok(slug)
    }
}

/// A validated new scope of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewScope {
    /// The part after the colon.
    pub name: String,
    pub writes: bool,
}

impl NewScope {
    /// Parses the name and the kind, `read` or `write`, as typed. The name may be whole.
    pub fn parse(slug: &str, name: &str, kind: &str) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = name.trim();
        let own = name.strip_prefix(slug).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name);
        let name = errors.take("name", word(own, "invoices"));
        let writes = match kind {
            "read" => Ok(false),
            "write" => Ok(true),
            _ => Err("Choose read or write."),
        };
        match (name, errors.take("kind", writes)) {
            (Some(name), Some(writes)) => Ok(Self { name, writes }),
            _ => Err(errors),
        }
    }
}

/// Returns the registered scope with this whole name.
pub fn find_scope<'a>(apis: &'a [Api], name: &str) -> Option<&'a ApiScope> {
    let api = apis.iter().find(|api| api.slug == slug_of(name))?;
    api.scopes.iter().find(|scope| scope.name == name)
}

/// The error of a form that names a scope which is not registered.
pub fn unknown_scope(name: &str) -> FieldErrors {
    FieldErrors::one("scopes", format!("There is no scope {name} any more. Choose from the list."))
}

/// A key that a removal affects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedKey {
    pub name: String,
    pub prefix: String,
    /// The email address of the user.
    pub owner: String,
}

/// The keys that a removal affects: those that are neither revoked nor expired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedKeys {
    /// At most [`Self::MAX_COUNTED`] + 1.
    pub count: i64,
    /// The first of them.
    pub first: Vec<AffectedKey>,
}

impl AffectedKeys {
    /// How many are counted.
    pub const MAX_COUNTED: i64 = 1000;
    /// How many are named.
    pub const MAX_NAMED: i64 = 10;

    /// Says how many there are: `1 key`.
    pub fn number(&self) -> String {
        match self.count {
            1 => "1 key".to_owned(),
            count if count > Self::MAX_COUNTED => format!("More than {} keys", Self::MAX_COUNTED),
            count => format!("{count} keys"),
        }
    }
}

/// The administrators' page of registered APIs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiPage {
    /// By slug.
    pub apis: Vec<Api>,
    /// The requests of those that were used.
    pub usage: Vec<ApiUsage>,
    /// The keys that the open dialog would affect.
    pub affected: Option<AffectedKeys>,
}

/// The requests of a registered API, of keys and sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiUsage {
    pub api: ApiId,
    /// The last [`USAGE_DAYS`](super::usage::USAGE_DAYS) days, oldest first.
    pub days: Vec<DayUsage>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn form(slug: &str) -> ApiForm {
        ApiForm { slug: slug.to_owned(), name: "Billing".to_owned(), ..ApiForm::default() }
    }

    pub(crate) fn billing() -> Api {
        let id = "01890000-0000-7000-8000-000000000000";
        let scope = |name: &str, writes| ApiScope { id: ScopeId::parse(id).unwrap(), name: name.to_owned(), writes };
        Api {
            id: ApiId::parse(id).unwrap(),
            slug: "billing".to_owned(),
            name: "Billing".to_owned(),
            description: String::new(),
            rate: None,
            scopes: vec![scope("billing:pay", true), scope("billing:see", false)],
        }
    }

    #[test]
    fn slug_is_a_short_plain_word_that_keyfob_does_not_use() {
        for good in ["a", "billing", "crm-2", "api"] {
            assert_eq!(form(good).parse().unwrap().0, good);
        }
        let long = "a".repeat(41);
        for bad in
            ["", "Billing", "2nd", "-a", "a b", "a:b", "a_b", "über", &long, "employees", "profile", "key", "admin"]
        {
            assert!(form(bad).parse().unwrap_err().first("slug").is_some(), "{bad}");
        }
    }

    #[test]
    fn rate_is_a_whole_number_or_none() {
        let facts = |rate: &str| ApiForm { rate: rate.to_owned(), ..form("billing") }.facts();
        for (typed, rate) in [("", None), ("0", None), (" 60 ", Some(60))] {
            assert_eq!(facts(typed).unwrap().rate, rate, "{typed}");
        }
        for bad in ["-1", "many", "1.5", "99999999999"] {
            assert!(facts(bad).unwrap_err().first("rate").is_some(), "{bad}");
        }
    }

    #[test]
    fn scope_has_a_name_of_its_own_and_a_kind() {
        for typed in ["invoices", "billing:invoices", " invoices "] {
            let scope = NewScope::parse("billing", typed, "write").unwrap();
            assert_eq!((scope.name.as_str(), scope.writes), ("invoices", true), "{typed}");
        }
        assert!(!NewScope::parse("billing", "invoices", "read").unwrap().writes);
        for bad in ["", "crm:invoices", "a b", "Ä", "billing:"] {
            assert!(NewScope::parse("billing", bad, "read").unwrap_err().first("name").is_some(), "{bad}");
        }
        assert!(NewScope::parse("billing", "a", "both").unwrap_err().first("kind").is_some());
    }
}
