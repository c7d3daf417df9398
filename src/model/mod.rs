//! Plain data and pure rules that the server and the browser share. No I/O, no clock, no Leptos.

pub mod audit;
pub mod employees;
pub mod fields;
pub mod form_error;
pub mod keys;
pub mod link;
pub mod reauth;
pub mod redact;
pub mod teams;
pub mod text;
pub mod time;
pub mod users;

/// A newtype for an id: a UUID version 7 in lower case with hyphens, made by the server.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "ssr", derive(sqlx::Type))]
        #[cfg_attr(feature = "ssr", sqlx(transparent))]
        pub struct $name(String);

        impl $name {
            /// Takes the id as it stands in a path or a form. `None` if it cannot be one, so that junk never reaches
            /// the database (PostgreSQL refuses a NUL in a text, for one).
            #[must_use]
            pub fn parse(raw: &str) -> Option<Self> {
                let plain = raw.len() == 36 && raw.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
                plain.then(|| Self(raw.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use id;
