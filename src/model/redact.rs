//! API keys inside other texts. People paste keys everywhere: into names, searches and addresses. [`redact`] cuts the secret out
//! before a text reaches a URL, a page, the log or the audit, and leaves the public prefix.

use std::borrow::Cow;

use super::text::is_ignorable;

/// What is said where a text that others see holds a key.
pub const CONTAINS_KEY: &str = "This contains an API key. Leave the key out: everyone who sees this text could use it.";

/// Characters of a key's public part after the brand, and of its secret with the checksum.
const PUBLIC_LEN: usize = 8;
const SECRET_LEN: usize = 38;
const BRAND: std::ops::RangeInclusive<usize> = 2..=8;
/// The shortest text that holds a key: brand, two underscores, public part, secret.
const SHORTEST: usize = 2 + 1 + PUBLIC_LEN + 1 + SECRET_LEN;
/// How many keys of one text are looked at.
const MAX_KEYS: usize = 10;
/// How many times escapes within escapes are undone.
const MAX_ESCAPES: usize = 3;

/// Replaces the secret of everything that has the shape of a key: `Api-Key kf_8Qw3ZkPa_...` is left as `Api-Key kf_8Qw3ZkPa...`.
/// The checksum does not count, and neither do case, line breaks, characters that are not shown, and the usual escapes.
#[must_use]
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
        // What one reading has cut, another may cut again.
        if part.start >= from {
            clean.push_str(&text[from..part.start]);
            clean.push_str("...");
        }
        from = from.max(part.end);
    }
    clean.push_str(&text[from..]);
    Cow::Owned(clean)
}

/// Whether a text holds something of the shape of a key.
#[must_use]
pub fn contains_key(text: &str) -> bool {
    !is_plain(text) && readings(text).iter().any(|pieces| !find(pieces).is_empty())
}

/// What may be keys in a text, without what surrounds them. The brand may have letters before it, so there are several for each;
/// the checksum tells which is right.
#[must_use]
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

/// A key-shaped part: the bytes of its secret, and what it may be as a key.
struct Found {
    start: usize,
    end: usize,
    keys: Vec<String>,
}

/// A character, and the bytes that it stands in; as an escape these are several.
#[derive(Clone, Copy)]
struct Piece {
    c: char,
    start: usize,
    end: usize,
}

/// Whether a text can be seen at once to hold no key. Nearly every text can, and this is on the way of every request.
fn is_plain(text: &str) -> bool {
    let mut run = 0;
    text.len() < SHORTEST
        || text.bytes().all(|b| {
            run = if b.is_ascii_alphanumeric() { run + 1 } else { 0 };
            run < SECRET_LEN && (b' '..=b'~').contains(&b) && !matches!(b, b'%' | b'\\' | b'&' | b'=')
        })
}

/// A text as it stands, and with its escapes undone, again and again. All of these count: what follows a percent sign may be an
/// escape, or the brand of a key.
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

fn find(pieces: &[Piece]) -> Vec<Found> {
    let symbols = symbols(pieces);
    let (mut found, mut next) = (Vec::new(), 0);
    for at in 0..symbols.len() {
        if at >= next
            && let Some((part, end)) = key_at(&symbols, at)
        {
            next = end;
            found.push(part);
        }
    }
    found
}

/// The key whose first underscore is here, and where it ends.
fn key_at(symbols: &[Piece], at: usize) -> Option<(Found, usize)> {
    let is_underscore = |place: usize| symbols.get(place).is_some_and(|symbol| symbol.c == '_');
    let second = at + 1 + PUBLIC_LEN;
    if !is_underscore(at) || !is_underscore(second) {
        return None;
    }
    let letters = symbols[..at].iter().rev().take_while(|symbol| symbol.c.is_ascii_alphabetic());
    let letters = letters.take(*BRAND.end()).count();
    let is_base62 = |symbol: &&Piece| symbol.c.is_ascii_alphanumeric();
    let public = symbols[at + 1..second].iter().take_while(is_base62).count();
    // All that follows goes: where the secret ends, nobody can tell.
    let secret = symbols[second + 1..].iter().take_while(is_base62).count();
    if letters < *BRAND.start() || public < PUBLIC_LEN || secret < SECRET_LEN {
        return None;
    }
    let text = |from: usize| symbols[from..=second + SECRET_LEN].iter().map(|symbol| symbol.c).collect::<String>();
    let keys = (*BRAND.start()..=letters).map(|brand| text(at - brand)).collect();
    let end = second + 1 + secret;
    Some((Found { start: symbols[second].start, end: symbols[end - 1].end, keys }, end))
}

