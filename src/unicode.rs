//! What the tables of Unicode say: normal forms, kinds of characters, and domains in ASCII. On the server's side only.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// What a character is, as far as it matters for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is shown: a letter, a digit, a sign.
    Shown,
    /// It stands above or below another.
    Mark,
    /// A space.
    Space,
    /// It ends a line, or controls a terminal.
    Control,
    /// It has no form of its own: it joins, separates, or changes the direction.
    Format,
    /// It is not assigned, or everybody's own.
    Unknown,
}

/// What a character is.
pub fn kind(c: char) -> Kind {
    use GeneralCategory as Is;
    match c.general_category() {
        Is::Control | Is::LineSeparator | Is::ParagraphSeparator => Kind::Control,
        // Signs of Arabic and other scripts that enclose the digits after them.
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

/// Whether a character can be an emoji. Digits can, by what follows them.
pub fn is_emoji(c: char) -> bool {
    c.is_emoji_char()
}

/// The text in normal form C, in which each letter has one form.
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// The text in normal form D.
pub fn nfd(text: &str) -> String {
    text.nfd().collect()
}

/// Whether a text has letters that stand for others: wide, small, in circles, in ligatures.
pub fn is_styled(text: &str) -> bool {
    !unicode_normalization::is_nfkc(text)
}

/// A domain in ASCII, as the name service has it; `None` for what is none.
pub fn ascii_domain(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain).ok().filter(|domain| !domain.is_empty())
}

/// A domain as people write it.
pub fn readable_domain(domain: &str) -> String {
    idna::domain_to_unicode(domain).0
}
