//! Extracts the API key from request headers.

use axum::http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use super::key_format::PresentedKey;
use crate::error::AppError;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Returns the key of a request from `Authorization: Api-Key K`, `Authorization: Bearer K`, `X-Api-Key: K` or the
/// operator's own header. The scheme is case-insensitive (RFC 9110, 11.1) and followed by exactly one space. Other schemes
/// are ignored.
///
/// # Errors
/// [`AppError::CredentialsAmbiguous`] for more than one key, [`AppError::KeyMalformed`] for a value that is not a key.
pub fn extract<'a>(
    headers: &'a HeaderMap,
    custom_header: Option<&HeaderName>,
) -> Result<Option<PresentedKey<'a>>, AppError> {
    let mut found = candidates(headers, custom_header);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => PresentedKey::parse(only).map(Some).ok_or(AppError::KeyMalformed),
        _ => Err(AppError::CredentialsAmbiguous),
    }
}

/// Whether a request carries a key, valid or not.
pub fn is_present(headers: &HeaderMap, custom_header: Option<&HeaderName>) -> bool {
    candidates(headers, custom_header).next().is_some()
}

/// Whether a request for a page carries a key. An `Authorization` value without the form of a key doesn't count here,
/// because single-sign-on proxies add their own. Any value in a key-only header does.
pub fn is_present_on_page(headers: &HeaderMap, custom_header: Option<&HeaderName>) -> bool {
    authorization_keys(headers).any(PresentedKey::has_key_form) || header_keys(headers, custom_header).next().is_some()
}

fn candidates<'a>(headers: &'a HeaderMap, custom_header: Option<&HeaderName>) -> impl Iterator<Item = &'a [u8]> {
    authorization_keys(headers).chain(header_keys(headers, custom_header))
}

fn authorization_keys(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(AUTHORIZATION).into_iter().filter_map(|value| strip_scheme(value.as_bytes()))
}

/// Values of the headers that carry only a key.
fn header_keys<'a>(headers: &'a HeaderMap, custom_header: Option<&HeaderName>) -> impl Iterator<Item = &'a [u8]> {
    let names = custom_header.filter(|custom_header| **custom_header != X_API_KEY).into_iter().chain([&X_API_KEY]);
    names.flat_map(|name| headers.get_all(name)).map(axum::http::HeaderValue::as_bytes)
}

/// Returns what follows the scheme and one space, if it is a scheme for keys.
fn strip_scheme(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let is_key_scheme = scheme.eq_ignore_ascii_case(b"Api-Key") || scheme.eq_ignore_ascii_case(b"Bearer");
    is_key_scheme.then(|| rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use regex::bytes::Regex;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::server::auth::key_format::make_key;

    fn read(lines: &[(&str, &str)]) -> Result<bool, AppError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        extract(&headers, Some(&HeaderName::from_static("x-company-key"))).map(|key| key.is_some())
    }

    #[test]
    fn every_key_header_is_read() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        for scheme in ["Api-Key", "api-key", "API-KEY", "Bearer", "bearer"] {
            assert_eq!(read(&[("authorization", &format!("{scheme} {key}"))]), Ok(true), "{scheme}");
        }
        assert_eq!(read(&[("x-api-key", key)]), Ok(true));
        assert_eq!(read(&[("x-company-key", key)]), Ok(true));
    }

    #[test]
    fn exactly_one_space_separates_scheme_and_key() {
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
    fn other_schemes_are_ignored() {
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
    fn pages_ignore_authorization_without_the_form_of_a_key() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        let on_page = |name: &'static str, value: &str| {
            let headers = [(HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect();
            is_present_on_page(&headers, Some(&HeaderName::from_static("x-company-key")))
        };
        for other in [
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
            "Bearer",
            "Basic YWRhOng=",
            "Api-Key junk",
            "Negotiate x",
        ] {
            assert!(!on_page("authorization", other), "{other}");
        }
        // A mistyped key is still a key.
        for mistyped in
            [format!("Bearer {key}"), format!("api-key {key}"), format!("Bearer {}000000", &key[..key.len() - 6])]
        {
            assert!(on_page("authorization", &mistyped), "{mistyped}");
        }
        assert!(on_page("x-api-key", "junk") && on_page("x-company-key", ""));
    }

    #[test]
    fn two_keys_are_ambiguous_even_if_equal() {
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

    const CUSTOM: HeaderName = HeaderName::from_static("x-company-key");

    /// The published rules as regular expressions, to compare with.
    fn expected(lines: &[(&str, Vec<u8>)]) -> Result<Option<Vec<u8>>, AppError> {
        static SCHEME: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?si-u)\A(?:Api-Key|Bearer)(?: (.*))?\z").unwrap());
        let found = lines.iter().filter_map(|(name, value)| match *name {
            "authorization" => SCHEME.captures(value).map(|all| all.get(1).map(|key| key.as_bytes().to_vec())),
            "x-api-key" | "x-company-key" => Some(Some(value.clone())),
            _ => None,
        });
        match &*found.map(Option::unwrap_or_default).collect::<Vec<_>>() {
            [] => Ok(None),
            [one] if PresentedKey::parse(one).is_some() => Ok(Some(one.clone())),
            [_] => Err(AppError::KeyMalformed),
            _ => Err(AppError::CredentialsAmbiguous),
        }
    }

    /// Headers with a key or something close to one.
    fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
        let name = prop_oneof![
            4 => Just("authorization"),
            2 => Just("x-api-key"),
            1 => Just("x-company-key"),
            1 => proptest::sample::select(vec!["cookie", "proxy-authorization", "api-key"]),
        ];
        let before = proptest::string::bytes_regex(
            r"(?s-u)((?i:Api-Key|Bearer|Basic|Token) ?|[ \t,:]{0,2}|Api-Key:|(?i:Bearer) (?i:Bearer) |[\x80-\xff]{0,2})",
        );
        let key = (any::<bool>(), proptest::string::bytes_regex(r"(?s-u)[\t -~\x80-\xff]{0,20}").unwrap());
        let after = proptest::sample::select(vec!["", "", "", "", " ", ",", "0", "\t", ", Bearer x"]);
        let value = (before.unwrap(), key, after).prop_map(|(before, (good, junk), after)| {
            let key = if good { make_key("kf").key.expose_secret().as_bytes().to_vec() } else { junk };
            [before, key, after.into()].concat()
        });
        proptest::collection::vec((name, value), 0..4)
    }

    // `make fuzz` runs these with many more cases.
    proptest! {
        #[test]
        fn random_headers_never_panic_or_pass(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(AUTHORIZATION, value);
                prop_assert!(!matches!(extract(&headers, None), Ok(Some(_))));
            }
        }

        #[test]
        fn headers_are_read_by_the_published_rules_in_any_order(lines in headers()) {
            let expected = expected(&lines);
            for lines in [lines.clone(), lines.into_iter().rev().collect()] {
                let mut headers = HeaderMap::new();
                for (name, value) in lines {
                    headers.append(name, HeaderValue::from_bytes(&value).unwrap());
                }
                let read = extract(&headers, Some(&CUSTOM));
                prop_assert_eq!(is_present(&headers, Some(&CUSTOM)), !matches!(read, Ok(None)));
                let read = read.map(|key| key.map(|key| key.digest()));
                let key = expected.as_ref().map(|key| key.as_ref().map(|key| PresentedKey::parse(key).unwrap().digest()));
                prop_assert_eq!(read, key.map_err(Clone::clone));
            }
        }
    }
}
