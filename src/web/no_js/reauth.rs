//! Re-authentication without JavaScript: a page asks for the password and sends the pending form again.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use url::form_urlencoded;

use super::replay;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::redact::redact;
use crate::model::sent_form::SentForm;
use crate::model::users::{PAGE_USER, UserId};
use crate::pages::reauth::ReauthDocument;
use crate::server::auth::origin::{self, referrer};
use crate::server::auth::page_user::PageUser;
use crate::server::auth::sessions::Session;
use crate::server::auth::{self, SessionMemo, login};
use crate::server::leptos_context::accepts_html;
use crate::server::state::AppState;
use crate::web::error_response::error_page;
use crate::web::ssr::html_response;

/// A form that may need the password, and the session of its request.
#[derive(Clone)]
pub struct Pending {
    pub form: SentForm,
    session: SessionMemo,
}

/// Keeps the form of a request, so that a handler can ask for the password and the browser can send the form again. Checks the
/// password when the form comes from that page.
pub async fn require_password(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.method != Method::POST || !accepts_html(&parts.headers) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Ok(mut body) = Bytes::from_request(Request::from_parts(parts.clone(), body), &state).await else {
        return error_page(&state, &AppError::ContentTooLarge, None);
    };
    if replay::has_too_many_fields(&body) {
        let error = FieldErrors::whole("This form has more fields than any of this site. Go back and reload the page.");
        return error_page(&state, &error.into(), None);
    }
    let (form, password) = read(&parts, &body);
    if let Some(user) = UserId::parse(&origin::form_field(&body, PAGE_USER)) {
        parts.extensions.insert(PageUser(user));
    }
    let session = parts.extensions.get::<SessionMemo>().cloned().unwrap_or_default();
    let mut cookie = None;
    if let Some(password) = password {
        cookie = match take_password(&state, &mut parts, (&form, password)).await {
            Ok(cookie) => cookie,
            Err(error) => return page_for(&state, Pending { form, session }, error),
        };
        body = encode(&form).into();
    }
    parts.extensions.insert(Pending { form, session });
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

/// Renders the page that asks for the password and then sends the pending form again.
pub fn password_page(state: &AppState, pending: Option<&Pending>) -> Response {
    match pending {
        Some(pending) => page_for(state, pending.clone(), AppError::ReauthenticationRequired),
        None => AppError::ReauthenticationRequired.into_response(),
    }
}

fn page_for(state: &AppState, Pending { form, session }: Pending, error: AppError) -> Response {
    let email = session.email().unwrap_or_default().to_owned();
    html_response(state, Some(&error.clone()), || ReauthDocument(form, error, email, state.site.stylesheet()))
}

/// Returns the form of a request without the fields of the password page, and the password if it comes from there.
fn read(parts: &Parts, body: &[u8]) -> (SentForm, Option<SecretString>) {
    let (mut fields, mut page, mut password) = (Vec::new(), None, None);
    for (name, value) in form_urlencoded::parse(body).into_owned() {
        match name.as_str() {
            SentForm::PASSWORD => password = Some(value.into()),
            SentForm::PAGE => page = Some(value),
            // The password page repeats these fields in its source.
            _ => fields.push((redact(&name).into_owned(), redact(&value).into_owned())),
        }
    }
    let page = page.or_else(|| referrer(&parts.headers).map(|page| origin::return_path(page.path(), page.query())));
    let page = login::own_path(page.as_deref()).unwrap_or("/profile").to_owned();
    (SentForm { action: parts.uri.path().to_owned(), page, fields }, password)
}

/// Checks the password that came with a form, and restores the original request. Returns the new session cookie; none without
/// a session, which the handler reports.
async fn take_password(
    state: &AppState,
    parts: &mut Parts,
    (form, password): (&SentForm, SecretString),
) -> Result<Option<HeaderValue>, AppError> {
    let session = auth::session_from_parts(state, parts).await?;
    // A form that does not redirect goes back to its page, not to its own path.
    let page = referrer(&parts.headers).and_then(|sent_to| sent_to.join(&form.page).ok());
    if let Some(page) = page.and_then(|page| HeaderValue::try_from(page.as_str()).ok()) {
        parts.headers.insert(header::REFERER, page);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let Some(session) = session else { return Ok(None) };
    let cookie = login::reauthentication_cookie(state, &session, password).await?;
    // The cookie of this request is no longer valid.
    parts.extensions.insert(SessionMemo::with(Session { confirmed_at: state.now(), ..session }));
    Ok(HeaderValue::try_from(cookie).ok())
}

/// Returns the body that a browser sends for these fields.
fn encode(form: &SentForm) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish()
}
