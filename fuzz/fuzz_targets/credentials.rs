//! Whatever the header lines, in whatever order, the reader does not panic and has one reading of them, that of the published
//! rules: no key, the one key that stands there, a malformed one, or more than one; and `is_present` is false for the first alone.
//! An input is lines; the first letter of each stands for the name of the header, and the rest is its value. In a value the
//! byte 1 stands for a key, and the byte 2 for another, for no mutation comes upon one. Both never existed.

#![no_main]

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use keyfob::error::AppError;
use keyfob::server::auth::api_key_header::{extract, is_present};
use keyfob::server::auth::key_format::Digest;
use keyfob_fuzz::{is_key, with_checksum};
use libfuzzer_sys::fuzz_target;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const OWN: HeaderName = HeaderName::from_static("x-company-key");

fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').filter_map(line).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in &lines {
        headers.append(name, value.clone());
    }
    for own in [None, Some(&OWN), Some(&X_API_KEY)] {
        let expected = expected(&lines, own);
        let read = extract(&headers, own).map(|key| key.map(|key| key.digest()));
        assert_eq!(read, expected, "{lines:?}, own header {own:?}");
        assert_eq!(is_present(&headers, own), expected != Ok(None), "{lines:?}, own header {own:?}");
    }
});

fn line(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (letter, value) = line.split_first()?;
    let name = match letter {
        b'a' => AUTHORIZATION,
        b'x' => X_API_KEY,
        b'o' => OWN,
        _ => COOKIE,
    };
    let value: Vec<_> = value.iter().flat_map(|byte| written_out(*byte)).collect();
    Some((name, HeaderValue::from_bytes(&value).ok()?))
}

fn written_out(byte: u8) -> Vec<u8> {
    match byte {
        1 => with_checksum(b"madeup_neverwas_OneKeyThatNeverExisted0000000000"),
        2 => with_checksum(b"kf_neverwas_AnotherKeyThatNeverExisted000000"),
        _ => vec![byte],
    }
}

fn expected(lines: &[(HeaderName, HeaderValue)], own: Option<&HeaderName>) -> Result<Option<Digest>, AppError> {
    let presented = lines.iter().filter_map(|(name, value)| match value.as_bytes() {
        value if *name == AUTHORIZATION => after_scheme(value, b"api-key").or_else(|| after_scheme(value, b"bearer")),
        value => (*name == X_API_KEY || Some(name) == own).then_some(value),
    });
    match presented.collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [one] if is_key(one) => Ok(Some(Digest::of(&String::from_utf8_lossy(one)))),
        [_] => Err(AppError::KeyMalformed),
        _ => Err(AppError::CredentialsAmbiguous),
    }
}

/// What stands behind the scheme and one space; nothing behind the scheme alone.
fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    match rest {
        [] | [b' ', ..] if start.eq_ignore_ascii_case(scheme) => Some(rest.strip_prefix(b" ").unwrap_or_default()),
        _ => None,
    }
}
