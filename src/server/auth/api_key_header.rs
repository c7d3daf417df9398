//! Where a key may stand in a request, and how it is read: in one way only, or not at all.

use axum::http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use super::key_format::PresentedKey;
use crate::error::AppError;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The key of a request, if it carries one: `Authorization: Api-Key K`, `Authorization: Bearer K`, `X-Api-Key: K`, or
/// the header that the operator named. The scheme is matched without case (RFC 9110, 11.1), then stands exactly one
/// space, then the key, exactly. Another scheme is no key.
///
/// # Errors
/// [`AppError::CredentialsAmbiguous`] for more than one, [`AppError::KeyMalformed`] for what is no key.
pub fn extract<'a>(
    headers: &'a HeaderMap,
    custom_header: Option<&HeaderName>,
) -> Result<Option<PresentedKey<'a>>, AppError> {
    let mut found = presented(headers, custom_header);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => PresentedKey::parse(one).map(Some).ok_or(AppError::KeyMalformed),
        _ => Err(AppError::CredentialsAmbiguous),
    }
}

/// Whether a request carries a key, good or bad.
#[must_use]
pub fn is_present(headers: &HeaderMap, custom_header: Option<&HeaderName>) -> bool {
    presented(headers, custom_header).next().is_some()
}

/// Whether a request for a page carries a key. An `Authorization` value without the form of a key is none there: a proxy for
/// single sign-on adds its own to each request. What stands in a header for keys only is meant as one.
#[must_use]
pub fn is_present_on_page(headers: &HeaderMap, custom_header: Option<&HeaderName>) -> bool {
    in_authorization(headers).any(|value| PresentedKey::form(value).is_some())
        || bare(headers, custom_header).next().is_some()
}

fn presented<'a>(headers: &'a HeaderMap, custom_header: Option<&HeaderName>) -> impl Iterator<Item = &'a [u8]> {
    in_authorization(headers).chain(bare(headers, custom_header))
}

fn in_authorization(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(AUTHORIZATION).into_iter().filter_map(|value| after_scheme(value.as_bytes()))
}

/// What stands in the headers that carry a key and nothing else.
fn bare<'a>(headers: &'a HeaderMap, custom_header: Option<&HeaderName>) -> impl Iterator<Item = &'a [u8]> {
    let names = custom_header.filter(|custom_header| **custom_header != X_API_KEY).into_iter().chain([&X_API_KEY]);
    names.flat_map(|name| headers.get_all(name)).map(axum::http::HeaderValue::as_bytes)
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
    fn on_a_page_only_what_has_the_form_of_a_key_is_one_in_authorization() {
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
        // A typing error in a key does not make it the proxy's.
        for meant in
            [format!("Bearer {key}"), format!("api-key {key}"), format!("Bearer {}000000", &key[..key.len() - 6])]
        {
            assert!(on_page("authorization", &meant), "{meant}");
        }
        assert!(on_page("x-api-key", "junk") && on_page("x-company-key", ""));
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

    const OWN: HeaderName = HeaderName::from_static("x-company-key");

    /// The rules as they are published, by regular expressions: what the reader is compared with.
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

    /// Headers that carry a key, or nearly.
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

    // `make fuzz` runs these for long.
    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic_or_pass(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(AUTHORIZATION, value);
                prop_assert!(!matches!(extract(&headers, None), Ok(Some(_))));
            }
        }

        #[test]
        fn headers_are_read_as_the_rules_say_in_any_order_and_in_no_other_way(lines in headers()) {
            let expected = expected(&lines);
            for lines in [lines.clone(), lines.into_iter().rev().collect()] {
                let mut headers = HeaderMap::new();
                for (name, value) in lines {
                    headers.append(name, HeaderValue::from_bytes(&value).unwrap());
                }
                let read = extract(&headers, Some(&OWN));
                prop_assert_eq!(is_present(&headers, Some(&OWN)), !matches!(read, Ok(None)));
                let read = read.map(|key| key.map(|key| key.digest()));
                let key = expected.as_ref().map(|key| key.as_ref().map(|key| PresentedKey::parse(key).unwrap().digest()));
                prop_assert_eq!(read, key.map_err(Clone::clone));
            }
        }
    }
}
