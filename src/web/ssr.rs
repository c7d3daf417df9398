//! Server-side rendering of pages.

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawFormRejection;
use axum::extract::{MatchedPath, RawForm, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use leptos::nonce::Nonce;
use leptos::prelude::{IntoView, Owner, provide_context};
use leptos::reactive::computed::ScopedFuture;

use super::error_response::{error_page, render, server_function_error};
use super::middleware::security_headers;
use super::no_js::form_error;
use crate::app::shell;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::redact::{contains_key, redact};
use crate::pages::{Entrance, Page, PageData, QueryParams, Visitor};
use crate::server::audit;
use crate::server::auth::key_format::search_term;
use crate::server::auth::{self, origin};
use crate::server::config::Signup;
use crate::server::denial_log::log_denied;
use crate::server::leptos_context::accepts_html;
use crate::server::request_context::{self, ErrorFormat};
use crate::server::state::AppState;

/// Renders a page without streaming: a streamed response commits to 200 before a guard can redirect.
pub async fn page(State(state): State<AppState>, parts: Parts) -> Response {
    let uri = parts.uri.clone();
    let for_api = is_for_api(&state, &parts.headers);
    let is_told = form_error::read(&state.config, &parts.headers).is_some();
    match load_page(&state, parts).await {
        Ok(visit) if for_api && matches!(visit.page, Page::NotFound) => {
            render(&state, &AppError::NotFound, ErrorFormat::Problem)
        }
        Ok(visit) => {
            let mut response = render_page(&state, visit);
            if is_told {
                form_error::forget(&state.config, &mut response);
            }
            response
        }
        Err(AppError::CredentialsMissing) => {
            (StatusCode::FOUND, [(header::LOCATION, origin::login_redirect_target(&uri))]).into_response()
        }
        Err(error) => error_page(&state, &error, None),
    }
}

/// Answers a request from a page that was rendered for another account.
pub fn account_changed(state: &AppState, parts: &Parts) -> Response {
    let error = AppError::AccountChanged;
    if !accepts_html(&parts.headers) {
        return server_function_error(&error);
    }
    let page = origin::referrer(&parts.headers).filter(|_| origin::is_same_site(&state.config, &parts.headers));
    let back = page.map(|page| origin::return_path(page.path(), page.query()));
    error_page(state, &error, back)
}

/// Renders a page from its data.
pub fn render_page(state: &AppState, visit: PageData) -> Response {
    let nothing = matches!(visit.page, Page::NotFound).then_some(&AppError::NotFound);
    html_response(state, nothing, || shell(&state.site.options, &state.site.version, visit))
}

/// Loads the data of the page that a request asks for.
pub async fn load_page(state: &AppState, parts: Parts) -> Result<PageData, AppError> {
    let (path, asked) = (parts.uri.path().to_owned(), query_params(&parts));
    let told = parts.extensions.get().cloned().or_else(|| form_error::read(&state.config, &parts.headers));
    let session = match auth::session_from_parts(state, &parts).await {
        // With a key, these paths are not found.
        Err(AppError::SessionRequired) if path.starts_with("/admin") || !has_page(&parts) => None,
        found => found?,
    };
    let user = session.map(|session| session.user);
    let visitor = Visitor {
        user: user.as_ref(),
        origin: state.config.origin(),
        entrance: Entrance {
            sign_up: state.config.signup == Signup::Open,
            secure_origin: origin::secure_origin(&state.config, &parts.headers),
        },
    };
    let reading = Page::load(&path, &asked, visitor);
    let page = match with_leptos_context(state.clone(), parts, reading).await {
        Err(AppError::NotFound) => Page::NotFound,
        read => read?,
    };
    Ok(PageData { user, path: redact(&path).into_owned(), asked: asked.for_page(), page, told })
}

/// Whether the path of a request is that of a page.
fn has_page(parts: &Parts) -> bool {
    parts.extensions.get::<MatchedPath>().is_some()
}

/// Whether the client is a program that expects JSON, also for a path that is not found.
fn is_for_api(state: &AppState, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let has_key = || auth::api_key_header::is_present_on_page(headers, state.config.api_key_header.as_ref());
    !accepts_html(headers) && (accept.contains("json") || has_key())
}

/// Returns the parameters of a page: from the query, or from the body of a search for a key.
fn query_params(parts: &Parts) -> QueryParams {
    let query = match parts.extensions.get::<SearchBody>() {
        Some(SearchBody(body)) => body,
        None => parts.uri.query().unwrap_or_default().as_bytes(),
    };
    QueryParams(url::form_urlencoded::parse(query).into_owned().collect())
}

/// Runs server functions within a request to another handler.
pub fn with_leptos_context<F: Future>(state: AppState, parts: Parts, call: F) -> impl Future<Output = F::Output> {
    Owner::new().with(|| {
        provide_context(state);
        provide_context(parts);
        ScopedFuture::new(call)
    })
}

/// Requires a superuser session; anyone else gets the page 404, whatever the method and the body.
pub async fn require_superuser(state: State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match auth::session_from_parts(&state, &parts).await {
        Ok(Some(session)) if session.user.superuser => next.run(Request::from_parts(parts, body)).await,
        Err(error @ AppError::Unavailable) => error.into_response(),
        Err(AppError::AccountChanged) => account_changed(&state, &parts),
        visitor => {
            if let Ok(Some(session)) = visitor {
                request_context::set_user(&session.user);
            }
            log_denied(&state, &AppError::SuperuserRequired);
            page(state, parts).await
        }
    }
}

/// Searches on `/admin/keys`. A pasted key stays in the body, and the response is the page; anything else goes into the URL,
/// so that the search can be bookmarked.
pub async fn search_keys(
    State(state): State<AppState>,
    mut parts: Parts,
    form: Result<RawForm, RawFormRejection>,
) -> Result<Response, AppError> {
    let body = read_form(form)?;
    if !contains_key(&origin::form_field(&body, "search")) {
        return Ok(redirect_to_results(&parts, &body));
    }
    parts.extensions.insert(SearchBody(body));
    Ok(page(State(state), parts).await)
}

/// Redirects a search to the URL of its results. The form uses POST because a browser would put a pasted key into the URL; only
/// the key's public prefix gets there.
pub async fn search(parts: Parts, form: Result<RawForm, RawFormRejection>) -> Result<Response, AppError> {
    Ok(redirect_to_results(&parts, &read_form(form)?))
}

fn read_form(form: Result<RawForm, RawFormRejection>) -> Result<Bytes, AppError> {
    match form {
        Ok(RawForm(body)) => Ok(body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(AppError::ContentTooLarge),
        Err(_) => Err(FieldErrors::whole("The form was not complete. Reload the page and fill it in again.").into()),
    }
}

fn redirect_to_results(parts: &Parts, body: &[u8]) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(
        url::form_urlencoded::parse(body).map(|(name, value)| (redact(&name).into_owned(), search_term(&value))),
    );
    Redirect::to(&format!("{}?{}", parts.uri.path(), query.finish())).into_response()
}

/// Body of a search for a key.
#[derive(Clone)]
struct SearchBody(Bytes);

/// Streams all events of the filter as `/admin/audit.csv`.
pub async fn audit_csv(State(state): State<AppState>, parts: Parts) -> Response {
    let query = query_params(&parts).audit_query();
    let csv = with_leptos_context(state, parts, async move {
        let (state, _) = auth::superuser().await?;
        audit::csv(state.db.clone(), query).await
    });
    match csv.await {
        Ok(csv) => {
            let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
            let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\"");
            ([kind, name], Body::from_stream(csv)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Renders a document. An error gives the response its status and is logged if it is a denial. The nonce is for the scripts
/// of the document and for the policy in its header.
pub fn html_response<V: IntoView>(state: &AppState, error: Option<&AppError>, view: impl FnOnce() -> V) -> Response {
    let nonce = Nonce::from_value(auth::random::make_nonce());
    let policy = security_headers::page_policy(&nonce, &state.config);
    let html = Owner::new().with(|| {
        provide_context(nonce);
        view().to_html()
    });
    let status = error.map_or(StatusCode::OK, AppError::status);
    let mut response = (status, Html(format!("<!DOCTYPE html>{html}"))).into_response();
    if let Some(policy) = policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(error) = error {
        log_denied(state, error);
        if let Some(seconds) = error.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
    }
    response
}
