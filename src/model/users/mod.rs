//! Users, their sessions, and the rules for names and passwords.

mod browser;
mod email;

use serde::{Deserialize, Serialize};

pub use self::browser::browser_name;
pub use self::email::Email;
use super::text::{check_length, normalize};
use super::time::Timestamp;

super::id! {
    /// The id of a user.
    UserId
}
super::id! {
    /// The id of a session. It is public, unlike the secret in the cookie.
    SessionId
}

/// The hidden field that names the user of a form's page. After another account signs in in the same browser, the server
/// rejects the form.
pub const PAGE_USER: &str = "page_user";
/// The prefix of a server function's path that names the user of the page: `/as/{user}/fn/{name}`.
pub const PAGE_USER_PATH: &str = "/as/";

/// Whether the program of a page sends forms to this path.
pub fn takes_forms(path: &str) -> bool {
    ["/fn/", "/admin/fn/", "/profile/keys"].iter().any(|start| path.starts_with(start))
}

/// An account, as its owner and the pages see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// In lowercase.
    pub email: String,
    /// The display name. May be empty.
    pub name: String,
    pub superuser: bool,
}

impl User {
    /// Returns the display name, or the email address without one.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { &self.email } else { &self.name }
    }
}

/// An account, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub user: User,
    pub disabled_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// A page of the administrators' list of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPage {
    /// By email address.
    pub accounts: Vec<Account>,
    /// The cursor of the next page.
    pub next: Option<String>,
    pub search: String,
    /// The signed-in user.
    pub me: UserId,
    /// The account that the open dialog is about. The list may not contain it.
    pub about: Option<Account>,
}

/// A session, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    pub id: SessionId,
    pub created_at: Timestamp,
    /// The time of the last request, to the minute.
    pub seen_at: Timestamp,
    /// The result of [`browser_name`].
    pub browser: String,
    /// Whether it is the session of the request.
    pub current: bool,
}

/// Checks a display name: at most 100 characters, may be empty.
pub fn display_name(raw: &str) -> Result<String, String> {
    normalize(raw, 100)
}

/// The length of the shortest password, in characters (ASVS 5.0, 6.2.1).
pub const PASSWORD_MIN: usize = 8;
/// The length of the longest password, in characters. A longer one only takes longer to hash.
pub const PASSWORD_MAX: usize = 128;

/// Checks the length of a new password. It may contain any character (ASVS 5.0, 6.2.5).
pub fn password_length(password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(format!("Use at least {PASSWORD_MIN} characters."));
    }
    check_length(password, PASSWORD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_8_to_128_characters_not_bytes() {
        assert!(password_length("1234567").is_err());
        assert!(password_length("12345678").is_ok());
        assert!(password_length(&"ü".repeat(128)).is_ok());
        assert!(password_length(&"ü".repeat(129)).is_err());
    }
}
