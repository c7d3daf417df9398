//! One file a page: its server functions, which are public endpoints, and its components. Here stands what all of them
//! have in common: a page is rendered from one [`Visit`], on the server and in the browser alike.

pub mod docs;
pub mod employees;
pub mod home;
pub mod keys;
pub mod profile;
pub mod sign_in;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;
use crate::model::employees::EmployeeList;
use crate::model::keys::KeyList;
use crate::model::users::{SessionFacts, User};

/// The paths of all pages, as axum reads them.
pub const PATHS: [&str; 6] = ["/", "/sign-up", "/sign-in", "/profile", "/employees", "/docs/errors"];

/// All that a page is rendered from. It stands in the page's source as JSON, from which the browser's side takes the page
/// over, and so holds no secret. Whole when the rendering begins: nothing waits, and nothing is rendered twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Visit {
    /// Whose session it is.
    pub user: Option<User>,
    /// The path of the page, without its last slash.
    pub path: String,
    /// What the address asks for.
    pub asked: Asked,
    /// The page.
    pub page: Page,
}

/// The query of the address, decoded: which dialog is open, which page of a list is shown. Components take it from the
/// context.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Asked(pub Vec<(String, String)>);

impl Asked {
    /// The value of a parameter; empty for one that has none. `None` if it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.clone())
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
    Home { origin: String },
    SignUp,
    SignIn,
    Profile { keys: Result<KeyList, AppError>, sessions: Result<Vec<SessionFacts>, AppError> },
    Employees(Result<EmployeeList, AppError>),
    Errors,
    NotFound,
}

impl Page {
    /// Reads what the page at a path shows to a visitor.
    ///
    /// # Errors
    /// [`AppError::CredentialsMissing`] if it is for users only and the visitor is none.
    pub async fn open(path: &str, asked: &Asked, (user, origin): (Option<&User>, String)) -> Result<Self, AppError> {
        if user.is_none() && matches!(path, "/profile" | "/employees") {
            return Err(AppError::CredentialsMissing);
        }
        Ok(match path {
            "/" => Self::Home { origin },
            "/sign-up" => Self::SignUp,
            "/sign-in" => Self::SignIn,
            "/docs/errors" => Self::Errors,
            "/profile" => Self::Profile {
                keys: keys::list_keys(asked.get("revoked").is_some()).await,
                sessions: profile::list_sessions().await,
            },
            "/employees" => {
                let page = asked.get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
                Self::Employees(employees::list_employees(page).await)
            }
            _ => Self::NotFound,
        })
    }

    /// What stands in the browser's tab.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Home { .. } => "API keys",
            Self::SignUp => "Sign up",
            Self::SignIn => "Sign in",
            Self::Profile { .. } => "Profile",
            Self::Employees(_) => "Employees",
            Self::Errors => "Errors",
            Self::NotFound => "Not found",
        }
    }
}

/// Data of a part of a page: as it came with the page, and read again by the browser whenever `source` changes.
pub fn live<S, T, F>(first: T, source: impl Fn() -> S + 'static, read: impl Fn(S) -> F + 'static) -> RwSignal<T>
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
