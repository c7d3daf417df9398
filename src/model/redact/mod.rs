//! API keys inside other text. People paste keys into names, searches and addresses. [`redact`] removes the secret and leaves the
//! public prefix, before text reaches a URL, a page, the log or the audit.

mod escapes;

use std::borrow::Cow;

use self::escapes::{Piece, unescape};
use super::characters::is_ignorable;

/// The error of a text that contains a key.
pub const CONTAINS_KEY: &str = "This contains an API key. Remove it: anyone who sees this text could use the key.";

/// The length of a key's public part after the brand, and of its secret with the checksum.
const PUBLIC_LEN: usize = 8;
const SECRET_LEN: usize = 38;
const BRAND: std::ops::RangeInclusive<usize> = 2..=8;
/// The length of the shortest secret of an imported key, which follows its public part and a dot.
const IMPORTED_SECRET_LEN: usize = 32;
/// The length of the shortest key.
const MIN_KEY_LEN: usize = PUBLIC_LEN + 1 + IMPORTED_SECRET_LEN;
/// The most keys that are extracted from one text.
const MAX_KEYS: usize = 10;
/// How often nested escapes are decoded.
const MAX_ESCAPES: usize = 3;

/// Replaces the secret of every key: `Api-Key kf_8Qw3ZkPa_...` becomes `Api-Key kf_8Qw3ZkPa...`. It ignores the checksum, case,
/// line breaks, invisible characters and common escapes.
pub fn redact(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut found: Vec<_> = readings(text).iter().flat_map(|pieces| find(pieces)).collect();
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|part| part.start);
    let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
    for part in found {
        // Two readings may find the same key.
        if part.start >= from {
            clean.push_str(&text[from..part.start]);
            clean.push_str("...");
        }
        from = from.max(part.end);
    }
    clean.push_str(&text[from..]);
    Cow::Owned(clean)
}

/// Whether a text contains something with the format of a key.
pub fn contains_key(text: &str) -> bool {
    !is_plain(text) && readings(text).iter().any(|pieces| !find(pieces).is_empty())
}

