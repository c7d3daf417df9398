//! Native only: secrets, SQL and the outside world live here and nowhere else.

pub mod accounts;
pub mod address_quota;
pub mod answer_body;
pub mod api;
pub mod audit;
pub mod auth;
mod background;
pub mod backup;
pub mod config;
pub mod confirm;
pub mod contact;
pub mod copy;
pub mod db;
pub mod doctor;
pub mod employees;
pub mod feed;
pub mod fold;
mod forms;
pub mod headers;
pub mod keys;
pub mod load;
pub mod log;
pub mod memory_budget;
mod origin;
mod page_user;
pub mod receive;
pub mod request_body;
pub mod seed;
pub mod serve;
pub mod site;
pub mod state;
pub mod teams;
mod told;
pub mod turns;
pub mod usage;
pub mod users;
pub mod windows;

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, MatchedPath, RawForm, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_extra::extract::{Form, FormRejection};
use leptos::nonce::Nonce;
use leptos::prelude::{IntoView, Owner, provide_context, use_context};
use leptos::reactive::computed::ScopedFuture;
use leptos::server_fn::axum::get_server_fn_service;
use leptos_axum::ResponseOptions;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::set_header::SetResponseHeaderLayer;

use self::auth::secrets::searched;
use self::config::Signup;
use self::db::attempts;
use self::forms::Failure;
use self::page_user::PageUser;
use self::receive::{Receive, RequestId};
use self::state::AppState;
use crate::app::shell;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::{KeyForm, KeyId, NewKey, RotateForm};
use crate::model::link::link;
use crate::model::redact::{contains_key, redact};
use crate::model::users::{PAGE_USER, UserId};
use crate::pages::confirm::ConfirmDocument;
use crate::pages::home::FailureDocument;
use crate::pages::keys::reveal::NewKeyDocument;
use crate::pages::keys::{create_key, rotate_key};
use crate::pages::{Asked, Entrance, PATHS, Page, Visit, Visitor};

/// The largest body of a request in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// Every route and layer, in order. `own` are the endpoints of whoever builds on Keyfob.
pub fn router(state: AppState, own: Router<AppState>) -> Receive {
    let admin = Router::new()
        .route("/admin/keys", get(page).post(find_key))
        .route("/admin/users", get(page).post(find))
        .route("/admin/audit", get(page).post(find))
        .route("/admin/audit.csv", get(audit_csv))
        .route("/admin/fn/{name}", post(server_function))
        .layer(from_fn_with_state(state.clone(), only_admins));
    let pages = PATHS.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    let pages = pages
        .route("/fn/{name}", post(server_function))
        .route("/profile/keys", post(create_key_without_javascript).get(|| async { Redirect::to("/profile") }))
        .route("/profile/keys/rotate", post(rotate_key_without_javascript).get(|| async { Redirect::to("/profile") }))
        .merge(admin)
        .fallback(page)
        .layer(from_fn_with_state(state.clone(), ask_for_password))
        .layer(from_fn(remember_session))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(csrf(&state));

    let routes = Router::new()
        .merge(api::routes(&state, own))
        .merge(state.site.routes())
        .merge(contact::routes(&state))
        .merge(pages)
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(state.clone());
    Receive::around(routes, state)
}

/// Answers with a page, whole: one that were streamed would say 200 before a guard can redirect.
async fn page(State(state): State<AppState>, parts: Parts) -> Response {
    let (uri, id) = (parts.uri.clone(), RequestId::of(&parts.extensions));
    let for_api = is_for_api(&state, &parts.headers);
    let is_told = told::read(&state.config, &parts.headers).is_some();
    match visit(&state, parts).await {
        Ok(visit) if for_api && matches!(visit.page, Page::NotFound) => {
            api::problem(&state, id.as_str(), &AppError::NotFound)
        }
        Ok(visit) => {
            let mut response = render(&state, visit);
            if is_told {
                told::forget(&state.config, &mut response);
            }
            response
        }
        Err(AppError::CredentialsMissing) => {
            (StatusCode::FOUND, [(header::LOCATION, origin::sign_in_for(&uri))]).into_response()
        }
        Err(error) => failure(&state, (id, None), error),
    }
}

