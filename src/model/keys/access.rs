//! Access of a key: how it limits the rights of its user.

use serde::{Deserialize, Serialize};

use crate::model::apis::{is_scope_name, is_word, slug_of};
use crate::model::fields::FieldError;
use crate::model::text::{isolated, shown};

/// The scope that an endpoint requires in its signature. Keyfob's own are in [`scope`]. An app that uses this crate implements it
/// for types of its own, and registers them by `server::apis::own::OwnApi`, so that people can choose them for a key.
///
/// ```
/// use keyfob::model::keys::RequiredScope;
///
/// pub enum NotesRead {}
///
/// impl RequiredScope for NotesRead {
///     const NAME: &str = "notes:read";
///     const WRITES: bool = false;
/// }
/// ```
pub trait RequiredScope: Send + Sync + 'static {
    /// The name: `employees:read`.
    const NAME: &'static str;
    /// Whether the scope changes something. Read-only keys lack it.
    const WRITES: bool;

    /// Whether a key with this access has the scope. `safe` is a safe method (RFC 9110, 9.2.1).
    fn is_in(access: &Access, safe: bool) -> bool {
        (safe || !matches!(access, Access::ReadOnly)) && access.includes(Self::NAME, Self::WRITES)
    }
}

macro_rules! scopes {
    ($($name:ident $text:literal $label:literal)*) => {
        /// A part of the API that a key can be limited to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scope { $(#[doc = concat!("`", $text, "`")] $name),* }

        impl Scope {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name: `employees:read`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Returns the label on the page.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }

            /// Whether the scope changes something: its name does not end in `:read`.
            pub const fn writes(self) -> bool {
                !matches!(self.as_str().as_bytes(), [.., b':', b'r', b'e', b'a', b'd'])
            }
        }

        /// Each scope as a type that an endpoint names in its signature.
        pub mod scope {
            $(#[doc = concat!("`", $text, "`")] #[derive(Clone, Copy, Debug)] pub struct $name;
            impl super::RequiredScope for $name {
                const NAME: &'static str = $text;
                const WRITES: bool = super::Scope::$name.writes();

                fn is_in(access: &super::Access, safe: bool) -> bool {
                    access.allows(super::Scope::$name, safe)
                }
            })*
        }
    };
}

// To add a scope, add a line here and name it in an endpoint.
scopes! {
    EmployeesRead "employees:read" "See employees and their figures"
    EmployeesWrite "employees:write" "Add, change and delete employees"
    ProfileRead "profile:read" "See whose key it is"
    KeyRotate "key:rotate" "Give itself a new secret"
}

/// The most registered scopes of a key.
pub const MAX_REGISTERED: usize = 50;

/// A set of scopes: built-in ones, and those of registered APIs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes {
    built_in: u32,
    /// By name, at most [`MAX_REGISTERED`].
    pub registered: Vec<RegisteredScope>,
}

/// A scope of a registered API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegisteredScope {
    /// The whole name: `billing:invoices`.
    pub name: String,
    /// Whether the scope changes something.
    pub writes: bool,
}

impl Scopes {
    /// Returns the set with one more built-in scope.
    #[must_use]
    pub fn with(self, scope: Scope) -> Self {
        Self { built_in: self.built_in | 1 << scope as u32, ..self }
    }

    pub const fn has(&self, scope: Scope) -> bool {
        self.built_in & 1 << scope as u32 != 0
    }

    fn built_in(&self) -> impl Iterator<Item = &'static str> + '_ {
        Scope::ALL.iter().filter(|scope| self.has(**scope)).map(|scope| scope.as_str())
    }

    /// Returns the names of all built-in scopes, for people.
    pub fn list() -> String {
        Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Parses names of scopes, at least one. Registered ones count as writing until [`complete`] looks them up.
    ///
    /// [`complete`]: super::complete
    pub fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut scopes = Self::default();
        for name in names {
            if let Some(known) = Scope::ALL.iter().find(|scope| scope.as_str() == name) {
                scopes = scopes.with(*known);
            } else if is_scope_name(name) {
                scopes.registered.push(RegisteredScope { name: name.to_owned(), writes: true });
            } else {
                return Err("Choose from the list.".to_owned());
            }
        }
        scopes.registered.sort_unstable();
        scopes.registered.dedup();
        match scopes.registered.len() {
            0 if scopes.built_in == 0 => Err("Choose at least one.".to_owned()),
            ..=MAX_REGISTERED => Ok(scopes),
            _ => Err(format!("Choose at most {MAX_REGISTERED} scopes of registered APIs.")),
        }
    }
}

