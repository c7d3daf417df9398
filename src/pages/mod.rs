//! One file a page: its server functions, which are public endpoints, and its components. Here stands what all of them
//! have in common: a page is rendered from one [`PageData`], on the server and in the browser alike.

pub mod admin;
pub mod docs;
pub mod employees;
pub mod home;
pub mod keys;
pub mod profile;
pub mod reauth;
pub mod sign_in;
pub mod teams;

use futures_util::future::{join, join3};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;
use crate::model::audit::{AuditEntry, AuditPage, AuditQuery};
use crate::model::employees::EmployeeList;
use crate::model::form_error::FormError;
use crate::model::keys::{KeyList, KeyPage, KeyQuery, Sort};
use crate::model::redact::redact;
use crate::model::teams::{Invitation, Membership, TeamPage};
use crate::model::users::{AccountPage, SessionFacts, User};

/// The paths of the pages that everybody may ask for, as axum reads them.
pub const PATHS: [&str; 9] = [
    "/",
    "/sign-up",
    "/sign-in",
    "/profile",
    "/employees",
    "/teams",
    "/a/{team}",
    "/a/{team}/employees",
    "/docs/errors",
];

/// All that a page is rendered from. It stands in the page's source as JSON, from which the browser's side takes the page
/// over, and so holds no secret. Whole when the rendering begins: nothing waits, and nothing is rendered twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageData {
    /// Whose session it is.
    pub user: Option<User>,
    /// The path of the page, without its last slash.
    pub path: String,
    /// What the address asks for.
    pub asked: QueryParams,
    /// The page.
    pub page: Page,
    /// What was wrong with the form that led here, without JavaScript.
    pub told: Option<FormError>,
}

/// The query of the address, decoded: which dialog is open, which page of a list is shown. Components take it from the
/// context.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QueryParams(pub Vec<(String, String)>);

impl QueryParams {
    /// The value of a parameter; empty for one that has none. `None` if it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.clone())
    }

    /// All values of a parameter.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(parameter, _)| parameter == name).map(|(_, value)| value.clone()).collect()
    }

    /// The value of a parameter; empty for one that is not there.
    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    /// What of it may stand in the page: no key, no search, for the page has what it needs of that, and no words for alerts.
    #[must_use]
    pub fn for_page(self) -> Self {
        let shown = self.0.into_iter().filter(|(name, _)| !matches!(name.as_str(), "search" | "__path" | "__err"));
        Self(shown.map(|(name, value)| (redact(&name).into_owned(), redact(&value).into_owned())).collect())
    }

    /// The query of the page that is being rendered.
    #[must_use]
    pub fn here() -> Self {
        use_context().unwrap_or_default()
    }
}

/// A page with its data. A part that could not be loaded says so in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Page {
    Home {
        origin: String,
        sign_up: bool,
    },
    SignUp(Entrance),
    SignIn(Entrance),
    Profile {
        keys: Result<KeyList, AppError>,
        sessions: Result<Vec<SessionFacts>, AppError>,
        activity: Result<Vec<AuditEntry>, AppError>,
    },
    Employees {
        list: Result<EmployeeList, AppError>,
        team: Option<String>,
    },
    Teams {
        teams: Result<Vec<Membership>, AppError>,
        invitations: Result<Vec<Invitation>, AppError>,
    },
    Team(Box<TeamPage>),
    AdminKeys(Result<KeyPage, AppError>),
    AdminUsers(Result<AccountPage, AppError>),
    AdminAudit(Result<AuditPage, AppError>),
    Errors,
    NotFound,
}

/// What the pages to sign in and up have to know of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entrance {
    /// Whether people may make accounts themselves.
    pub sign_up: bool,
    /// The https address to sign in at, where the page was opened over http and a browser would drop the session's cookie.
    pub secure_origin: Option<String>,
}

/// Who asks for a page, and what the page has to know of the server.
#[derive(Clone, Debug)]
pub struct Visitor<'a> {
    /// Whose session it is.
    pub user: Option<&'a User>,
    /// The public address of the server.
    pub origin: String,
    /// For the pages to sign in and up.
    pub entrance: Entrance,
}