/// The page that says what went wrong with a request, and leads back to the page that it came from.
fn failure(state: &AppState, (id, back): (RequestId, Option<String>), error: AppError) -> Response {
    let id = id.as_str().to_owned();
    document(state, Some(&error.clone()), || FailureDocument(error, id, state.site.stylesheet(), back))
}

/// Answers a call from a page that was rendered for somebody else.
fn account_changed(state: &AppState, parts: &Parts) -> Response {
    let error = AppError::AccountChanged;
    if !takes_html(&parts.headers) {
        let mut response = (StatusCode::CONFLICT, Json(&error)).into_response();
        response.extensions_mut().insert(error);
        return response;
    }
    let page = origin::referrer(&parts.headers).filter(|_| origin::is_this_site(state, &parts.headers));
    let back = page.map(|page| origin::next(page.path(), page.query()));
    failure(state, (RequestId::of(&parts.extensions), back), error)
}

/// The page, whole, from all that it shows.
#[must_use]
pub fn render(state: &AppState, visit: Visit) -> Response {
    let nothing = matches!(visit.page, Page::NotFound).then_some(&AppError::NotFound);
    document(state, nothing, || shell(&state.site.options, &state.site.version, visit))
}

/// Finds out who visits, and reads what the page shows them.
///
/// # Errors
/// As [`Page::open`], and if the database does not answer.
pub async fn visit(state: &AppState, parts: Parts) -> Result<Visit, AppError> {
    let (path, asked) = (parts.uri.path().to_owned(), asked(&parts));
    let told = parts.extensions.get().cloned().or_else(|| told::read(&state.config, &parts.headers));
    let session = match auth::visitor_of(state, &parts).await {
        // A key finds nothing there, nor on a path that no page has.
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
    let reading = Page::open(&path, &asked, visitor);
    let page = match within(state.clone(), parts, reading).await {
        Err(AppError::NotFound) => Page::NotFound,
        read => read?,
    };
    Ok(Visit { user, path: redact(&path).into_owned(), asked: asked.for_page(), page, told })
}

/// Whether a page has the path of a request.
fn has_page(parts: &Parts) -> bool {
    parts.extensions.get::<MatchedPath>().is_some()
}

/// Whether a program looks for the API: where nothing is, the answer is then one of the API.
fn is_for_api(state: &AppState, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let has_key = || auth::credentials::has_key_on_page(headers, state.config.api_key_header.as_ref());
    !takes_html(headers) && (accept.contains("json") || has_key())
}

/// What a request for a page asks for: by its query, or, for a search for a key, by its body.
fn asked(parts: &Parts) -> Asked {
    let query = match parts.extensions.get::<Pasted>() {
        Some(Pasted(body)) => body,
        None => parts.uri.query().unwrap_or_default().as_bytes(),
    };
    Asked(url::form_urlencoded::parse(query).into_owned().collect())
}

/// Runs server functions for a request that was not sent to them.
fn within<F: Future>(state: AppState, parts: Parts, call: F) -> impl Future<Output = F::Output> {
    Owner::new().with(|| {
        provide_context(state);
        provide_context(parts);
        ScopedFuture::new(call)
    })
}

/// For everybody but superusers nothing is there, whatever the method and the body.
async fn only_admins(state: State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match auth::visitor_of(&state, &parts).await {
        Ok(Some(session)) if session.user.superuser => next.run(Request::from_parts(parts, body)).await,
        Err(error @ AppError::Unavailable) => error.into_response(),
        Err(AppError::AccountChanged) => account_changed(&state, &parts),
        visitor => {
            if let Ok(Some(session)) = visitor {
                log::name_user(&session.user);
            }
            let mut response = page(state, parts).await;
            response.extensions_mut().insert(AppError::SuperuserRequired);
            response
        }
    }
}

/// Runs a server function. The whole body is read first, for Leptos would read any amount.
async fn server_function(
    State(state): State<AppState>,
    mut parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return AppError::ContentTooLarge.into_response() };
    // Leptos redirects a form without JavaScript back there.
    let entrance = origin::entrance(&state, &parts.headers, (parts.uri.path(), &body));
    let is_here = origin::is_this_site(&state, &parts.headers);
    let sent_by = parts.headers.remove(header::REFERER).filter(|_| is_here);
    if let Some(page) = entrance.or(sent_by) {
        parts.headers.insert(header::REFERER, without_keys(page));
    }
    if get_server_fn_service(parts.uri.path(), parts.method.clone()).is_none() {
        return AppError::NotFound.into_response();
    }
    let run = || {
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let (state, failure) = (state.clone(), Failure::default());
        async {
            let provided = failure.clone();
            let provide = move || {
                provide_context(state.clone());
                provide_context(provided.clone());
            };
            (leptos_axum::handle_server_fns_with_context(provide, request).await.into_response(), failure)
        }
    };
    let is_unavailable = |(_, failure): &(_, Failure)| failure.get() == Some(&AppError::Unavailable);
    let (mut response, failure) = attempts::repeat(run, is_unavailable).await;
    if let Some(error) = failure.get() {
        response.extensions_mut().insert(error.clone());
    }
    if !takes_html(&parts.headers) {
        return response;
    }
    match failure.get() {
        // See ask_for_password.
        Some(AppError::PasswordNeeded) => AppError::PasswordNeeded.into_response(),
        Some(AppError::AccountChanged) => account_changed(&state, &parts),
        Some(error) => match forms::again(&state, &parts, &body, error) {
            Some((uri, told, seconds)) => {
                parts.uri = uri;
                parts.extensions.insert(told);
                let mut response = page(State(state), parts).await;
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
            None => told::keep(&state.config, response),
        },
        None => response,
    }
}

/// Answers a form that needs the password and was sent without JavaScript by a page that asks for it, and lets the form
/// pass when it comes from there.
async fn ask_for_password(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.method != Method::POST || !takes_html(&parts.headers) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Ok(mut body) = Bytes::from_request(Request::from_parts(parts.clone(), body), &state).await else {
        return failure(&state, (RequestId::of(&parts.extensions), None), AppError::ContentTooLarge);
    };
    if forms::has_too_many_fields(&body) {
        let error = FieldErrors::whole("This form has more fields than any of this site. Go back and reload the page.");
        return failure(&state, (RequestId::of(&parts.extensions), None), error.into());
    }
    let (form, password) = confirm::read(&parts, &body);
    if let Some(user) = UserId::parse(&forms::value(&body, PAGE_USER)) {
        parts.extensions.insert(PageUser(user));
    }
    let ask = |form, why: AppError| {
        document(&state, Some(&why.clone()), || ConfirmDocument(form, why, state.site.stylesheet()))
    };
    let mut cookie = None;
    if let Some(password) = password {
        cookie = match confirm::take(&state, &mut parts, (&form, password)).await {
            Ok(cookie) => cookie,
            Err(error) => return ask(form, error),
        };
        body = confirm::body(&form).into();
    }
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.extensions().get() == Some(&AppError::PasswordNeeded) {
        response = ask(form, AppError::PasswordNeeded);
    }
    response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

/// The form "Create API key" as a browser without JavaScript sends it: the answer is a page that shows the key once.
/// Nothing redirects, for the key would have to be kept somewhere on the way.
async fn create_key_without_javascript(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<KeyForm>, FormRejection>,
) -> Response {
    let for_user = form.as_ref().is_ok_and(|form| !form.owner.is_empty());
    let links = if for_user { ("/admin/keys?create=", "/admin/keys") } else { ("/profile?create=", "/profile") };
    show_once(state, parts, form.map(|Form(form)| move || create_key(form.clone())), (links.0.to_owned(), links.1))
        .await
}

/// The same for the form "Rotate".
async fn rotate_key_without_javascript(
    State(state): State<AppState>,
    parts: Parts,
    form: Result<Form<RotateForm>, FormRejection>,
) -> Response {
    let id = form.as_ref().map(|form| form.id.clone()).unwrap_or_default();
    let back = format!("/profile?rotate={}", if KeyId::parse(&id).is_some() { &id } else { "" });
    show_once(state, parts, form.map(|Form(form)| move || rotate_key(form.clone())), (back, "/profile")).await
}

async fn show_once<F: Future<Output = Result<NewKey, AppError>>>(
    state: AppState,
    parts: Parts,
    call: Result<impl Fn() -> F, FormRejection>,
    links: (String, &'static str),
) -> Response {
    let (origin, stylesheet) = (state.config.origin(), state.site.stylesheet());
    let made = match call {
        Ok(call) => within(state.clone(), parts, attempts::repeat(call, Result::is_err)).await,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(AppError::ContentTooLarge),
        Err(_) => Err(FieldErrors::whole("The form was not complete. Reload the page and fill it in again.").into()),
    };
    match made {
        Err(AppError::CredentialsMissing) => {
            return Redirect::to(&link("/sign-in", [("next", links.0.as_str())])).into_response();
        }
        Err(AppError::PasswordNeeded) => return AppError::PasswordNeeded.into_response(),
        _ => {}
    }
    let refusal = made.as_ref().err().cloned();
    document(&state, refusal.as_ref(), || NewKeyDocument(made, origin, stylesheet, links))
}

/// The search of `/admin/keys`. A pasted key stays in the body, and the answer is the page; anything else goes into the
/// address, where it can be kept and sent on.
async fn find_key(State(state): State<AppState>, mut parts: Parts, RawForm(body): RawForm) -> Response {
    if !contains_key(&forms::value(&body, "search")) {
        return find(parts, RawForm(body)).await;
    }
    parts.extensions.insert(Pasted(body));
    page(State(state), parts).await
}

/// The search of another page: leads to the address that shows what is found. It comes in a body, for a browser puts all that is
/// typed into an address; of a key that was pasted, only the public prefix gets into one.
async fn find(parts: Parts, RawForm(body): RawForm) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(
        url::form_urlencoded::parse(&body).map(|(name, value)| (redact(&name).into_owned(), searched(&value))),
    );
    Redirect::to(&format!("{}?{}", parts.uri.path(), query.finish())).into_response()
}

/// The body of a search for a key, in place of the address.
#[derive(Clone)]
struct Pasted(Bytes);

/// `/admin/audit.csv`: all events of the filter, sent as the client takes them.
async fn audit_csv(State(state): State<AppState>, parts: Parts) -> Response {
    let query = asked(&parts).audit_query();
    let csv = within(state, parts, async move {
        let (state, _) = auth::admin().await?;
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

/// Answers with a page, and where it tells of a refusal as that has to be answered. The nonce of its scripts is made here, for
/// the page and for the policy in its header.
fn document<V: IntoView>(state: &AppState, refusal: Option<&AppError>, view: impl FnOnce() -> V) -> Response {
    let nonce = Nonce::from_value(auth::secrets::make_nonce());
    let policy = headers::page_policy(&nonce, &state.config);
    let html = Owner::new().with(|| {
        provide_context(nonce);
        view().to_html()
    });
    let status = StatusCode::from_u16(refusal.map_or(200, |error| error.code().status));
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Html(format!("<!DOCTYPE html>{html}"))).into_response();
    if let Some(policy) = policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(refusal) = refusal {
        response.extensions_mut().insert(refusal.clone());
        if let Some(seconds) = refusal.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
    }
    response
}

async fn ready(State(state): State<AppState>) -> Response {
    if state.load.is_stopping() {
        let headers = [(header::RETRY_AFTER, "2"), (header::CONNECTION, "close")];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, "stopping\n").into_response();
    }
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

async fn remember_session(mut request: Request, next: Next) -> Response {
    log::name_route(request.extensions());
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
    if is_form() {
        leptos_axum::redirect(path);
    }
}

/// Where every browser goes from the form that it sent.
pub fn go_to(path: &str) {
    leptos_axum::redirect(path);
}

/// Gives a server function's refusal its status. A browser without JavaScript is redirected to its form instead, or gets
/// another page for an answer.
pub fn set_status_of_failure(error: &AppError) {
    if let Some(failure) = use_context::<Failure>() {
        failure.set(error);
    }
    let status = StatusCode::from_u16(error.code().status);
    if let (Some(response), false, Ok(status)) = (use_context::<ResponseOptions>(), is_form(), status) {
        response.set_status(status);
        if let Some(seconds) = error.retry_after() {
            response.insert_header(header::RETRY_AFTER, seconds.into());
        }
    }
}

/// Whether the server function that is running was called by a form, without JavaScript.
fn is_form() -> bool {
    use_context::<Parts>().is_some_and(|parts| takes_html(&parts.headers))
}

/// The same value without the secrets of keys in it.
fn without_keys(value: HeaderValue) -> HeaderValue {
    let clean = value.to_str().ok().and_then(|text| match redact(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => HeaderValue::try_from(clean).ok(),
    });
    clean.unwrap_or(value)
}

fn takes_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
