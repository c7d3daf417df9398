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
    /// Whether it may do everything.
    pub superuser: bool,
}

impl User {
    /// How to address the user: the display name, or the email address.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.name.is_empty() { &self.email } else { &self.name }
    }
}

/// An account, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct Account {
    /// Who.
    #[cfg_attr(feature = "ssr", sqlx(flatten))]
    pub user: User,
    /// Since when it may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Accounts, as administrators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPage {
    /// The accounts, by email address.
    pub accounts: Vec<Account>,
    /// What to ask for as `after` to see those that follow; `None` if there are none.
    pub next: Option<String>,
    /// What was looked for.
    pub search: String,
    /// Whoever looks.
    pub me: UserId,
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
    /// The browser, as [`browser_name`] has it.
    pub browser: String,
    /// Whether it is the session that asks.
    pub current: bool,
}

/// What a browser is called and runs on, as far as its user agent tells: `Firefox on Linux`.
#[must_use]
pub fn browser_name(user_agent: &str) -> String {
    // In this order, for each later one is named in the user agents of those before it.
    let browsers = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    let systems = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&browsers), find(&systems)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("A program on {system}"),
        (None, None) => "Unknown program".to_owned(),
    }
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
    fn a_browser_is_named_by_its_user_agent() {
        let edge =
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(browser_name(edge), "Edge on Windows");
        assert_eq!(
            browser_name("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            "Firefox on Linux"
        );
        assert_eq!(browser_name("curl/8.14.1"), "curl");
        assert_eq!(browser_name(""), "Unknown program");
    }

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