/// What counts in a text: characters of keys, and a space for each other one. What is not shown is skipped, and so is white space
/// in which a line ends, with the marks with which mail programs quote.
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

/// A character of a key, also from its wide form; a space for any other.
fn plain(c: char) -> char {
    let code = u32::from(c);
    let narrow = char::from_u32(if (0xff01..=0xff5e).contains(&code) { code - 0xfee0 } else { code });
    narrow.filter(|c| c.is_ascii_alphanumeric() || *c == '_').unwrap_or(' ')
}

/// A text with its escapes undone once; `None` if it has none.
fn unescape(pieces: &[Piece]) -> Option<Vec<Piece>> {
    let mut plain = Vec::with_capacity(pieces.len());
    let (mut at, mut changed) = (0, false);
    while let Some(piece) = pieces.get(at) {
        let escape = escape(&pieces[at..]);
        let (c, len) = escape.unwrap_or((Some(piece.c), 1));
        changed |= escape.is_some();
        if let Some(c) = c {
            plain.push(Piece { c, start: piece.start, end: pieces[at + len - 1].end });
        }
        at += len;
    }
    changed.then_some(plain)
}

/// The character of an escape at the beginning, and how many characters it has. No character for what is skipped.
fn escape(pieces: &[Piece]) -> Option<(Option<char>, usize)> {
    let is = |place: usize, wanted: char| pieces.get(place).is_some_and(|piece| piece.c == wanted);
    match pieces[0].c {
        '%' => {
            // Encoded many times, `%5F` becomes `%255F`, `%25255F` and so on.
            let mut at = 1;
            while is(at, '2') && is(at + 1, '5') {
                at += 2;
            }
            let byte = hex(pieces.get(at..at + 2)?)?;
            // What is no ASCII may be a character that is not shown.
            Some((char::from_u32(byte).filter(char::is_ascii), at + 2))
        }
        '=' if is(1, '5') && is(2, 'F') => Some((Some('_'), 3)),
        '=' if is(1, '\n') || (is(1, '\r') && is(2, '\n')) => Some((None, 1)),
        '\\' if is(1, 'u') && is(2, '{') => {
            let end = pieces.iter().take(10).position(|piece| piece.c == '}')?;
            Some((char::from_u32(hex(&pieces[3..end])?), end + 1))
        }
        '\\' if is(1, 'u') => Some((char::from_u32(hex(pieces.get(2..6)?)?), 6)),
        '\\' if is(1, 'x') => Some((char::from_u32(hex(pieces.get(2..4)?)?), 4)),
        '\\' if is(1, 'n') || is(1, 'r') || is(1, 't') => Some((None, 2)),
        '\\' if is(1, '_') || is(1, '\\') => Some((None, 1)),
        '&' => entity(pieces),
        _ => None,
    }
}

fn entity(pieces: &[Piece]) -> Option<(Option<char>, usize)> {
    let end = pieces.iter().take(10).position(|piece| piece.c == ';')?;
    let name: String = pieces[1..end].iter().map(|piece| piece.c).collect();
    let c = match name.as_str() {
        "lowbar" | "UnderBar" => '_',
        "amp" => '&',
        number if number.starts_with("#x") || number.starts_with("#X") => char::from_u32(hex(&pieces[3..end])?)?,
        number => char::from_u32(number.strip_prefix('#')?.parse().ok()?)?,
    };
    Some((Some(c), end + 1))
}

fn hex(digits: &[Piece]) -> Option<u32> {
    let add = |sum: u32, piece: &Piece| sum.checked_mul(16)?.checked_add(piece.c.to_digit(16)?);
    digits.iter().try_fold(0, add).filter(|_| !digits.is_empty())
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
