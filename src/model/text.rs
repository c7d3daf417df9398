//! Normalisation of text that people type and others see. Invisible characters, and those that change the text direction, are
//! rejected where no script needs them.

pub use super::characters::is_hidden;
use super::characters::{is_blank, is_ideograph, is_indic, is_joining, is_standalone_emoji, is_variation, is_visible};
use super::redact::{CONTAINS_KEY, contains_key, redact};
use crate::unicode::{Kind, kind, nfc};

/// The most marks on one letter. Scripts need four. Many more would cover other lines.
const MAX_MARKS: usize = 6;

const JOINER: char = '\u{200d}';
const NON_JOINER: char = '\u{200c}';

/// Writes a whole number with a thin space between thousands: `52 000`.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Checks and normalises one line of text: trimmed, in normal form C. It may be empty. Rejects API keys, more than `limit`
/// characters, control characters and invisible characters.
pub fn normalize(raw: &str, limit: usize) -> Result<String, String> {
    let text = nfc(raw.trim());
    if contains_key(&text) {
        return Err(CONTAINS_KEY.to_owned());
    }
    check_length(&text, limit)?;
    if text.chars().any(|c| kind(c) == Kind::Control) {
        return Err("Remove line breaks, tabs and other control characters.".to_owned());
    }
    if let Some((_, c)) = hidden(&text).next() {
        return Err(format!("Remove the character {}: it's invisible or changes the text direction.", code(c)));
    }
    if has_many_marks(&text) {
        return Err("Use fewer marks above and below the letters.".to_owned());
    }
    if !text.is_empty() && !text.chars().any(is_visible) {
        return Err("Use at least one visible character.".to_owned());
    }
    Ok(text)
}

/// Checks and normalises a text of 1 to 100 characters. `missing` is the error of an empty text.
pub fn short_text(raw: &str, missing: &str) -> Result<String, String> {
    let text = normalize(raw, 100)?;
    if text.is_empty() { Err(missing.to_owned()) } else { Ok(text) }
}

/// Checks that a text has at most `limit` characters. Code points count, as in JSON Schema. Browsers count differently, so forms
/// have no `maxlength`.
pub fn check_length(text: &str, limit: usize) -> Result<(), String> {
    match text.chars().count() {
        count if count > limit => Err(format!("Use at most {limit} characters; this has {count}.")),
        _ => Ok(()),
    }
}

/// Returns stored text in the form that pages show. Earlier versions stored any character: those that [`normalize`] rejects
/// become `[U+200B]`, and secrets of keys are redacted.
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

/// Isolates the text direction of a name within plain text, with U+2068 and U+2069.
pub fn isolated(name: &str) -> String {
    if name.is_ascii() { name.to_owned() } else { format!("\u{2068}{name}\u{2069}") }
}

fn has_many_marks(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        run = if kind(c) == Kind::Mark && !is_variation(c) { run + 1 } else { 0 };
        run > MAX_MARKS
    })
}

/// Returns the invisible characters that no script needs at their place, with their positions.
fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut before = None;
    text.char_indices().filter(move |(at, c)| {
        let rest = &text[at + c.len_utf8()..];
        let refused = is_hidden(*c) && !is_blank(*c) && !is_needed(*c, before, rest);
        before = Some(*c);
        refused
    })
}

/// Whether a script or an emoji needs an invisible character between `before` and `rest`.
fn is_needed(c: char, before: Option<char>, rest: &str) -> bool {
    let Some(before) = before else { return false };
    let after = rest.chars().next();
    match c {
        JOINER if is_standalone_emoji(before) || before == '\u{fe0f}' => after.is_some_and(is_standalone_emoji),
        // In some scripts of India a joiner ends a word.
        JOINER | NON_JOINER => {
            is_joining(before) && after.map_or(is_indic(before), |after| is_joining(after) || is_indic(before))
        }
        // A digit with a selector is the beginning of a keycap.
        '\u{fe0e}' | '\u{fe0f}' if before.is_ascii() => rest.starts_with('\u{20e3}'),
        '\u{fe0e}' | '\u{fe0f}' => is_standalone_emoji(before),
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(before),
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(before, '\u{1800}'..='\u{18af}'),
        _ => false,
    }
}

fn code(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (-1_234_567, "-1\u{202f}234\u{202f}567")]
        {
            assert_eq!(thousands(number), text);
        }
    }

    #[track_caller]
    fn refused(text: &str) -> String {
        normalize(text, 100).expect_err(&format!("{text:?} was taken"))
    }

    #[test]
    fn a_name_is_kept_in_normal_form_c_and_trimmed() {
        assert_eq!(normalize(" E\u{301}mile\u{2003}", 100).unwrap(), "Émile");
        assert_eq!(normalize(&"e\u{301}".repeat(100), 100).unwrap().chars().count(), 100);
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
            assert_eq!(normalize(name, 100).as_deref(), Ok(nfc(name).as_str()), "{name:?}");
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
        assert_eq!(normalize(" \u{3000}\u{a0} ", 100).as_deref(), Ok(""));
    }

    #[test]
    fn marks_do_not_pile_up() {
        refused(&format!("a{}", "\u{35f}".repeat(7)));
        assert!(normalize(&format!("a{}", "\u{35f}".repeat(6)), 100).is_ok());
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

    #[test]
    fn a_name_has_1_to_100_characters_after_trimming() {
        assert_eq!(short_text("", "Missing.").unwrap_err(), "Missing.");
        assert_eq!(short_text(" \u{2003} ", "Missing.").unwrap_err(), "Missing.");
        assert_eq!(short_text(" a ", "Missing.").unwrap(), "a");
        assert!(short_text(&"é".repeat(100), "Missing.").is_ok());
        assert!(short_text(&"é".repeat(101), "Missing.").unwrap_err().contains("100"));
    }

    #[test]
    fn a_name_may_be_emoji_or_right_to_left_but_not_control_characters() {
        assert!(short_text("🔑 מפתח", "Missing.").is_ok());
        assert!(short_text("a\0b", "Missing.").is_err());
        assert!(short_text("a\nb", "Missing.").is_err());
    }
}
