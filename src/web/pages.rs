//! Every page: its route and its loader. A loader reads the page's data and responds with the page.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::{join, join3};

use super::admin::search;
use super::page_request::{PublicPage, SuperuserPage, TeamSlug, UserPage};
use super::reset_password;
use crate::error::AppError;
use crate::pages::Page;
use crate::pages::employees::EmployeesData;
use crate::pages::home::HomeData;
use crate::pages::profile::ProfileData;
use crate::pages::sign_in::SignInOptions;
use crate::pages::teams::TeamsData;
use crate::server::apis::Removal;
use crate::server::auth::{self, origin, sessions};
use crate::server::config::Signup;
use crate::server::state::AppState;
use crate::server::{apis, audit, employees, keys, teams, users};

/// The pages for visitors and users. The router adds those for superusers behind their guard.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(home))
        .route("/sign-up", get(sign_up))
        .route("/sign-in", get(sign_in))
        .route("/forgot-password", get(async |page: PublicPage| page.render(Page::ForgotPassword)))
        .route("/reset-password", get(reset_password::show).post(reset_password::submit))
        .route("/profile", get(profile).post(search))
        .route("/profile/export.json", get(export))
        .route("/employees", get(own_employees))
        .route("/teams", get(team_list))
        .route("/a/{team}", get(team))
        .route("/a/{team}/employees", get(team_employees))
        .route("/docs/errors", get(async |page: PublicPage| page.render(Page::Errors)))
}

async fn home(page: PublicPage) -> Response {
    let data = HomeData {
        origin: page.state.config.origin(),
        sign_up: page.state.config.signup == Signup::Open,
        signed_in: page.session.is_some(),
    };
    page.render(Page::Home(data))
}

async fn sign_up(page: PublicPage) -> Response {
    let options = sign_in_options(&page);
    page.render(Page::SignUp(options))
}

async fn sign_in(page: PublicPage) -> Response {
    let options = sign_in_options(&page);
    page.render(Page::SignIn(options))
}

fn sign_in_options(page: &PublicPage) -> SignInOptions {
    SignInOptions {
        sign_up: page.state.config.signup == Signup::Open,
        secure_origin: origin::secure_origin(&page.state.config, &page.parts.headers),
    }
}

/// Renders the sign-in or sign-up page again, as the response to its form.
pub async fn rerender_sign_in(state: AppState, parts: Parts) -> Response {
    match PublicPage::read(state, parts).await {
        Ok(page) if page.parts.uri.path() == "/sign-up" => sign_up(page).await,
        Ok(page) => sign_in(page).await,
        Err(rejection) => rejection.into_response(),
    }
}

async fn profile(page: UserPage) -> Response {
    let data = load_profile(&page).await;
    page.render(data)
}

/// Loads the profile page.
pub async fn load_profile(UserPage { state, session, query, .. }: &UserPage) -> Page {
    let keys = keys::page(state, session, query.own_key_query());
    let sessions = sessions::list(&state.db, session, state.now());
    let activity = audit::of_user(&state.db, &session.user, audit::ON_PROFILE);
    // At the same time: the page takes as long as the slowest list.
    let (keys, sessions, activity) = Box::pin(join3(keys, sessions, activity)).await;
    Page::Profile(ProfileData { user: session.user.clone(), keys, sessions, activity })
}

/// Streams the user's own data as a download.
async fn export(UserPage { state, session, .. }: UserPage) -> Response {
    match users::export::stream(state, session).await {
        Ok(json) => {
            let kind = (header::CONTENT_TYPE, "application/json");
            let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"keyfob-account.json\"");
            ([kind, name], Body::from_stream(json)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn own_employees(page: UserPage) -> Response {
    let loaded = load_employees(&page, None).await;
    page.respond(loaded)
}

async fn team_employees(TeamSlug(team): TeamSlug, page: UserPage) -> Response {
    let loaded = load_employees(&page, Some(team)).await;
    page.respond(loaded)
}

async fn load_employees(page: &UserPage, team: Option<String>) -> Result<Page, AppError> {
    let UserPage { state, session, query, .. } = page;
    let tenant = auth::tenant(state, session.clone(), team.as_deref()).await;
    let (list, figures) = match tenant {
        // Without access to the team, the page is not found. Other errors show in place of the list.
        Err(AppError::NotFound) => return Err(AppError::NotFound),
        Err(error) => (Err(error.clone()), Err(error)),
        Ok(tenant) => {
            let list = employees::page(state, &tenant, query.employee_query());
            Box::pin(join(list, employees::figures(state, &tenant))).await
        }
    };
    Ok(Page::Employees(EmployeesData { list, figures, team }))
}

async fn team_list(page: UserPage) -> Response {
    let (state, session) = (&page.state, &page.session);
    let teams = teams::list(&state.db, &session.user.id);
    let invitations = teams::invitations::list(&state.db, session, state.now());
    let (teams, invitations) = Box::pin(join(teams, invitations)).await;
    page.render(Page::Teams(TeamsData { teams, invitations }))
}

async fn team(TeamSlug(team): TeamSlug, page: UserPage) -> Response {
    let (after, about) = (page.query.text("after"), page.query.key_id());
    let loaded = teams::page(&page.state, &page.session, &team, &after, &about).await;
    page.respond(loaded.map(|team| Page::Team(Box::new(team))))
}

pub async fn admin_keys(SuperuserPage(page): SuperuserPage) -> Response {
    let loaded = keys::admin::page(&page.state, page.query.key_query()).await;
    page.render(Page::AdminKeys(loaded))
}

pub async fn admin_users(SuperuserPage(page): SuperuserPage) -> Response {
    let (state, query) = (&page.state, &page.query);
    let (search, after, about) =
        (query.text("search"), query.text("after"), query.get("disable").or_else(|| query.get("delete")));
    let loaded = users::page_with_dialog(&state.db, &page.session, &search, &after, about.as_deref()).await;
    page.render(Page::AdminUsers(loaded))
}

pub async fn admin_apis(SuperuserPage(page): SuperuserPage) -> Response {
    let [api, scope] = ["remove", "remove-scope"].map(|name| page.query.get(name));
    let removal = match (&api, &scope) {
        (Some(id), _) => Removal::Api(id),
        (None, Some(id)) => Removal::Scope(id),
        (None, None) => Removal::Nothing,
    };
    let loaded = apis::page(&page.state, removal).await;
    page.render(Page::AdminApis(loaded))
}

pub async fn admin_audit(SuperuserPage(page): SuperuserPage) -> Response {
    let loaded = audit::page(&page.state.db, &page.query.audit_query()).await;
    page.render(Page::AdminAudit(loaded))
}

/// Responds to every path without a page.
pub async fn not_found(State(state): State<AppState>, parts: Parts) -> Response {
    match PublicPage::read_ignoring_keys(state, parts).await {
        Ok(page) => page.render(Page::NotFound),
        Err(rejection) => rejection.into_response(),
    }
}
