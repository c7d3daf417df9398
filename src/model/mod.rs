//! Data types and pure rules that the server and the browser share. No I/O, no clock, no Leptos.

pub mod apis;
pub mod audit;
pub mod characters;
pub mod employees;
pub mod fields;
pub mod keys;
pub mod link;
pub mod own_link;
pub mod redact;
pub mod sent_form;
pub mod team_page;
pub mod teams;
pub mod text;
pub mod theme;
pub mod time;
pub mod usage;
pub mod users;
pub mod wire;

/// Declares a newtype for an id: a UUID version 7 in lowercase with hyphens.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(String);

        impl $name {
            /// Parses the id in a path or a form. Invalid text never reaches the database: PostgreSQL rejects NUL in text.
            pub fn parse(raw: &str) -> Option<Self> {
                let plain = raw.len() == 36 && raw.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
                plain.then(|| Self(raw.to_owned()))
            }

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
