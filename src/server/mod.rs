//! Native only: secrets, SQL and the outside world live here and nowhere else.

pub mod accounts;
pub mod api;
pub mod auth;
pub mod config;
pub mod db;
pub mod employees;
pub mod keys;
pub mod seed;
pub mod serve;
pub mod site;
pub mod state;
pub mod users;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use leptos::nonce::provide_nonce;
use leptos::prelude::{IntoView, Owner, provide_context, use_context};
use leptos::reactive::computed::ScopedFuture;
use leptos::server_fn::axum::get_server_fn_service;
use leptos_axum::ResponseOptions;
use tower::Layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use self::state::AppState;
use crate::app::shell;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::KeyForm;
use crate::pages::home::FailureDocument;
use crate::pages::keys::{NewKeyDocument, create_key};
use crate::pages::{Asked, PATHS, Page, Visit};

/// The largest body of a request in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// Every route and layer, in order. `own` are the endpoints of whoever builds on Keyfob.
pub fn router(state: AppState, own: Router<AppState>) -> Router {
    let pages = PATHS.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    let pages = pages
        .route("/fn/{name}", post(server_function))
        .route("/profile/keys", post(create_key_without_javascript).get(|| async { Redirect::to("/profile") }))
        .fallback(page)
        .layer(from_fn(remember_session))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(csrf(&state))
        .layer(CatchPanicLayer::new());

    let inner = Router::new()
        .merge(api::routes(&state, own))
        .merge(state.site.routes())
        .merge(pages)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(name_request))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(state);

    // Every path answers with and without its last slash.
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(inner))
}

/// Answers with a page, whole: one that were streamed would say 200 before a guard can redirect.
async fn page(State(state): State<AppState>, parts: Parts) -> Response {
    let path = parts.uri.path().to_owned();
    match visit(&state, parts).await {
        Ok(visit) => {
            let status = if matches!(visit.page, Page::NotFound) { 404 } else { 200 };
            document(status, || {
                provide_nonce();
                shell(&state.site.options, &state.site.version, visit)
            })
        }
        Err(AppError::CredentialsMissing) => {
            (StatusCode::FOUND, [(header::LOCATION, format!("/sign-in?next={path}"))]).into_response()
        }
        Err(error) => document(error.code().status, || FailureDocument(error, state.site.stylesheet())),
    }
}

/// Finds out who visits, and reads what the page shows them.
async fn visit(state: &AppState, parts: Parts) -> Result<Visit, AppError> {
    let user = auth::visitor_of(state, &parts).await?.map(|session| session.user);
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default());
    let asked = Asked(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect());
    let reading = Page::open(&path, &asked, (user.as_ref(), state.config.origin()));
    let page = within(state.clone(), parts, reading).await?;
    Ok(Visit { user, path, asked, page })
}

/// Runs server functions for a request that was not sent to them.
fn within<F: Future>(state: AppState, parts: Parts, call: F) -> impl Future<Output = F::Output> {
    Owner::new().with(|| {
        provide_context(state);
        provide_context(parts);
        ScopedFuture::new(call)
    })
}

/// Runs a server function. The whole body is read first, for Leptos would read any amount.
async fn server_function(State(state): State<AppState>, parts: Parts, body: Result<Bytes, BytesRejection>) -> Response {
    let Ok(body) = body else { return AppError::ContentTooLarge.into_response() };
    if get_server_fn_service(parts.uri.path(), parts.method.clone()).is_none() {
        return AppError::NotFound.into_response();
    }
    let request = Request::from_parts(parts, Body::from(body));
    let call = leptos_axum::handle_server_fns_with_context(move || provide_context(state.clone()), request);
    call.await.into_response()
}

/// The form "Create API key" as a browser without JavaScript sends it: the answer is a page that shows the key once.
/// Nothing redirects, for the key would have to be kept somewhere on the way.
async fn create_key_without_javascript(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<KeyForm>, FormRejection>,
) -> Response {
    let (origin, stylesheet) = (state.config.origin(), state.site.stylesheet());
    let made = match form {
        Ok(Form(form)) => within(state, parts, create_key(form)).await,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(AppError::ContentTooLarge),
        Err(_) => Err(FieldErrors::whole("The form was not complete. Reload the page and fill it in again.").into()),
    };
    if made == Err(AppError::CredentialsMissing) {
        return Redirect::to("/sign-in?next=/profile").into_response();
    }
    let status = made.as_ref().err().map_or(200, |error| error.code().status);
    document(status, || NewKeyDocument(made, origin, stylesheet))
}

/// Answers with a document that stands on its own.
fn document<V: IntoView>(status: u16, view: impl FnOnce() -> V) -> Response {
    let html = Owner::new().with(|| view().to_html());
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Html(format!("<!DOCTYPE html>{html}"))).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

async fn ready(State(state): State<AppState>) -> Response {
    match state.db.ready().await {
        Ok(true) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], "not ready\n").into_response(),
    }
}

/// The check that a change comes from a page of this site: by `Sec-Fetch-Site`, or by `Origin` against `Host`.
fn csrf(state: &AppState) -> CsrfLayer<fn(ProtectionError) -> Response> {
    let refuse: fn(ProtectionError) -> Response = |_| AppError::CrossOrigin.into_response();
    let layer = CsrfLayer::new().with_rejection_response(refuse);
    // A proxy may write its own Host; people's browsers still send the address that they see.
    layer.clone().add_trusted_origin(state.config.origin()).unwrap_or(layer)
}

/// The id of a request: in the answer's `X-Request-Id`, in problem details and in the log.
#[derive(Clone, Debug, Default)]
pub struct RequestId(pub String);

async fn name_request(mut request: Request, next: Next) -> Response {
    let id = auth::secrets::make_request_id();
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::debug_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = tracing::Instrument::instrument(next.run(request), span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

async fn remember_session(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(auth::SessionMemo::default());
    next.run(request).await
}

/// The state and the request of the server function that is running.
///
/// # Errors
/// [`AppError::Internal`] outside one.
pub fn request() -> Result<(AppState, Parts), AppError> {
    use_context::<AppState>().zip(use_context::<Parts>()).ok_or(AppError::Internal)
}

/// Adds a header to the answer of the server function that is running.
pub fn answer_with(name: HeaderName, value: &str) {
    if let (Some(response), Ok(value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(value)) {
        response.append_header(name, value);
    }
}

/// Where a browser without JavaScript goes from the form that it sent: to the page itself, without the dialog that the
/// form stood in. A browser with JavaScript stays where it is.
pub fn land_on(path: &str) {
    if takes_html() {
        leptos_axum::redirect(path);
    }
}

/// Gives a server function's refusal its status. A browser without JavaScript is redirected to its form instead.
pub fn set_status_of_failure(error: &AppError) {
    if let (Some(response), false, Ok(status)) =
        (use_context::<ResponseOptions>(), takes_html(), StatusCode::from_u16(error.code().status))
    {
        response.set_status(status);
    }
}

fn takes_html() -> bool {
    let parts = use_context::<Parts>();
    let accept = parts.as_ref().and_then(|parts| parts.headers.get(header::ACCEPT)?.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
