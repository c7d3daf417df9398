//! Unicode tables: normal forms, classes of characters, and domains in ASCII. Server only.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// The class of a character, as far as names distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A letter, digit or symbol.
    Shown,
    /// A combining mark.
    Mark,
    Space,
    /// A line break or a terminal control character.
    Control,
    /// An invisible character that joins, separates or changes the direction.
    Format,
    /// Unassigned, or for private use.
    Unknown,
}

/// Returns the class of a character.
pub fn kind(c: char) -> Kind {
    use GeneralCategory as Is;
    match c.general_category() {
        Is::Control | Is::LineSeparator | Is::ParagraphSeparator => Kind::Control,
        // Number signs of Arabic and other scripts enclose the digits after them.
        Is::Format if is_number_sign(c) => Kind::Shown,
        Is::Format => Kind::Format,
        Is::NonspacingMark | Is::EnclosingMark => Kind::Mark,
        Is::SpaceSeparator => Kind::Space,
        Is::Unassigned | Is::PrivateUse | Is::Surrogate => Kind::Unknown,
        _ => Kind::Shown,
    }
}

fn is_number_sign(c: char) -> bool {
    matches!(
        c,
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{110bd}' | '\u{110cd}'
    )
}

/// Whether a character can be part of an emoji. Digits can.
pub fn is_emoji(c: char) -> bool {
    c.is_emoji_char()
}

/// Converts to normal form C.
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// Converts to normal form D.
pub fn nfd(text: &str) -> String {
    text.nfd().collect()
}

/// Whether a text has compatibility characters: full-width, small or circled letters, and ligatures.
pub fn is_styled(text: &str) -> bool {
    !unicode_normalization::is_nfkc(text)
}

/// Converts a domain to ASCII (Punycode). `None` for an invalid domain.
pub fn ascii_domain(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain).ok().filter(|domain| !domain.is_empty())
}

/// Converts a domain to Unicode.
pub fn readable_domain(domain: &str) -> String {
    idna::domain_to_unicode(domain).0
}