/// Returns possible keys in a text. Letters before the brand give several candidates for each key. The checksum tells which is
/// right.
pub fn candidates(text: &str) -> Vec<String> {
    if is_plain(text) {
        return Vec::new();
    }
    let found = readings(text).into_iter().flat_map(|pieces| find(&pieces).into_iter().take(MAX_KEYS));
    let mut keys: Vec<_> = found.flat_map(|found| found.keys).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The byte range of a secret, and the candidates for its key.
struct Match {
    start: usize,
    end: usize,
    keys: Vec<String>,
}

/// Whether a quick look excludes a key. It does for nearly every text, and every request takes this path.
fn is_plain(text: &str) -> bool {
    // Many lines have a request id, which is as long as the secret of an imported key.
    let (mut run, mut after_dot) = (0, false);
    text.len() < MIN_KEY_LEN
        || text.bytes().all(|b| {
            if b.is_ascii_alphanumeric() {
                run += 1;
            } else {
                (run, after_dot) = (0, b == b'.');
            }
            let is_short = run < if after_dot { IMPORTED_SECRET_LEN } else { SECRET_LEN };
            is_short && (b' '..=b'~').contains(&b) && !matches!(b, b'%' | b'\\' | b'&' | b'=')
        })
}

/// Returns the text with its escapes decoded zero to [`MAX_ESCAPES`] times. All readings count, because a percent sign may start
/// an escape or precede the brand of a key.
fn readings(text: &str) -> Vec<Vec<Piece>> {
    let pieces = text.char_indices().map(|(start, c)| Piece { c, start, end: start + c.len_utf8() });
    let mut readings = vec![pieces.collect::<Vec<_>>()];
    while readings.len() <= MAX_ESCAPES
        && let Some(unescaped) = readings.last().and_then(|pieces| unescape(pieces))
    {
        readings.push(unescaped);
    }
    readings
}

fn find(pieces: &[Piece]) -> Vec<Match> {
    let symbols = symbols(pieces);
    let (mut found, mut next) = (Vec::new(), 0);
    for at in 0..symbols.len() {
        if at >= next
            && let Some((part, end)) = key_at(&symbols, at).or_else(|| imported_key_at(&symbols, at))
        {
            next = end;
            found.push(part);
        }
    }
    found
}

/// Returns the key whose first underscore is at `at`, and its end.
fn key_at(symbols: &[Piece], at: usize) -> Option<(Match, usize)> {
    let is_underscore = |place: usize| symbols.get(place).is_some_and(|symbol| symbol.c == '_');
    let second = at + 1 + PUBLIC_LEN;
    if !is_underscore(at) || !is_underscore(second) {
        return None;
    }
    let letters = symbols[..at].iter().rev().take_while(|symbol| symbol.c.is_ascii_alphabetic());
    let letters = letters.take(*BRAND.end()).count();
    let is_base62 = |symbol: &&Piece| symbol.c.is_ascii_alphanumeric();
    let public = symbols[at + 1..second].iter().take_while(is_base62).count();
    // Redact everything that follows, because the end of the secret is unknown.
    let secret = symbols[second + 1..].iter().take_while(is_base62).count();
    if letters < *BRAND.start() || public < PUBLIC_LEN || secret < SECRET_LEN {
        return None;
    }
    let text = |from: usize| symbols[from..=second + SECRET_LEN].iter().map(|symbol| symbol.c).collect::<String>();
    let keys = (*BRAND.start()..=letters).map(|brand| text(at - brand)).collect();
    let end = second + 1 + secret;
    Some((Match { start: symbols[second].start, end: symbols[end - 1].end, keys }, end))
}

/// Returns the imported key whose dot is at `at`, and its end. Nothing else may be before its public part: a longer word is the
/// name of a file or a host.
fn imported_key_at(symbols: &[Piece], at: usize) -> Option<(Match, usize)> {
    let is_base62 = |symbol: &&Piece| symbol.c.is_ascii_alphanumeric();
    let dot = symbols.get(at).filter(|symbol| symbol.c == '.')?;
    let public = symbols[..at].iter().rev().take_while(is_base62).take(PUBLIC_LEN + 1).count();
    let secret = symbols[at + 1..].iter().take_while(is_base62).count();
    if public != PUBLIC_LEN || secret < IMPORTED_SECRET_LEN {
        return None;
    }
    let end = at + 1 + secret;
    let key = symbols[at - PUBLIC_LEN..end].iter().map(|symbol| symbol.c).collect();
    Some((Match { start: dot.start, end: symbols[end - 1].end, keys: vec![key] }, end))
}

/// Reduces a text to the characters of keys, with a space for any other. Skips invisible characters, and line breaks with the
/// quote marks of mail programs.
fn symbols(pieces: &[Piece]) -> Vec<Piece> {
    let mut symbols = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        let mut broken = false;
        let space = pieces[at..].iter().take_while(|piece| {
            broken |= matches!(piece.c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
            piece.c.is_whitespace() || (broken && piece.c == '>')
        });
        let space = space.count();
        if space == 0 && !is_ignorable(piece.c) && !piece.c.is_control() {
            symbols.push(Piece { c: plain(piece.c), ..*piece });
        } else if space > 0 && !broken {
            symbols.push(Piece { c: ' ', ..*piece });
        }
        at += space.max(1);
    }
    symbols
}

/// Returns a character of a key, also for its full-width form, and a space for any other.
fn plain(c: char) -> char {
    let code = u32::from(c);
    let narrow = char::from_u32(if (0xff01..=0xff5e).contains(&code) { code - 0xfee0 } else { code });
    narrow.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "kf_8Qw3ZkPa_0123456789abcdefghijklmnopqrstuvABCDEF";

    /// Every form in which a key was thought to come, and what is left of it.
    #[test]
    fn the_secret_is_cut_out_whatever_surrounds_it() {
        for (text, left) in [
            (KEY.to_owned(), "kf_8Qw3ZkPa..."),
            (format!("Api-Key {KEY}"), "Api-Key kf_8Qw3ZkPa..."),
            (format!("\"{KEY}\","), "\"kf_8Qw3ZkPa...\","),
            (format!("{{\"key\":\"{KEY}\"}}"), "{\"key\":\"kf_8Qw3ZkPa...\"}"),
            (format!("https://a.example/?key={KEY}&b=1"), "https://a.example/?key=kf_8Qw3ZkPa...&b=1"),
            (format!("{KEY} {KEY}"), "kf_8Qw3ZkPa... kf_8Qw3ZkPa..."),
            (format!("{KEY}{KEY}"), "kf_8Qw3ZkPa..._8Qw3ZkPa..."),
            (format!("xx{KEY}yy"), "xxkf_8Qw3ZkPa..."),
            (KEY.replace('_', "%5F"), "kf%5F8Qw3ZkPa..."),
            (KEY.replace('_', "%255f"), "kf%255f8Qw3ZkPa..."),
            (KEY.replace('_', "\\u005f"), "kf\\u005f8Qw3ZkPa..."),
            (KEY.replace('_', "\\_"), "kf\\_8Qw3ZkPa\\..."),
            (KEY.replace('_', "&#95;"), "kf&#95;8Qw3ZkPa..."),
            (KEY.replace('_', "&lowbar;"), "kf&lowbar;8Qw3ZkPa..."),
            (KEY.replace('_', "=5F"), "kf=5F8Qw3ZkPa..."),
            (KEY.replace("_8", "_\u{200b}8").replace("ab", "a\u{feff}b"), "kf_\u{200b}8Qw3ZkPa..."),
            (KEY.replace("ab", "a\r\n  b"), "kf_8Qw3ZkPa..."),
            (KEY.replace("ab", "a\n> b"), "kf_8Qw3ZkPa..."),
            (KEY.replace("ab", "a=\r\nb"), "kf_8Qw3ZkPa..."),
            (KEY.replace("ab", "a%E2%80%8Bb"), "kf_8Qw3ZkPa..."),
            (KEY.replace('_', "%5Cu005f"), "kf%5Cu005f8Qw3ZkPa..."),
            (KEY.replace('_', "&amp;#95;"), "kf&amp;#95;8Qw3ZkPa..."),
            (KEY.replace("ab", "a%0D%0A%20b"), "kf_8Qw3ZkPa..."),
            (KEY.to_uppercase(), "KF_8QW3ZKPA..."),
            (format!("%ab{}", &KEY[2..]), "%ab_8Qw3ZkPa..."),
            (format!("acmecorp{}", &KEY[2..]), "acmecorp_8Qw3ZkPa..."),
        ] {
            let clean = redact(&text);
            assert_eq!(clean, left, "{text:?}");
            assert!(contains_key(&text) && !contains_key(&clean), "{text:?}");
        }
    }

    #[test]
    fn secret_of_an_imported_key_is_cut_out() {
        let key = "OcgvSBeR.9WIYJpbbAq7RP7o7cYcpWVGb1prEN2SJ";
        for (text, left) in [
            (key.to_owned(), "OcgvSBeR..."),
            (format!("Api-Key {key}"), "Api-Key OcgvSBeR..."),
            (format!("/profile?key={key}&b=1"), "/profile?key=OcgvSBeR...&b=1"),
            (format!("\"{key}\","), "\"OcgvSBeR...\","),
            (key.replace('.', "%2E"), "OcgvSBeR..."),
            (key.replace('.', "\\."), "OcgvSBeR\\..."),
            (key.replace('J', "\u{200b}J"), "OcgvSBeR..."),
            (format!("{key}longer"), "OcgvSBeR..."),
        ] {
            assert_eq!(redact(&text), left, "{text:?}");
            assert!(contains_key(&text) && !contains_key(left), "{text:?}");
        }
        assert_eq!(candidates(&format!("Api-Key {key}")), [key]);
        for text in [
            &key[..40],
            &key[1..],
            &format!("x{key}"),
            &key.replace('.', ".x."),
            "https://cdn.example.com/pkg/0123456789abcdef0123456789abcdef.js",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        ] {
            assert_eq!(redact(text), *text);
        }
    }

    #[test]
    fn a_pasted_key_is_found_in_every_form() {
        for text in
            [format!("Api-Key {KEY}"), format!("xx{KEY}yy"), KEY.replace('_', "%5F"), KEY.replace('Q', "\u{200b}Q")]
        {
            assert!(candidates(&text).contains(&KEY.to_owned()), "{text:?}: {:?}", candidates(&text));
        }
    }

    #[test]
    fn what_is_no_key_stays_as_it_is() {
        let short = &KEY[..KEY.len() - 1];
        for text in [
            "",
            "nightly report",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            short,
            "kf_8Qw3ZkPa",
            "0189a1b2-0000-7000-8000-000000000001 0189a1b2-0000-7000-8000-000000000001",
            "100% & \\ = text that has many of the signs, and is long enough to be looked at",
            "k_8Qw3ZkPa_0123456789abcdefghijklmnopqrstuvABCDEF",
            "a_text_with_many_underscores_and_no_key_in_it_although_it_is_long",
        ] {
            assert_eq!(redact(text), text);
            assert!(candidates(text).is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_key_in_any_text_is_cut_out(
            before in r"(\PC|[%\\&=_ \n]){0,20}",
            after in r"([^0-9A-Za-z]\PC{0,20})?",
            key in "[a-z]{2,8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}",
        ) {
            let text = format!("{before}{key}{after}");
            let secret = &key[key.len() - 38..];
            prop_assert!(!redact(&text).contains(secret), "{}", text);
            prop_assert!(contains_key(&text));
            prop_assert!(!contains_key(&redact(&text)), "{}", redact(&text));
        }

        #[test]
        fn nothing_makes_it_panic(text in r"(\PC|[%\\&=_;#xu{}0-9A-F\n\r\t >]){0,120}") {
            let clean = redact(&text);
            prop_assert_eq!(contains_key(&text), clean != text);
        }
    }
}
