//! Texts that people type and others see. Each is kept in normal form C. Characters that are not shown, or that change the
//! direction of what follows, are refused where no script needs them.

use super::fields::within;
use super::redact::{CONTAINS_KEY, contains_key, redact};
use crate::unicode::{Kind, is_emoji, kind, nfc};

/// How many marks may stand above and below one letter. Scripts need four; with many more they cover other lines.
const MAX_MARKS: usize = 6;

const JOINER: char = '\u{200d}';
const NON_JOINER: char = '\u{200c}';

/// A text of one line as it was typed: in normal form C, without white space around it. It may be empty.
///
/// # Errors
/// A sentence that says what is wrong: an API key in it, more than `limit` characters, or a character that has no place in it.
pub fn typed(raw: &str, limit: usize) -> Result<String, String> {
    let text = nfc(raw.trim());
    if contains_key(&text) {
        return Err(CONTAINS_KEY.to_owned());
    }
    within(&text, limit)?;
    if text.chars().any(|c| kind(c) == Kind::Control) {
        return Err("Use no line breaks, tabs or other control characters.".to_owned());
    }
    if let Some((_, c)) = hidden(&text).next() {
        return Err(format!("Leave out the character {}: it is not shown, or changes the direction.", code(c)));
    }
    if has_many_marks(&text) {
        return Err("Use fewer marks above and below the letters.".to_owned());
    }
    if !text.is_empty() && !text.chars().any(is_visible) {
        return Err("Use at least one character that can be seen.".to_owned());
    }
    Ok(text)
}

/// A text of the database as it may be shown. Older versions took any character: those that [`typed`] refuses become `[U+200B]`,
/// and the secret of a key is cut out.
#[must_use]
pub fn shown(text: &str) -> String {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return redact(text).into_owned();
    }
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for (at, c) in hidden(text) {
        clean.push_str(&text[from..at]);
        clean.extend(["[", &code(c), "]"]);
        from = at + c.len_utf8();
    }
    clean.push_str(&text[from..]);
    redact(&clean).into_owned()
}

/// A name within a sentence that has no markup. Its direction ends with it, by U+2068 and U+2069.
#[must_use]
pub fn isolated(name: &str) -> String {
    if name.is_ascii() { name.to_owned() } else { format!("\u{2068}{name}\u{2069}") }
}

/// Whether a character can be left out of a text without a trace: it is not shown, or only changes the one before it.
#[must_use]
pub const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character has no place in an address or a line of the log: it is not shown, whatever stands around it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    let combines = matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}');
    matches!(kind(c), Kind::Control | Kind::Format)
        || (is_ignorable(c) && !combines)
        || is_blank(c)
        || is_no_character(c)
}

/// Signs that are shown as nothing.
const fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{16fe4}' | '\u{1d159}' | '\u{13441}' | '\u{13442}')
}

const fn is_no_character(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xfffe == 0xfffe
}

fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_blank(c) && !is_variation(c)
}

fn has_many_marks(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        run = if kind(c) == Kind::Mark && !is_variation(c) { run + 1 } else { 0 };
        run > MAX_MARKS
    })
}

/// Variation selectors are marks to Unicode, but are not shown.
const fn is_variation(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// The characters of a text that are not shown and that no script needs where they stand, and their places.
fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut before = None;
    text.char_indices().filter(move |(at, c)| {
        let rest = &text[at + c.len_utf8()..];
        let refused = is_hidden(*c) && !is_blank(*c) && !is_needed(*c, before, rest);
        before = Some(*c);
        refused
    })
}

/// Whether a character that is not shown has its place after one and before others.
fn is_needed(c: char, before: Option<char>, rest: &str) -> bool {
    let Some(before) = before else { return false };
    let after = rest.chars().next();
    match c {
        JOINER if is_sign(before) || before == '\u{fe0f}' => after.is_some_and(is_sign),
        // In some scripts of India a joiner ends a word.
        JOINER | NON_JOINER => {
            joins(before) && after.map_or(is_indic(before), |after| joins(after) || is_indic(before))
        }
        // A digit with a selector is the beginning of a keycap.
        '\u{fe0e}' | '\u{fe0f}' if before.is_ascii() => rest.starts_with('\u{20e3}'),
        '\u{fe0e}' | '\u{fe0f}' => is_sign(before),
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(before),
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(before, '\u{1800}'..='\u{18af}'),
        _ => false,
    }
}

