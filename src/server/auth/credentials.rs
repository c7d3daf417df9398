//! Where a key may stand in a request, and how it is read: in one way only, or not at all.

use axum::http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use super::secrets::PresentedKey;
use crate::error::AppError;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The key of a request, if it carries one: `Authorization: Api-Key K`, `Authorization: Bearer K`, `X-Api-Key: K`, or
/// the header that the operator named. The scheme is matched without case (RFC 9110, 11.1), then stands exactly one
/// space, then the key, exactly. Another scheme is no key.
///
/// # Errors
/// [`AppError::CredentialsAmbiguous`] for more than one, [`AppError::KeyMalformed`] for what is no key.
pub fn key<'a>(headers: &'a HeaderMap, own: Option<&HeaderName>) -> Result<Option<PresentedKey<'a>>, AppError> {
    let mut found = presented(headers, own);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => PresentedKey::parse(one).map(Some).ok_or(AppError::KeyMalformed),
        _ => Err(AppError::CredentialsAmbiguous),
    }
}

/// Whether a request carries a key, good or bad.
#[must_use]
pub fn has_key(headers: &HeaderMap, own: Option<&HeaderName>) -> bool {
    presented(headers, own).next().is_some()
}

fn presented<'a>(headers: &'a HeaderMap, own: Option<&HeaderName>) -> impl Iterator<Item = &'a [u8]> {
    let bare = own.filter(|own| **own != X_API_KEY).into_iter().chain([&X_API_KEY]);
    let bare = bare.flat_map(|name| headers.get_all(name)).map(axum::http::HeaderValue::as_bytes);
    headers.get_all(AUTHORIZATION).into_iter().filter_map(|value| after_scheme(value.as_bytes())).chain(bare)
}

/// What follows the scheme and one space, if the scheme is one of a key's.
fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let ours = scheme.eq_ignore_ascii_case(b"Api-Key") || scheme.eq_ignore_ascii_case(b"Bearer");
    ours.then(|| rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::super::secrets::make_key;
    use super::*;

    fn read(lines: &[(&str, &str)]) -> Result<bool, AppError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        key(&headers, Some(&HeaderName::from_static("x-company-key"))).map(|key| key.is_some())
    }

    #[test]
    fn each_place_for_a_key_is_read() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        for scheme in ["Api-Key", "api-key", "API-KEY", "Bearer", "bearer"] {
            assert_eq!(read(&[("authorization", &format!("{scheme} {key}"))]), Ok(true), "{scheme}");
        }
        assert_eq!(read(&[("x-api-key", key)]), Ok(true));
        assert_eq!(read(&[("x-company-key", key)]), Ok(true));
    }

    #[test]
    fn between_scheme_and_key_stands_exactly_one_space() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        for wrong in
            [format!("Api-Key  {key}"), format!("Api-Key \t{key}"), format!("Api-Key {key},{key}"), "Api-Key".into()]
        {
            assert_eq!(read(&[("authorization", &wrong)]), Err(AppError::KeyMalformed), "{wrong}");
        }
        assert_eq!(read(&[("x-api-key", "")]), Err(AppError::KeyMalformed));
    }

    #[test]
    fn another_scheme_is_no_key() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        for other in [
            format!("Basic {key}"),
            format!("X-Key {key}"),
            format!("Api-Key:{key}"),
            format!("My-Api-Key {key}"),
            key.into(),
        ] {
            assert_eq!(read(&[("authorization", &other)]), Ok(false), "{other}");
        }
    }

    #[test]
    fn more_than_one_key_is_ambiguous_even_the_same_one() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        let bearer = format!("Bearer {key}");
        for lines in [
            [("authorization", bearer.as_str()), ("authorization", bearer.as_str())],
            [("authorization", bearer.as_str()), ("x-api-key", key)],
            [("x-api-key", key), ("x-api-key", "junk")],
            [("x-api-key", key), ("x-company-key", key)],
        ] {
            assert_eq!(read(&lines), Err(AppError::CredentialsAmbiguous), "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic_or_pass(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(AUTHORIZATION, value);
                prop_assert!(!matches!(key(&headers, None), Ok(Some(_))));
            }
        }
    }
}
