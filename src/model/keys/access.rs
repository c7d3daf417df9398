//! What a key leaves out of its user's rights.

use serde::{Deserialize, Serialize};

/// What an endpoint asks of a key in its signature; see [`scope`].
pub trait RequiredScope: Send + Sync + 'static {
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
            impl super::RequiredScope for $name { const SCOPE: super::Scope = super::Scope::$name; })*
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
    pub const fn allows_unscoped(self, safe: bool) -> bool {
        match self {
            Self::Full => true,
            Self::ReadOnly => safe,
            Self::Only(_) => false,
        }
    }

    /// Whether a key of this access can change nothing, neither data nor its own secret.
    #[must_use]
    pub fn only_reads(self) -> bool {
        match self {
            Self::Full => false,
            Self::ReadOnly => true,
            Self::Only(scopes) => scopes.names().all(|scope| scope.ends_with(":read")),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