/// The registered API that a key is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiLimit {
    pub slug: String,
    pub name: String,
}

/// The rights of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// All rights of its user in the API.
    #[default]
    Full,
    /// Only safe methods: GET, HEAD and OPTIONS.
    ReadOnly,
    /// Everything in one registered API; nothing once that is removed (`None`).
    Api(Option<ApiLimit>),
    /// Only endpoints that require one of these scopes.
    Only(Scopes),
}

impl Access {
    /// Whether the key can call an endpoint of Keyfob that requires `needed`. `safe` is a safe method (RFC 9110, 9.2.1).
    pub const fn allows(&self, needed: Scope, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            // Like every key, it can show and revoke itself, and give itself a new secret.
            Self::Api(limit) => limit.is_some() && matches!(needed, Scope::KeyRotate),
            Self::Only(scopes) => scopes.has(needed),
        }
    }

    /// Whether the key can call an endpoint that requires no scope.
    pub const fn allows_unscoped(&self, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            Self::Api(_) | Self::Only(_) => false,
        }
    }

    /// Whether the key can be used for a registered API, by its slug.
    pub fn reaches(&self, slug: &str) -> bool {
        match self {
            Self::Full | Self::ReadOnly => true,
            Self::Api(limit) => limit.as_ref().is_some_and(|limit| limit.slug == slug),
            Self::Only(scopes) => scopes.registered.iter().any(|scope| slug_of(&scope.name) == slug),
        }
    }

    /// Whether the key has a registered scope.
    pub fn includes(&self, scope: &str, writes: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => !writes,
            Self::Api(_) => self.reaches(slug_of(scope)),
            Self::Only(scopes) => scopes.registered.iter().any(|own| own.name == scope),
        }
    }

    /// Whether the rights depend on what is registered.
    pub fn names_apis(&self) -> bool {
        match self {
            Self::Full | Self::ReadOnly => false,
            Self::Api(_) => true,
            Self::Only(scopes) => !scopes.registered.is_empty(),
        }
    }

    /// Returns the number of bytes of its texts.
    pub fn size(&self) -> usize {
        match self {
            Self::Api(Some(limit)) => limit.slug.len() + limit.name.len(),
            Self::Only(scopes) => {
                let texts = scopes.registered.iter().map(|scope| scope.name.len()).sum::<usize>();
                texts + size_of_val(&*scopes.registered)
            }
            _ => 0,
        }
    }

    /// Whether the key can change neither data nor its own secret.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Full | Self::Api(_) => false,
            Self::ReadOnly => true,
            Self::Only(scopes) => {
                scopes.built_in().all(|scope| scope.ends_with(":read"))
                    && scopes.registered.iter().all(|scope| !scope.writes)
            }
        }
    }

    /// Returns the names of the scopes of the key: the built-in ones, and the registered ones that it is limited to.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let built_in = |scope: &&Scope| self.allows(**scope, scope.as_str().ends_with(":read"));
        let registered = match self {
            Self::Only(scopes) => scopes.registered.as_slice(),
            _ => &[],
        };
        let built_in = Scope::ALL.iter().filter(built_in).map(|scope| scope.as_str());
        built_in.chain(registered.iter().map(|scope| scope.name.as_str()))
    }

    /// Returns the label on the page.
    pub fn label(&self) -> String {
        match self {
            Self::Full => AccessKind::Full.label().to_owned(),
            Self::ReadOnly => AccessKind::ReadOnly.label().to_owned(),
            Self::Api(Some(limit)) => format!("One API: {}", isolated(&limit.name)),
            Self::Api(None) => "One API, which was removed".to_owned(),
            Self::Only(_) => match self.scopes().collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "No scopes: they were removed".to_owned(),
                names => names,
            },
        }
    }

    /// Parses the fields of a form: the name of an [`AccessKind`], scopes for [`AccessKind::Only`], and a slug for
    /// [`AccessKind::Api`]. [`complete`] looks up what is registered.
    ///
    /// [`complete`]: super::complete
    pub fn from_form(kind: &str, scopes: &[String], api: &str) -> Result<Self, FieldError> {
        match AccessKind::ALL.into_iter().find(|known| known.as_str() == kind) {
            Some(AccessKind::Full) => Ok(Self::Full),
            Some(AccessKind::ReadOnly) => Ok(Self::ReadOnly),
            Some(AccessKind::Api) if is_word(api) => {
                Ok(Self::Api(Some(ApiLimit { slug: api.to_owned(), name: String::new() })))
            }
            Some(AccessKind::Api) => Err(FieldError::new("api", "Choose an API.")),
            Some(AccessKind::Only) => {
                let scopes = Scopes::parse(scopes.iter().map(String::as_str));
                scopes.map(Self::Only).map_err(|message| FieldError::new("scopes", message))
            }
            None => Err(FieldError::new("access", "Choose an access level.")),
        }
    }

    /// Parses the stored text of [`Access::stored_text`], without what is registered.
    pub fn from_stored(text: &str) -> Option<Self> {
        match text {
            "full" => Some(Self::Full),
            "read_only" => Some(Self::ReadOnly),
            "api" => Some(Self::Api(None)),
            "none" => Some(Self::Only(Scopes::default())),
            names => {
                let scopes = Scopes::parse(names.split(' ')).ok()?;
                scopes.registered.is_empty().then_some(Self::Only(scopes))
            }
        }
    }

    /// Adds the stored API, as `billing Billing`, and the stored registered scopes: `billing:see billing:pay!`, where `!` marks
    /// those that write.
    #[must_use]
    pub fn with_stored(self, api: Option<&str>, registered: Option<&str>) -> Self {
        match self {
            Self::Api(_) => {
                let api = api.and_then(|api| api.split_once(' '));
                Self::Api(api.map(|(slug, name)| ApiLimit { slug: slug.to_owned(), name: shown(name) }))
            }
            Self::Only(mut scopes) => {
                let scope = |text: &str| RegisteredScope {
                    name: text.trim_end_matches('!').to_owned(),
                    writes: text.ends_with('!'),
                };
                scopes.registered = registered.unwrap_or_default().split_ascii_whitespace().map(scope).collect();
                scopes.registered.sort_unstable();
                Self::Only(scopes)
            }
            other => other,
        }
    }

    /// Returns the text that is stored with the key: `full`, `read_only`, `api`, or names of built-in scopes separated by
    /// spaces. What is registered is stored by its id. Versions that know no registered APIs reject `api` and `none`.
    pub fn stored_text(&self) -> String {
        match self {
            Self::Full => "full".to_owned(),
            Self::ReadOnly => "read_only".to_owned(),
            Self::Api(_) => "api".to_owned(),
            Self::Only(scopes) if scopes.built_in == 0 => "none".to_owned(),
            Self::Only(scopes) => scopes.built_in().collect::<Vec<_>>().join(" "),
        }
    }

    /// Returns the value in the API: `full`, `read_only`, `api`, or the scopes separated by spaces.
    pub fn text(&self) -> String {
        match self {
            Self::Only(_) => self.scopes().collect::<Vec<_>>().join(" "),
            other => other.stored_text(),
        }
    }
}

