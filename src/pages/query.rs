//! The query string of a page.

use leptos::prelude::{Memo, use_context};
use serde::{Deserialize, Serialize};

use crate::model::audit::AuditQuery;
use crate::model::employees::{Department, EmployeeQuery};
use crate::model::keys::{KeyQuery, OwnKeyQuery, Sort, StateFilter};
use crate::model::redact::redact;

/// Decoded query parameters: which dialog is open, and which page of a list is shown. Components take them from the context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryParams(pub Vec<(String, String)>);

impl QueryParams {
    /// Returns the query of the page that is shown.
    pub fn from_context() -> Memo<Self> {
        use_context().unwrap_or_else(|| Memo::new(|_| Self::default()))
    }

    /// Returns the first value of a parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.clone())
    }

    /// Returns all values of a parameter.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(parameter, _)| parameter == name).map(|(_, value)| value.clone()).collect()
    }

    /// Returns the first value of a parameter, or an empty text without one.
    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    /// Returns the parameters that the page's source may contain: no search, no error of a form, and no key.
    #[must_use]
    pub fn for_page(self) -> Self {
        let shown = self.0.into_iter().filter(|(name, _)| !matches!(name.as_str(), "search" | "__path" | "__err"));
        Self(shown.map(|(name, value)| (redact(&name).into_owned(), redact(&value).into_owned())).collect())
    }

    /// Returns the search of `/employees`.
    pub fn employee_query(&self) -> EmployeeQuery {
        EmployeeQuery {
            search: self.text("search"),
            department: Department::parse(&self.text("department")).ok(),
            ordering: self.text("ordering"),
            page: self.get("page").and_then(|page| page.parse().ok()).unwrap_or(1),
            about: self.get("edit").or_else(|| self.get("delete")),
        }
    }

    /// Returns the id of the key that the open dialog is about.
    pub fn key_id(&self) -> String {
        ["rotate", "revoke", "usage"].into_iter().find_map(|dialog| self.get(dialog)).unwrap_or_default()
    }

    /// Returns the search of the keys on `/profile`.
    pub fn own_key_query(&self) -> OwnKeyQuery {
        OwnKeyQuery {
            search: self.text("search"),
            state: StateFilter::from_name(&self.text("state")),
            after: self.text("after"),
            about: self.key_id(),
            create: self.get("create").is_some(),
        }
    }

    /// Returns the search of `/admin/keys`.
    pub fn key_query(&self) -> KeyQuery {
        let about = self.get("edit").map_or_else(|| self.all("revoke"), |id| vec![id]);
        KeyQuery {
            search: self.text("search"),
            state: StateFilter::from_name(&self.text("state")),
            sort: Sort::from_name(&self.text("sort")),
            after: self.text("after"),
            about,
            create: self.get("create").is_some(),
        }
    }

    /// Returns the search of `/admin/audit`.
    pub fn audit_query(&self) -> AuditQuery {
        let [action, who, from, to, before] = ["action", "who", "from", "to", "before"].map(|name| self.text(name));
        AuditQuery { action, who, from, to, before }
    }
}
