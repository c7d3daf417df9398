//! The cookie with the theme that the reader chose. It is no secret, and decides nothing but colours.

use axum::http::{HeaderMap, header};
use axum_extra::extract::cookie::CookieJar;

use super::auth::sessions::http_only_cookie;
use super::leptos_context::{append_header, state_and_parts};
use crate::error::AppError;
use crate::model::theme::{COOKIE, Theme};

const COOKIE_TTL: time::Duration = time::Duration::days(365);

/// Reads the cookie of a request.
pub fn read(headers: &HeaderMap) -> Theme {
    let jar = CookieJar::from_headers(headers);
    jar.get(COOKIE).map(|cookie| Theme::from_name(cookie.value())).unwrap_or_default()
}

/// Adds the cookie to the response of the running server function.
pub fn keep(name: &str) -> Result<Theme, AppError> {
    let (theme, (state, _)) = (Theme::from_name(name), state_and_parts()?);
    append_header(header::SET_COOKIE, &http_only_cookie(&state.config, COOKIE, theme.as_str().to_owned(), COOKIE_TTL));
    Ok(theme)
}
