//! Users: who they are, and what an email address, a name and a password must look like.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

super::id! {
    /// Which user.
    UserId
}
super::id! {
    /// Which session. Public, unlike the secret in the cookie.
    SessionId
}

/// An account, as its owner and the pages see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its email address, in lower case.
    pub email: String,
    /// Its display name; may be empty.
    pub name: String,
}

impl User {
    /// How to address the user: the display name, or the email address.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.name.is_empty() { &self.email } else { &self.name }
    }
}

/// A place where a user is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// Its id.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen, to the minute.
    pub seen_at: Timestamp,
    /// What the browser said it was, shortened; empty if nothing.
    pub user_agent: String,
    /// Whether it is the session that asks.
    pub current: bool,
}

/// An email address, trimmed and in lower case: addresses are compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Takes what was typed. Only what can be no address is refused; whether it exists, only a letter could tell.
    ///
    /// # Errors
    /// A sentence that says how to mend it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let text = raw.trim().to_lowercase();
        let parts = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
        // 254 is the longest address that SMTP can carry (RFC 5321, erratum 1690).
        if parts.is_none() || text.len() > 254 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("Enter an email address, like ada@example.com.".to_owned());
        }
        Ok(Self(text))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A display name of at most 100 characters; may be empty.
///
/// # Errors
/// A sentence that says how to mend it.
pub fn display_name(raw: &str) -> Result<String, String> {
    let name = raw.trim();
    super::fields::at_most(name, 100)?;
    Ok(name.to_owned())
}

/// The shortest password in characters (ASVS 5.0, 6.2.1).
pub const PASSWORD_MIN: usize = 8;
/// The longest password in characters; longer ones only cost time to hash.
pub const PASSWORD_MAX: usize = 128;

/// Checks a new password's length. Any character may stand in it (ASVS 5.0, 6.2.5).
///
/// # Errors
/// A sentence that says how to mend it.
pub fn password_length(password: &str) -> Result<(), String> {
    match password.chars().count() {
        n if n < PASSWORD_MIN => Err(format!("Use at least {PASSWORD_MIN} characters.")),
        n if n > PASSWORD_MAX => Err(format!("Use at most {PASSWORD_MAX} characters.")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_is_trimmed_and_put_in_lower_case() {
        assert_eq!(Email::parse(" Ada@Example.COM ").unwrap().as_str(), "ada@example.com");
    }

    #[test]
    fn what_can_be_no_email_address_is_refused() {
        for junk in ["", "ada", "@", "ada@", "@example.com", "a da@example.com", "ada@exa\0mple.com"] {
            assert!(Email::parse(junk).is_err(), "{junk:?}");
        }
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(250))).is_err());
    }

    #[test]
    fn a_password_has_8_to_128_characters_not_bytes() {
        assert!(password_length("1234567").is_err());
        assert!(password_length("12345678").is_ok());
        assert!(password_length(&"ü".repeat(128)).is_ok());
        assert!(password_length(&"ü".repeat(129)).is_err());
    }
}
