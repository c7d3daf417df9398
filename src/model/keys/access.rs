//! Access of a key: how it limits the rights of its user.

use serde::{Deserialize, Serialize};

use crate::model::fields::FieldError;

/// The scope that an endpoint requires in its signature. See [`scope`].
pub trait RequiredScope: Send + Sync + 'static {
    const SCOPE: Scope;
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
        }

        /// Each scope as a type that an endpoint names in its signature.
        pub mod scope {
            $(#[doc = concat!("`", $text, "`")] #[derive(Clone, Copy, Debug)] pub struct $name;
            impl super::RequiredScope for $name { const SCOPE: super::Scope = super::Scope::$name; })*
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

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// Returns the set with one more scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u32)
    }

    pub const fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u32 != 0
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        Scope::ALL.iter().filter(move |scope| self.has(**scope)).map(|scope| scope.as_str())
    }

    /// Returns the names of all scopes, for people.
    pub fn list() -> String {
        Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Parses names of scopes, at least one.
    pub fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut scopes = Self::default();
        for name in names {
            let known = Scope::ALL.iter().find(|scope| scope.as_str() == name);
            scopes = scopes.with(*known.ok_or("Choose from the list.")?);
        }
        if scopes == Self::default() { Err("Choose at least one.".to_owned()) } else { Ok(scopes) }
    }
}

/// The rights of a key. Stored and sent as `full`, `read_only`, or names of scopes separated by spaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Access {
    /// All rights of its user in the API.
    #[default]
    Full,
    /// Only safe methods: GET, HEAD and OPTIONS.
    ReadOnly,
    /// Only endpoints that require one of these scopes.
    Only(Scopes),
}

impl Access {
    /// Whether the key can call an endpoint that requires `needed`. `safe` is a safe method (RFC 9110, 9.2.1).
    pub const fn allows(self, needed: Scope, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            Self::Only(scopes) => scopes.has(needed),
        }
    }

    /// Whether the key can call an endpoint that requires no scope.
    pub const fn allows_unscoped(self, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            Self::Only(_) => false,
        }
    }

    /// Whether the key can change neither data nor its own secret.
    pub fn only_reads(self) -> bool {
        match self {
            Self::Full => false,
            Self::ReadOnly => true,
            Self::Only(scopes) => scopes.names().all(|scope| scope.ends_with(":read")),
        }
    }

    /// Returns the scopes of the key.
    pub fn scopes(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.allows(*scope, scope.as_str().ends_with(":read")))
    }

    /// Returns the label on the page.
    pub fn label(self) -> String {
        match self {
            Self::Full => AccessKind::Full.label().to_owned(),
            Self::ReadOnly => AccessKind::ReadOnly.label().to_owned(),
            Self::Only(scopes) => scopes.names().collect::<Vec<_>>().join(", "),
        }
    }

    /// Parses the fields of a form: the name of an [`AccessKind`], and scopes for [`AccessKind::Only`].
    pub fn from_form(kind: &str, scopes: &[String]) -> Result<Self, FieldError> {
        match AccessKind::ALL.into_iter().find(|known| known.as_str() == kind) {
            Some(AccessKind::Full) => Ok(Self::Full),
            Some(AccessKind::ReadOnly) => Ok(Self::ReadOnly),
            Some(AccessKind::Only) => {
                let scopes = Scopes::parse(scopes.iter().map(String::as_str));
                scopes.map(Self::Only).map_err(|message| FieldError::new("scopes", message))
            }
            None => Err(FieldError::new("access", "Choose an access level.")),
        }
    }
}

/// The kind of an [`Access`], as forms offer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    Full,
    ReadOnly,
    Only,
}

impl AccessKind {
    pub const ALL: [Self; 3] = [Self::Full, Self::ReadOnly, Self::Only];

    /// Returns the name in forms: `read_only`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Only => "only",
        }
    }

    /// Returns the label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "Full access",
            Self::ReadOnly => "Read only",
            Self::Only => "Only these",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_allows_what_it_names_and_reading_only_what_is_safe() {
        let only = Access::from_form("only", &["employees:read".into()]).unwrap();
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
        for access in [Access::Full, Access::ReadOnly, Access::from_form("only", &all).unwrap()] {
            assert_eq!(Access::try_from(String::from(access)), Ok(access));
        }
        for junk in ["", "all", "employees:read  profile:read", "Full", "employees:read,profile:read"] {
            assert!(Access::try_from(junk.to_owned()).is_err(), "{junk}");
        }
        assert_eq!(Access::from_form("only", &[]).unwrap_err().field, "scopes");
        assert_eq!(Access::from_form("only", &["admin".into()]).unwrap_err().field, "scopes");
        assert_eq!(Access::from_form("", &[]).unwrap_err().field, "access");
    }
}