/// The kind of an [`Access`], as forms offer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    Full,
    ReadOnly,
    Api,
    Only,
}

impl AccessKind {
    pub const ALL: [Self; 4] = [Self::Full, Self::ReadOnly, Self::Api, Self::Only];

    /// Returns the name in forms: `read_only`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Api => "api",
            Self::Only => "only",
        }
    }

    /// Returns the label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "Full access",
            Self::ReadOnly => "Read only",
            Self::Api => "One API",
            Self::Only => "Only these",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_api(slug: &str) -> Access {
        Access::Api(Some(ApiLimit { slug: slug.to_owned(), name: "Billing".to_owned() }))
    }

    #[test]
    fn own_scope_is_in_the_accesses_that_include_it() {
        struct See;
        impl RequiredScope for See {
            const NAME: &'static str = "billing:see";
            const WRITES: bool = false;
        }
        struct Pay;
        impl RequiredScope for Pay {
            const NAME: &'static str = "billing:pay";
            const WRITES: bool = true;
        }
        let only = Access::from_form("only", &["billing:see".into()], "").unwrap();
        for (access, safe, rights) in [
            (&Access::Full, true, [true, true]),
            (&Access::Full, false, [true, true]),
            (&Access::ReadOnly, true, [true, false]),
            (&Access::ReadOnly, false, [false, false]),
            (&only, true, [true, false]),
            (&only, false, [true, false]),
        ] {
            assert_eq!([See::is_in(access, safe), Pay::is_in(access, safe)], rights, "{access:?} {safe}");
        }
    }

    #[test]
    fn scope_that_is_named_twice_is_in_the_set_once() {
        let twice =
            Scopes::parse(["employees:read", "employees:read", "billing:see", "billing:see"].into_iter()).unwrap();
        assert_eq!(Access::Only(twice).text(), "employees:read billing:see");
    }

    /// The cache of keys is bounded by this size.
    #[test]
    fn size_counts_every_text() {
        assert_eq!((Access::Full.size(), Access::ReadOnly.size(), Access::Api(None).size()), (0, 0, 0));
        assert_eq!(one_api("crm").size(), "crm".len() + "Billing".len());
        let size = |names: &[String]| Access::from_form("only", names, "").unwrap().size();
        assert_eq!(size(&["employees:read".into()]), 0);
        assert_eq!(size(&["billing:see".into()]), "billing:see".len() + size_of::<RegisteredScope>());
        let two = ["billing:see".into(), "billing:pay".into()];
        assert_eq!(size(&two), 2 * size(&two[..1]));
    }

    #[test]
    fn an_access_allows_what_it_names_and_reading_only_what_is_safe() {
        let only = Access::from_form("only", &["employees:read".into()], "").unwrap();
        assert!(only.allows(Scope::EmployeesRead, true) && !only.allows(Scope::EmployeesWrite, true));
        assert!(
            Access::ReadOnly.allows(Scope::EmployeesWrite, true)
                && !Access::ReadOnly.allows(Scope::EmployeesWrite, false)
        );
        assert!(Access::Full.allows(Scope::KeyRotate, false));
    }

    #[test]
    fn one_api_allows_nothing_of_keyfob_but_its_own_rotation() {
        for scope in Scope::ALL {
            assert_eq!(one_api("billing").allows(*scope, true), *scope == Scope::KeyRotate, "{scope:?}");
            assert!(!Access::Api(None).allows(*scope, true), "{scope:?}");
        }
        assert!(!one_api("billing").allows_unscoped(true) && !one_api("billing").only_reads());
        assert!(one_api("billing").reaches("billing") && !one_api("billing").reaches("crm"));
        assert!(!Access::Api(None).reaches("billing") && !Access::Api(None).reaches(""));
        assert!(!Access::Api(None).includes("billing:see", false));
    }

    #[test]
    fn registered_scopes_are_included_as_the_access_says() {
        let (see, pay) = ("billing:see", "billing:pay");
        assert!(
            Access::Full.includes(pay, true)
                && !Access::ReadOnly.includes(pay, true)
                && Access::ReadOnly.includes(see, false)
        );
        let only = Access::from_form("only", &["billing:see".into()], "").unwrap();
        assert!(
            only.includes(see, false) && !only.includes(pay, true) && only.reaches("billing") && !only.reaches("crm")
        );
        assert!(!only.only_reads(), "not looked up yet");
        let only = Access::from_stored("none").unwrap().with_stored(None, Some("billing:see"));
        assert!(only.only_reads() && only.names_apis());
        assert!(!only.allows(Scope::EmployeesRead, true));
    }

    #[test]
    fn an_access_is_read_as_it_is_written() {
        let all = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>();
        for access in [Access::Full, Access::ReadOnly, Access::Api(None), Access::from_form("only", &all, "").unwrap()]
        {
            assert_eq!(Access::from_stored(&access.stored_text()), Some(access));
        }
        let stored = Access::from_stored("api").unwrap().with_stored(Some("billing The Billing"), None);
        assert_eq!(stored.label(), "One API: The Billing");
        assert_eq!(Access::from_stored("api").unwrap().with_stored(None, None), Access::Api(None));
        let stored = Access::from_stored("profile:read").unwrap().with_stored(None, Some("billing:see billing:pay!"));
        assert_eq!(stored.text(), "profile:read billing:pay billing:see");
        assert_eq!(stored.stored_text(), "profile:read");
        for junk in ["", "all", "employees:read  profile:read", "Full", "employees:read,profile:read", "billing:see"] {
            assert!(Access::from_stored(junk).is_none(), "{junk}");
        }
    }

    #[test]
    fn a_form_names_known_scopes_or_one_api() {
        let only = |name: &str| Access::from_form("only", &[name.to_owned()], "").map_err(|error| error.field);
        assert_eq!(Access::from_form("only", &[], "").unwrap_err().field, "scopes");
        for bad in ["admin", "Billing:see", "billing:", "a:b:c", "billing see"] {
            assert_eq!(only(bad), Err("scopes"), "{bad}");
        }
        let many: Vec<_> = (0..=MAX_REGISTERED).map(|n| format!("billing:s{n}")).collect();
        assert!(Access::from_form("only", &many[1..], "").is_ok());
        assert_eq!(Access::from_form("only", &many, "").unwrap_err().field, "scopes");
        assert_eq!(Access::from_form("api", &[], "").unwrap_err().field, "api");
        assert_eq!(Access::from_form("", &[], "").unwrap_err().field, "access");
    }
}
