//! Email addresses.

use crate::model::redact::{CONTAINS_KEY, contains_key};
use crate::model::text::is_hidden;
use crate::unicode::{ascii_domain, is_styled, nfc, nfd, readable_domain};

/// A normalised email address: trimmed, lowercase, in normal form C, with an ASCII domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    address: String,
    /// The typed text in lowercase. Earlier versions stored this form.
    typed: String,
}

/// The longest address that SMTP can carry, in bytes (RFC 5321, erratum 1690).
const EMAIL_MAX: usize = 254;

impl Email {
    /// Parses an address for a new account or an invitation. Rejects look-alikes of other addresses. Only an email could tell
    /// whether the address exists.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let (typed, address) = (lower(raw), nfc(&lower(&nfc(raw))));
        if contains_key(&address) {
            return Err(CONTAINS_KEY.to_owned());
        }
        let (local, domain) = split(&address).ok_or_else(not_an_address)?;
        if let Some(c) = address.chars().find(|c| is_hidden(*c)) {
            return Err(format!("Remove the character U+{:04X}: it's invisible.", u32::from(c)));
        }
        if is_styled(&address) {
            return Err("Write the address in plain letters and digits.".to_owned());
        }
        if mixes_scripts(local) {
            return Err("Don't mix Latin letters with look-alike letters of another script.".to_owned());
        }
        let domain = if domain.is_ascii() { Some(domain.to_owned()) } else { ascii_domain(domain) };
        let address = format!("{local}@{}", domain.ok_or_else(not_an_address)?);
        if address.len() > EMAIL_MAX {
            return Err(format!("Use at most {EMAIL_MAX} characters for an email address."));
        }
        Ok(Self { address, typed })
    }

    /// Parses an address to find an account by. It accepts addresses that earlier versions stored and [`Email::parse`] rejects,
    /// so that their owners can sign in.
    pub fn to_find(raw: &str) -> Result<Self, String> {
        Self::parse(raw).or_else(|_| {
            let typed = lower(raw);
            let fits = typed.len() <= EMAIL_MAX && split(&typed).is_some() && !contains_key(&typed);
            if fits { Ok(Self { address: typed.clone(), typed }) } else { Err(not_an_address()) }
        })
    }

    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// Returns the forms in which the database may have the address: as typed, as stored today, and as earlier versions stored
    /// what another keyboard or program sends.
    pub fn forms(&self) -> [String; 4] {
        let readable = split(&self.address)
            .map_or_else(String::new, |(local, domain)| format!("{local}@{}", readable_domain(domain)));
        [self.typed.clone(), self.address.clone(), nfd(&readable), readable]
    }

    /// Returns the best match among the accounts found by [`Email::forms`]: the typed form first.
    pub fn best_match<T>(&self, found: Vec<T>, email: impl Fn(&T) -> &str) -> Option<T> {
        let forms = self.forms();
        found.into_iter().min_by_key(|one| forms.iter().position(|form| form == email(one)))
    }
}

fn not_an_address() -> String {
    "Enter an email address, like ada@example.com.".to_owned()
}

fn lower(raw: &str) -> String {
    raw.trim().to_lowercase()
}

/// Splits an address at its last `@`. Returns `None` if it cannot be an address.
fn split(address: &str) -> Option<(&str, &str)> {
    let plain = !address.chars().any(|c| c.is_whitespace() || c.is_control());
    address.rsplit_once('@').filter(|(local, domain)| plain && !local.is_empty() && !domain.is_empty())
}

/// Whether a text mixes Latin letters with those of a script with many look-alikes.
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
}
