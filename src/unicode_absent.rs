//! Browser stub of `unicode.rs`. The browser validates no typed text, so it needs no tables.

/// See `unicode.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the rules name all kinds")]
pub enum Kind {
    Shown,
    Mark,
    Space,
    Control,
    Format,
    Unknown,
}

pub fn kind(_: char) -> Kind {
    Kind::Shown
}

pub fn is_emoji(_: char) -> bool {
    false
}

pub fn nfc(text: &str) -> String {
    text.to_owned()
}

pub fn nfd(text: &str) -> String {
    text.to_owned()
}

pub fn is_styled(_: &str) -> bool {
    false
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of the other side")]
pub fn ascii_domain(domain: &str) -> Option<String> {
    Some(domain.to_owned())
}

pub fn readable_domain(domain: &str) -> String {
    domain.to_owned()
}
