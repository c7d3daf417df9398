//! Renders a form again after an error, for browsers without JavaScript.

use axum::http::Uri;

use super::error_cookie::NoJsError;
use crate::error::AppError;
use crate::model::link::link;
use crate::model::sent_form::SentForm;
use crate::server::auth::origin::login_form_path;

/// Fields in a form: more than any form of this site has. The password page repeats all of them.
const MAX_FIELDS: usize = 200;

/// Whether a form has more fields than any form of this site.
pub fn has_too_many_fields(body: &[u8]) -> bool {
    url::form_urlencoded::parse(body).nth(MAX_FIELDS).is_some()
}

/// Returns the page of a rate-limited sign-in or sign-up, with the error, the typed values except the password, and the seconds
/// for `Retry-After`. The page is rendered instead of a redirect, which would lose the status.
pub fn rerender_form(form: &SentForm, error: &AppError) -> Option<(Uri, NoJsError, u32)> {
    let AppError::RateLimited { retry_after, .. } = error else { return None };
    let next = form.fields.iter().find(|(field, _)| field == "next").map_or("", |(_, value)| value);
    let page = link(login_form_path(&form.action)?, [("next", next)]);
    Some((page.parse().ok()?, NoJsError::new(error, &page, form), *retry_after))
}
