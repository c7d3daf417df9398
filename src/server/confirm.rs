//! Entering the password again where there is no JavaScript: a form that needs it is answered by a page that asks for it,
//! and comes again from there with the password beside its fields.

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use secrecy::SecretString;
use url::form_urlencoded;

use super::accounts;
use super::auth::sessions::Session;
use super::auth::{self, SessionMemo};
use super::origin::{self, referrer};
use super::state::AppState;
use crate::error::AppError;
use crate::model::confirm::WaitingForm;
use crate::model::redact::redact;

/// The form of a request, without what the page that asks for the password added; and the password, if it comes from there.
#[must_use]
pub fn read(parts: &Parts, body: &[u8]) -> (WaitingForm, Option<SecretString>) {
    let (mut fields, mut page, mut password) = (Vec::new(), None, None);
    for (name, value) in form_urlencoded::parse(body).into_owned() {
        match name.as_str() {
            WaitingForm::PASSWORD => password = Some(value.into()),
            WaitingForm::PAGE => page = Some(value),
            // The page that asks for the password has all of them in its source.
            _ => fields.push((redact(&name).into_owned(), redact(&value).into_owned())),
        }
    }
    let page = page.or_else(|| referrer(&parts.headers).map(|page| origin::next(page.path(), page.query())));
    let page = accounts::own_path(page.as_deref()).unwrap_or("/profile").to_owned();
    (WaitingForm { action: parts.uri.path().to_owned(), page, fields }, password)
}

/// Takes the password that came with a form, and makes the request the one that it was before. Gives the session's new
/// cookie; none if there is no session, which is for the action to say.
///
/// # Errors
/// As [`accounts::confirm`].
pub async fn take(
    state: &AppState,
    parts: &mut Parts,
    (form, password): (&WaitingForm, SecretString),
) -> Result<Option<HeaderValue>, AppError> {
    let session = auth::visitor_of(state, parts).await?;
    // A form that is not sent elsewhere goes back to its page, and not to its own address.
    let page = referrer(&parts.headers).and_then(|sent_to| sent_to.join(&form.page).ok());
    if let Some(page) = page.and_then(|page| HeaderValue::try_from(page.as_str()).ok()) {
        parts.headers.insert(header::REFERER, page);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let Some(session) = session else { return Ok(None) };
    let cookie = accounts::confirm(state, &session, password).await?;
    // The cookie of this request opens nothing any more.
    parts.extensions.insert(SessionMemo::of(Session { confirmed_at: state.now(), ..session }));
    Ok(HeaderValue::try_from(cookie).ok())
}

/// The body that a browser sends for these fields.
#[must_use]
pub fn body(form: &WaitingForm) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish()
}
