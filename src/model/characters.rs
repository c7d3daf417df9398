//! Classes of characters: invisible ones, and those that scripts and emoji need.

use crate::unicode::{Kind, is_emoji, kind};

/// Whether a character can be removed from a text without a visible change: it is invisible or only modifies the one before it.
pub const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is invisible in every context, so that addresses and log lines must not contain it.
pub fn is_hidden(c: char) -> bool {
    let combines = matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}');
    matches!(kind(c), Kind::Control | Kind::Format)
        || (is_ignorable(c) && !combines)
        || is_blank(c)
        || is_noncharacter(c)
}

/// Whether a symbol has no visible form.
pub const fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{16fe4}' | '\u{1d159}' | '\u{13441}' | '\u{13442}')
}

const fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xfffe == 0xfffe
}

pub fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_blank(c) && !is_variation(c)
}

/// Whether a character is a variation selector. Unicode classes them as marks, but they are invisible.
pub const fn is_variation(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a character is an emoji by itself. Digits are only with what follows them.
pub fn is_standalone_emoji(c: char) -> bool {
    is_emoji(c) && !c.is_ascii()
}

/// Whether a letter is of a script whose letters join: Arabic, Indic scripts, Khmer, Mongolian and their relatives.
pub const fn is_joining(c: char) -> bool {
    is_indic(c)
        || matches!(c, '\u{600}'..='\u{8ff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1a20}'..='\u{1cff}'
            | '\u{a840}'..='\u{a9df}' | '\u{aa60}'..='\u{aa7f}' | '\u{fb50}'..='\u{fdcf}' | '\u{fe70}'..='\u{fefc}'
            | '\u{11000}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}')
}

pub const fn is_indic(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}' | '\u{a8e0}'..='\u{a8ff}')
}

pub const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
