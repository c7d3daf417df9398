//! Extractors for page handlers. They read the session and the query, and refuse visitors that a page is not for.

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leptos::prelude::{IntoAny, IntoView};

use super::error_response::{error_page, render};
use super::no_js::error_cookie::{self, NoJsError};
use super::ssr::{html_response, render_page};
use super::wire::Wire;
use crate::app::{NavData, own_document};
use crate::error::AppError;
use crate::model::redact::redact;
use crate::pages::{Page, PageData, QueryParams};
use crate::server::auth::sessions::Session;
use crate::server::auth::{self, origin};
use crate::server::leptos_context::{accepts_html, accepts_wire};
use crate::server::request_context::{self, ErrorFormat};
use crate::server::state::AppState;
use crate::server::theme;

/// A request for a page, with its session.
pub struct PageRequest<S> {
    pub state: AppState,
    pub session: S,
    pub query: QueryParams,
    pub parts: Parts,
}

/// A request for a page that everyone can see.
pub type PublicPage = PageRequest<Option<Session>>;

/// A request for a page of a signed-in user. Other visitors are redirected to `/sign-in`.
pub type UserPage = PageRequest<Session>;

/// A request for a page of a superuser. Other visitors get 404.
pub struct SuperuserPage(pub UserPage);

/// The response to a request that an extractor refuses.
pub struct PageRejection(Box<Response>);

impl From<Response> for PageRejection {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for PageRejection {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl PublicPage {
    /// Reads the session. A key is rejected: it opens no page.
    pub async fn read(state: AppState, parts: Parts) -> Result<Self, PageRejection> {
        match auth::session_from_parts(&state, &parts).await {
            Ok(session) => Ok(Self::new(state, session, parts)),
            Err(error) => Err(error_page(&state, &error, None).into()),
        }
    }

    /// Reads the session for a path without a page. A key is ignored there.
    pub async fn read_ignoring_keys(state: AppState, parts: Parts) -> Result<Self, PageRejection> {
        match auth::session_from_parts(&state, &parts).await {
            Err(AppError::SessionRequired) => Ok(Self::new(state, None, parts)),
            Ok(session) => Ok(Self::new(state, session, parts)),
            Err(error) => Err(error_page(&state, &error, None).into()),
        }
    }

    fn with_session(self) -> Result<UserPage, Box<Self>> {
        let Self { state, session, query, parts } = self;
        match session {
            Some(session) => Ok(PageRequest { state, session, query, parts }),
            None => Err(Box::new(Self { state, session, query, parts })),
        }
    }

    fn new(state: AppState, session: Option<Session>, parts: Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let query = QueryParams(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect());
        Self { state, session, query, parts }
    }
}

impl<S: Into<Option<Session>>> PageRequest<S> {
    /// Responds with a page, with the page for its error, or with a redirect to `/sign-in`.
    pub fn respond(self, loaded: Result<Page, AppError>) -> Response {
        match loaded {
            Ok(page) => self.render(page),
            Err(AppError::NotFound) => self.render(Page::NotFound),
            Err(AppError::CredentialsMissing) => {
                (StatusCode::FOUND, [(header::LOCATION, origin::login_redirect_target(&self.parts.uri))])
                    .into_response()
            }
            Err(error) => error_page(&self.state, &error, None),
        }
    }

    /// Responds with a page. A program that looks for the API gets its 404 as a problem.
    pub fn render(self, page: Page) -> Response {
        if matches!(page, Page::NotFound) && is_for_api(&self.state, &self.parts.headers) {
            return render(&self.state, &AppError::NotFound, ErrorFormat::Problem);
        }
        let state = self.state.clone();
        if accepts_wire(&self.parts.headers) && !matches!(page, Page::NotFound) {
            return Wire(self.into_data(page)).into_response();
        }
        // What was not found can be a picture that the browser looks for.
        let has_error_cookie =
            !matches!(page, Page::NotFound) && error_cookie::is_set(&state.config, &self.parts.headers);
        let mut response = render_page(&state, self.into_data(page));
        if has_error_cookie {
            error_cookie::forget(&state.config, &mut response);
        }
        response
    }

    /// Responds with a page of your own, in Keyfob's document: the same navigation, style and footer. It works without the
    /// WebAssembly program, which knows only Keyfob's pages. `view` can be any Leptos view; it is rendered once, here.
    ///
    /// ```
    /// use axum::response::Response;
    /// use keyfob::web::page_request::UserPage;
    /// use leptos::prelude::*;
    ///
    /// async fn hello(page: UserPage) -> Response {
    ///     let name = page.session.user.label().to_owned();
    ///     page.render_own("Hello", move || view! { <p>"Hello, " {name}</p> })
    /// }
    /// ```
    pub fn render_own<V: IntoView + 'static>(self, title: &str, view: impl FnOnce() -> V) -> Response {
        let Self { state, session, parts, .. } = self;
        request_context::set_theme(theme::read(&parts.headers));
        let nav = NavData {
            user: session.into().map(|session| session.user),
            path: redact(parts.uri.path()).trim_end_matches('/').to_owned(),
            own_links: state.config.own_links.clone(),
        };
        html_response(&state, None, || own_document(title, state.site.stylesheet(), nav, view().into_any()))
    }

    /// Returns everything that the page is rendered from.
    pub fn into_data(self, page: Page) -> PageData {
        let Self { state, session, query, parts } = self;
        let rerendered = parts.extensions.get::<NoJsError>().cloned();
        PageData {
            user: session.into().map(|session| session.user),
            path: redact(parts.uri.path()).into_owned(),
            query: query.for_page(),
            theme: request_context::theme(),
            own_links: state.config.own_links.clone(),
            page,
            form_error: rerendered
                .or_else(|| error_cookie::read(&state.config, &parts.headers, &parts.uri))
                .map(Into::into),
        }
    }
}

/// Whether a request without a page comes from a program that looks for the API.
fn is_for_api(state: &AppState, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let has_key = || auth::api_key_header::is_present_on_page(headers, state.config.api_key_header.as_ref());
    !accepts_html(headers) && (accept.contains("json") || has_key())
}

impl FromRequest<AppState> for PublicPage {
    type Rejection = PageRejection;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, PageRejection> {
        Self::read(state.clone(), request.into_parts().0).await
    }
}

impl FromRequest<AppState> for UserPage {
    type Rejection = PageRejection;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, PageRejection> {
        let page = PublicPage::from_request(request, state).await?;
        page.with_session().map_err(|page| page.respond(Err(AppError::CredentialsMissing)).into())
    }
}

impl SuperuserPage {
    /// Reads the session.
    pub async fn read(state: AppState, parts: Parts) -> Result<Self, PageRejection> {
        let mut page = PublicPage::read_ignoring_keys(state, parts).await?;
        page.session = page.session.filter(|session| session.user.superuser);
        page.with_session().map(Self).map_err(|page| page.render(Page::NotFound).into())
    }
}

impl FromRequest<AppState> for SuperuserPage {
    type Rejection = PageRejection;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, PageRejection> {
        Self::read(state.clone(), request.into_parts().0).await
    }
}

/// The team in the path, by its slug. Text that cannot be one is the slug of no team.
pub struct TeamSlug(pub String);

impl<S: Send + Sync> FromRequestParts<S> for TeamSlug {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let slug = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(slug.map(|Path(slug)| slug).unwrap_or_default()))
    }
}