/// Whether a character is an emoji by itself; digits are by what follows them.
fn is_sign(c: char) -> bool {
    is_emoji(c) && !c.is_ascii()
}

/// Scripts whose letters change where they meet: Arabic and its kin, those of India and their kin, Khmer, Mongolian.
const fn joins(c: char) -> bool {
    is_indic(c)
        || matches!(c, '\u{600}'..='\u{8ff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1a20}'..='\u{1cff}'
            | '\u{a840}'..='\u{a9df}' | '\u{aa60}'..='\u{aa7f}' | '\u{fb50}'..='\u{fdcf}' | '\u{fe70}'..='\u{fefc}'
            | '\u{11000}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}')
}

const fn is_indic(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}' | '\u{a8e0}'..='\u{a8ff}')
}

const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn code(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) -> String {
        typed(text, 100).expect_err(&format!("{text:?} was taken"))
    }

    #[test]
    fn a_name_is_kept_in_normal_form_c_and_trimmed() {
        assert_eq!(typed(" E\u{301}mile\u{2003}", 100).unwrap(), "Émile");
        assert_eq!(typed(&"e\u{301}".repeat(100), 100).unwrap().chars().count(), 100);
    }

    #[test]
    fn what_scripts_and_emoji_need_is_taken() {
        for name in [
            "Ada Lovelace",
            "O’Brien-Łukasiewicz",
            "山田 太郎",
            "葛\u{e0100}城",
            "محمد",
            "نامه\u{200c}ای",
            "क्\u{200d}ष",
            "രമണന്\u{200d}",
            "ශ්\u{200d}රී",
            "מַפְתֵּחַ",
            "🔑 מפתח",
            "👩\u{200d}👩\u{200d}👧",
            "👩🏽\u{200d}💻",
            "🏳\u{fe0f}\u{200d}🌈",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "🇨🇭",
            "Tiếng Việt",
            "ภาษาไทย",
            "\u{600}12",
            "<b>Ada</b>",
        ] {
            assert_eq!(typed(name, 100).as_deref(), Ok(nfc(name).as_str()), "{name:?}");
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn what_is_not_shown_or_changes_the_direction_is_refused_by_its_number() {
        for c in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2061}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{ffff}',
        ] {
            for name in [format!("a{c}b"), format!("{c}ab"), format!("ab{c}"), format!("a{c}{c}b")] {
                let sentence = refused(&name);
                assert!(sentence.contains(&format!("U+{:04X}", u32::from(c))), "{name:?}: {sentence}");
                assert!(shown(&name).contains("[U+") && !shown(&name).contains(c), "{name:?}");
            }
        }
        for name in ["🔑\u{200d}a", "ن\u{200c}\u{200c}ن", "a\u{200c}ن", "1\u{fe0f}", "👩\u{200d}"] {
            assert!(refused(name).contains("U+"), "{name:?}");
        }
    }

    #[test]
    fn lines_and_controls_are_refused() {
        for c in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}'] {
            assert!(refused(&format!("a{c}b")).contains("control"), "{c:?}");
        }
    }

    #[test]
    fn a_name_that_shows_nothing_is_refused() {
        for name in ["\u{2800}", "\u{2800} \u{2800}", "\u{16fe4}", "\u{1d159}", "\u{13441}\u{13442}"] {
            refused(name);
        }
        assert_eq!(typed(" \u{3000}\u{a0} ", 100).as_deref(), Ok(""));
    }

    #[test]
    fn marks_do_not_pile_up() {
        refused(&format!("a{}", "\u{35f}".repeat(7)));
        assert!(typed(&format!("a{}", "\u{35f}".repeat(6)), 100).is_ok());
    }

    #[test]
    fn a_name_with_a_key_in_it_is_refused_and_an_old_one_is_shown_without() {
        let key = format!("ci kf_8Qw3ZkPa_{}", "a1".repeat(19));
        assert_eq!(refused(&key), CONTAINS_KEY);
        assert_eq!(shown(&key), "ci kf_8Qw3ZkPa...");
    }

    #[test]
    fn a_name_in_a_sentence_keeps_its_direction_to_itself() {
        assert_eq!(isolated("Ada"), "Ada");
        assert_eq!(isolated("מפתח"), "\u{2068}מפתח\u{2069}");
    }
}