impl Page {
    /// Reads what the page at a path shows to a visitor.
    ///
    /// # Errors
    /// [`AppError::CredentialsMissing`] if it is for users only and the visitor is none; [`AppError::NotFound`] if it is for
    /// administrators only, or for a team that the visitor is not in.
    pub async fn load(path: &str, asked: &QueryParams, visitor: Visitor<'_>) -> Result<Self, AppError> {
        let Visitor { user, origin, entrance } = visitor;
        let segments: Vec<_> = path.split('/').skip(1).collect();
        match (&*segments, user) {
            (["profile" | "employees" | "teams"] | ["a", _] | ["a", _, "employees"], None) => {
                return Err(AppError::CredentialsMissing);
            }
            (["admin", _], user) if !user.is_some_and(|user| user.superuser) => return Err(AppError::NotFound),
            _ => {}
        }
        let number = asked.get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
        Ok(match *segments {
            [""] => Self::Home { origin, sign_up: entrance.sign_up },
            ["sign-up"] => Self::SignUp(entrance),
            ["sign-in"] => Self::SignIn(entrance),
            ["docs", "errors"] => Self::Errors,
            ["profile"] => {
                let keys = keys::list_keys(asked.get("revoked").is_some(), asked.get("after"), asked.key());
                // All at once: the page takes as long as the slowest.
                let lists = join3(keys, profile::list_sessions(), profile::list_activity());
                let (keys, sessions, activity) = Box::pin(lists).await;
                Self::Profile { keys, sessions, activity }
            }
            ["employees"] => {
                Self::Employees { list: employees::list_employees(None, number, asked.employee()).await, team: None }
            }
            ["a", team, "employees"] => {
                let team = Some(team.to_owned());
                match employees::list_employees(team.clone(), number, asked.employee()).await {
                    Err(AppError::NotFound) => return Err(AppError::NotFound),
                    list => Self::Employees { list, team },
                }
            }
            ["teams"] => {
                let lists = join(teams::list_teams(), teams::invitations::list_invitations());
                let (teams, invitations) = Box::pin(lists).await;
                Self::Teams { teams, invitations }
            }
            ["a", team] => {
                Self::Team(Box::new(teams::load_team(team.to_owned(), asked.get("after"), asked.key()).await?))
            }
            ["admin", "keys"] => Self::AdminKeys(admin::keys::find_keys(asked.key_query()).await),
            ["admin", "users"] => {
                let about = asked.get("disable");
                Self::AdminUsers(admin::users::find_users(asked.text("search"), asked.text("after"), about).await)
            }
            ["admin", "audit"] => Self::AdminAudit(admin::audit::find_events(asked.audit_query()).await),
            _ => Self::NotFound,
        })
    }

    /// What stands in the browser's tab.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Home { .. } => "API keys",
            Self::SignUp(_) => "Sign up",
            Self::SignIn(_) => "Sign in",
            Self::Profile { .. } => "Profile",
            Self::Employees { .. } => "Employees",
            Self::Teams { .. } => "Teams",
            Self::Team(page) => &page.team.name,
            Self::AdminKeys(_) => "Keys",
            Self::AdminUsers(_) => "Users",
            Self::AdminAudit(_) => "Audit",
            Self::Errors => "Errors",
            Self::NotFound => "Not found",
        }
    }
}

impl QueryParams {
    /// The employee that the open dialog is about, by its id.
    fn employee(&self) -> Option<String> {
        self.get("edit").or_else(|| self.get("delete"))
    }

    /// The key that the open dialog is about, by its id.
    fn key(&self) -> Option<String> {
        ["rotate", "revoke", "usage"].into_iter().find_map(|dialog| self.get(dialog))
    }

    /// Which keys an administrator looks for.
    #[must_use]
    pub fn key_query(&self) -> KeyQuery {
        let sort = self.text("sort");
        let sort = Sort::ALL.iter().find(|(_, name, _)| *name == sort).map(|(sort, ..)| *sort).unwrap_or_default();
        let about = self.get("edit").map_or_else(|| self.all("revoke"), |id| vec![id]);
        KeyQuery { search: self.text("search"), state: self.text("state"), sort, after: self.text("after"), about }
    }

    /// Which events an administrator looks for.
    #[must_use]
    pub fn audit_query(&self) -> AuditQuery {
        let [action, who, from, to, before] = ["action", "who", "from", "to", "before"].map(|name| self.text(name));
        AuditQuery { action, who, from, to, before }
    }
}

/// Data of a part of a page: as it came with the page, and read again by the browser whenever `source` changes.
pub fn refetching_signal<S, T, F>(
    first: T,
    source: impl Fn() -> S + 'static,
    read: impl Fn(S) -> F + 'static,
) -> RwSignal<T>
where
    S: PartialEq + Clone + 'static,
    T: Send + Sync + 'static,
    F: Future<Output = T> + 'static,
{
    let data = RwSignal::new(first);
    // The answers to two questions may come in any order: the last question counts.
    let latest = StoredValue::new(0_u32);
    Effect::new(move |before: Option<S>| {
        let now = source();
        if before.is_some_and(|before| before != now) {
            latest.update_value(|n| *n += 1);
            let (asked, answer) = (latest.get_value(), read(now.clone()));
            leptos::task::spawn_local(async move {
                let answer = answer.await;
                if latest.try_get_value() == Some(asked) {
                    data.set(answer);
                }
            });
        }
        now
    });
    data
}
