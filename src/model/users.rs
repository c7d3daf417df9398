//! Users: who they are, and what an email address, a name and a password must look like.

use serde::{Deserialize, Serialize};

use super::redact::{CONTAINS_KEY, contains_key};
use super::text::is_hidden;
use super::time::Timestamp;
use crate::unicode::{ascii_domain, is_styled, nfc, nfd, readable_domain};

super::id! {
    /// Which user.
    UserId
}
super::id! {
    /// Which session. Public, unlike the secret in the cookie.
    SessionId
}

/// The hidden field by which a form says for whom its page was rendered: another sign-in in the same browser does not make
/// the page one of the other account.
pub const PAGE_USER: &str = "page_user";
/// Where the path of a server function begins that says the same: `/as/{user}/fn/{name}`.
pub const PAGE_USER_PATH: &str = "/as/";

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
    /// The account that a dialog is about, whatever the list shows.
    pub about: Option<Account>,
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

/// An email address: trimmed, in lower case, in normal form C, its domain in ASCII. Two that differ in less than that are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    address: String,
    /// As it was typed, in lower case: how versions before this one stored it.
    typed: String,
}

/// The longest address that SMTP can carry, in bytes (RFC 5321, erratum 1690).
const EMAIL_MAX: usize = 254;

impl Email {
    /// Takes an address for a new account, or an invitation. What can be no address is refused, and what looks like another one;
    /// whether it exists, only a letter could tell.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let (typed, address) = (lower(raw), nfc(&lower(&nfc(raw))));
        if contains_key(&address) {
            return Err(CONTAINS_KEY.to_owned());
        }
        let (local, domain) = split(&address).ok_or_else(no_address)?;
        if let Some(c) = address.chars().find(|c| is_hidden(*c)) {
            return Err(format!("Leave out the character U+{:04X}: it is not shown.", u32::from(c)));
        }
        if is_styled(&address) {
            return Err("Write the address in plain letters and digits.".to_owned());
        }
        if mixes_scripts(local) {
            return Err("Do not mix Latin letters with those of another script that look the same.".to_owned());
        }
        let domain = if domain.is_ascii() { Some(domain.to_owned()) } else { ascii_domain(domain) };
        let address = format!("{local}@{}", domain.ok_or_else(no_address)?);
        if address.len() > EMAIL_MAX {
            return Err(format!("This is too long for an email address: {EMAIL_MAX} characters are the most."));
        }
        Ok(Self { address, typed })
    }

    /// Takes an address to find an account by. Older versions stored addresses that are refused today; their owners must be able to
    /// sign in, and administrators to disable them.
    ///
    /// # Errors
    /// A sentence, for what never was an address.
    pub fn to_find(raw: &str) -> Result<Self, String> {
        Self::parse(raw).or_else(|_| {
            let typed = lower(raw);
            let fits = typed.len() <= EMAIL_MAX && split(&typed).is_some() && !contains_key(&typed);
            if fits { Ok(Self { address: typed.clone(), typed }) } else { Err(no_address()) }
        })
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The forms in which an account may have the address: as it was typed, as it is stored today, and as older versions stored what
    /// another keyboard or program sends for it.
    #[must_use]
    pub fn forms(&self) -> [String; 4] {
        let readable = split(&self.address)
            .map_or_else(String::new, |(local, domain)| format!("{local}@{}", readable_domain(domain)));
        [self.typed.clone(), self.address.clone(), nfd(&readable), readable]
    }
}

impl Email {
    /// Of what was found by [`Email::forms`], what was stored in the form that was typed, or else in the nearest one.
    pub fn nearest<T>(&self, found: Vec<T>, email: impl Fn(&T) -> &str) -> Option<T> {
        let forms = self.forms();
        found.into_iter().min_by_key(|one| forms.iter().position(|form| form == email(one)))
    }
}

fn no_address() -> String {
    "Enter an email address, like ada@example.com.".to_owned()
}

fn lower(raw: &str) -> String {
    raw.trim().to_lowercase()
}

/// The parts of an address around the last `@`, if it can be one.
fn split(address: &str) -> Option<(&str, &str)> {
    let plain = !address.chars().any(|c| c.is_whitespace() || c.is_control());
    address.rsplit_once('@').filter(|(local, domain)| plain && !local.is_empty() && !domain.is_empty())
}

/// Whether a text has Latin letters together with those of a script that has many of the same look.
fn mixes_scripts(text: &str) -> bool {
    let is_latin = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}');
    let looks_latin = |c: char| {
        matches!(c, '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' // Greek
            | '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' // Cyrillic
            | '\u{530}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' // Armenian, Cherokee
            | '\u{2c80}'..='\u{2cff}' | '\u{a4d0}'..='\u{a4ff}') // Coptic, Lisu
    };
    text.chars().any(is_latin) && text.chars().any(looks_latin)
}

/// A display name of at most 100 characters; may be empty.
///
/// # Errors
/// As [`typed`](super::text::typed).
pub fn display_name(raw: &str) -> Result<String, String> {
    super::text::typed(raw, 100)
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
    if password.chars().count() < PASSWORD_MIN {
        return Err(format!("Use at least {PASSWORD_MIN} characters."));
    }
    super::fields::within(password, PASSWORD_MAX)
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
    fn an_email_address_has_one_form_however_it_is_typed() {
        for (typed, address) in [
            ("E\u{301}mile@example.com", "émile@example.com"),
            ("ÉMILE@example.com", "émile@example.com"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("иван@пример.рф", "иван@xn--e1afmkfd.xn--p1ai"),
            ("山田@example.jp", "山田@example.jp"),
        ] {
            assert_eq!(Email::parse(typed).unwrap().as_str(), address, "{typed}");
            let again = Email::parse(address).unwrap();
            assert_eq!(again.as_str(), address);
            assert!(again.forms().contains(&address.to_owned()));
        }
        assert!(Email::parse("ada@xn--bcher-kva.example").unwrap().forms().contains(&"ada@bücher.example".to_owned()));
    }

    #[test]
    fn an_email_address_that_looks_like_another_is_refused() {
        for c in [
            "\u{200b}",
            "\u{200d}",
            "\u{ad}",
            "\u{202e}",
            "\u{2066}",
            "\u{feff}",
            "\u{e0041}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{34f}",
        ] {
            for address in
                [format!("ro{c}ot@example.com"), format!("{c}root@example.com"), format!("root@exa{c}mple.com")]
            {
                let sentence = Email::parse(&address).unwrap_err();
                assert!(sentence.contains("U+"), "{address:?}: {sentence}");
                assert_eq!(Email::to_find(&address).unwrap().as_str(), address.to_lowercase());
            }
        }
        for address in [
            "ｒoot@example.com",
            "root@ｅxample.com",
            "ⓡoot@example.com",
            "ﬁnn@example.com",
            "rооt@example.com",
            "rοοt@example.com",
        ] {
            assert!(Email::parse(address).is_err(), "{address}");
        }
        assert_eq!(Email::parse("root@ex\u{430}mple.com").unwrap().as_str(), "root@xn--exmple-4nf.com");
        assert_eq!(Email::parse(&format!("kf_8Qw3ZkPa_{}@example.com", "a1".repeat(19))).unwrap_err(), CONTAINS_KEY);
    }

    #[test]
    fn a_password_has_8_to_128_characters_not_bytes() {
        assert!(password_length("1234567").is_err());
        assert!(password_length("12345678").is_ok());
        assert!(password_length(&"ü".repeat(128)).is_ok());
        assert!(password_length(&"ü".repeat(129)).is_err());
    }
}
