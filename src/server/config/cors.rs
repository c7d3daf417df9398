//! Origins of browser apps that may call the JSON API with a key.

use axum::http::HeaderValue;
use url::Url;

const HINT: &str = "use * or origins such as https://app.example.com, separated by commas, without a path";

/// Origins in `KEYFOB_CORS_ORIGINS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    Any,
    /// Origins as browsers send them in `Origin`.
    Only(Vec<HeaderValue>),
}

/// Parses `*`, or origins that are separated by commas.
pub fn parse(raw: &str) -> Result<CorsOrigins, String> {
    if raw.trim() == "*" {
        return Ok(CorsOrigins::Any);
    }
    let origins: Option<Vec<_>> = raw.split(',').map(|origin| parse_origin(origin.trim())).collect();
    origins.map(CorsOrigins::Only).ok_or_else(|| HINT.to_owned())
}

fn parse_origin(raw: &str) -> Option<HeaderValue> {
    let url = Url::parse(raw).ok()?;
    let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    let has_user = !url.username().is_empty() || url.password().is_some();
    // The URL standard allows a * in a host. It would match no browser.
    if !matches!(url.scheme(), "http" | "https") || has_more || has_user || raw.contains('*') {
        return None;
    }
    HeaderValue::try_from(url.origin().ascii_serialization()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_parsed_as_browsers_send_them() {
        assert_eq!(parse(" * "), Ok(CorsOrigins::Any));
        for (raw, origins) in [
            ("https://app.example.com", &["https://app.example.com"][..]),
            (
                "https://APP.example.com:443/, http://localhost:5173",
                &["https://app.example.com", "http://localhost:5173"],
            ),
            ("https://b\u{fc}cher.example", &["https://xn--bcher-kva.example"]),
        ] {
            let origins = origins.iter().map(|origin| HeaderValue::from_static(origin)).collect();
            assert_eq!(parse(raw), Ok(CorsOrigins::Only(origins)), "{raw}");
        }
    }

    #[test]
    fn anything_else_is_rejected() {
        for raw in [
            "",
            "null",
            "app.example.com",
            "https://app.example.com/x",
            "https://app.example.com?x",
            "https://app.example.com#x",
            "https://ada@app.example.com",
            "https://:x@app.example.com",
            "https://*.example.com",
            "https://a.example,",
            "https://a.example,*",
            "*,*",
            "ftp://a.example",
            "file:///a",
        ] {
            assert_eq!(parse(raw), Err(HINT.to_owned()), "{raw}");
        }
    }
}
