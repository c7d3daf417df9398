//! Pages: one module each, with its server functions (public endpoints) and its components.
//!
//! Every page is rendered from one [`PageData`], on the server and in the browser. To add one: a route and a loader in
//! `web/pages.rs`, a line in [`Page`], and a component.

pub mod admin;
pub mod audit_table;
pub mod employees;
pub mod errors;
pub mod home;
pub mod keys;
pub mod notice;
mod pagination;
pub mod profile;
mod query;
pub mod reauth;
pub mod reset_password;
pub mod sign_in;
pub mod teams;
pub mod theme;
mod usage;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::query::QueryParams;
use crate::error::AppError;
use crate::model::apis::ApiPage;
use crate::model::audit::AuditPage;
use crate::model::keys::KeyPage;
use crate::model::own_link::OwnLink;
use crate::model::team_page::TeamPage;
use crate::model::theme::Theme;
use crate::model::users::{AccountPage, User};
use crate::ui::feedback::FailedForm;

/// Everything that a page is rendered from. The page's source contains it, so it holds no secret. It is complete
/// before the rendering starts: nothing streams, and nothing is rendered twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageData {
    /// The signed-in user.
    pub user: Option<User>,
    /// The path of the page, without a trailing slash.
    pub path: String,
    pub query: QueryParams,
    pub theme: Theme,
    /// Links to pages of a program that uses this crate.
    pub own_links: Vec<OwnLink>,
    pub page: Page,
    /// The form that failed and led here, without JavaScript.
    pub form_error: Option<FailedForm>,
}

/// Declares the pages: variant with its data, title, component.
macro_rules! pages {
    ($($variant:ident $(($data:ident: $type:ty))?, $title:expr, $($component:ident)::+;)*) => {
        /// A page with its data. A part that could not be loaded shows its error in place.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Page { $($variant $(($type))?),* }

        impl Page {
            /// Returns the title of the browser's tab.
            #[allow(unused_variables, reason = "most titles are fixed")]
            pub fn title(&self) -> &str {
                match self { $(Self::$variant $(($data))? => $title),* }
            }

            /// Renders the content of the page that is shown. It follows the data until a page of another kind is shown.
            pub fn render(shown: RwSignal<PageData>) -> AnyView {
                match shown.with_untracked(|shown| shown.page.clone()) {
                    $(Self::$variant $(($data))? => {
                        $(let $data = follow(shown, $data, |page| match page {
                            Self::$variant($data) => Some($data),
                            _ => None,
                        });)?
                        view! { <$($component)::+ $(data=$data)?/> }.into_any()
                    }),*
                }
            }
        }
    };
}

/// Returns the data of the page that is shown, while it is of the same kind.
fn follow<T: Clone + PartialEq + Send + Sync + 'static>(
    shown: RwSignal<PageData>,
    first: T,
    data_of: fn(&Page) -> Option<&T>,
) -> Memo<T> {
    Memo::new(move |before: Option<&T>| {
        let now = shown.with(|shown| data_of(&shown.page).cloned());
        now.unwrap_or_else(|| before.unwrap_or(&first).clone())
    })
}

pages! {
    Home(data: home::HomeData), "API keys", home::HomePage;
    SignUp(data: sign_in::SignInOptions), "Sign up", sign_in::SignUpPage;
    SignIn(data: sign_in::SignInOptions), "Sign in", sign_in::SignInPage;
    ForgotPassword, "Forgot your password?", sign_in::ForgotPasswordPage;
    Profile(data: profile::ProfileData), "Profile", profile::ProfilePage;
    Employees(data: employees::EmployeesData), "Employees", employees::EmployeesPage;
    Teams(data: teams::TeamsData), "Teams", teams::TeamsPage;
    Team(data: Box<TeamPage>), &data.team.name, teams::OneTeamPage;
    AdminKeys(data: Result<KeyPage, AppError>), "Keys", admin::keys::AdminKeysPage;
    AdminUsers(data: Result<AccountPage, AppError>), "Users", admin::users::AdminUsersPage;
    AdminApis(data: Result<ApiPage, AppError>), "APIs", admin::apis::AdminApisPage;
    AdminAudit(data: Result<AuditPage, AppError>), "Audit", admin::audit::AdminAuditPage;
    Errors, "Errors", errors::ErrorsPage;
    NotFound, "Not found", home::NotFoundPage;
}
