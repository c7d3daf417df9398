//! Lists of keys, and the searches for them.

use serde::{Deserialize, Serialize};

use super::{Access, KeyFacts, KeyRejection};
use crate::model::apis::Api;
use crate::model::link::Parameters;
use crate::model::teams::Membership;
use crate::model::time::Timestamp;
use crate::model::usage::{DayUsage, last_days};

/// A key in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    pub key: KeyFacts,
    /// The email address of the user.
    pub owner: String,
    pub owner_disabled_at: Option<Timestamp>,
    /// The name of the team.
    pub team: Option<String>,
    /// Whether the user is in the team of the key. `false` without a team.
    pub in_team: bool,
    /// The time of the last use, to the minute.
    pub used_at: Option<Timestamp>,
    pub used_ip: Option<String>,
    /// The program of the last use, by its user agent; see [`browser_name`](crate::model::users::browser_name).
    pub used_agent: Option<String>,
    pub rotated_at: Option<Timestamp>,
    /// The expiry of the previous secret.
    pub old_expires_at: Option<Timestamp>,
    /// The time of the last use of the previous secret.
    pub old_used_at: Option<Timestamp>,
    pub leaked_at: Option<Timestamp>,
    /// Requests per minute, `None` for the server's default.
    pub rate: Option<i64>,
    /// The days with requests among the last [`USAGE_DAYS`](crate::model::usage::USAGE_DAYS), in any order; see [`KeyEntry::usage`].
    pub days: Vec<DayUsage>,
}

impl KeyEntry {
    /// Returns why an active key is rejected.
    pub const fn rejection(&self) -> Option<KeyRejection> {
        match (&self.owner_disabled_at, &self.key.team_id, self.in_team) {
            (Some(_), ..) => Some(KeyRejection::AccountDisabled),
            (None, Some(_), false) => Some(KeyRejection::NotInTeam),
            _ if matches!(self.key.access, Access::Api(None)) => Some(KeyRejection::ApiRemoved),
            _ => None,
        }
    }

    /// Returns its requests; see [`last_days`].
    pub fn usage(&self, now: Timestamp) -> Vec<DayUsage> {
        last_days(&self.days, now)
    }

    /// Returns the expiry of the previous secret if it still works at `now`.
    pub fn old_works_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.old_expires_at.filter(|at| *at > now && self.key.revoked_at.is_none())
    }
}

/// The order of the administrators' list of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    Newest,
    Oldest,
    Name,
    /// The next to expire first. Keys without an expiry are left out.
    Expiry,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::Name, Self::Expiry];

    /// Returns the name in forms and addresses: `newest`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Name => "name",
            Self::Expiry => "expiry",
        }
    }

    /// Returns the label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::Name => "By name",
            Self::Expiry => "By expiry",
        }
    }

    /// Returns the order with this name, or the default.
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|sort| sort.as_str() == name).unwrap_or_default()
    }
}

/// The status that a list of keys is limited to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFilter {
    Active,
    Expired,
    Revoked,
    /// Also any unknown name.
    #[default]
    #[serde(rename = "", other)]
    All,
}

impl StateFilter {
    pub const ALL: [Self; 4] = [Self::All, Self::Active, Self::Expired, Self::Revoked];

    /// Returns the name in forms and addresses: `active`, and nothing for all.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Returns the label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// Returns the filter with this name, or the default.
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == name).unwrap_or_default()
    }
}

/// A search of the administrators' list of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyQuery {
    /// Part of a name or an email address, a prefix, or a whole key.
    pub search: String,
    /// Only keys of this status.
    pub state: StateFilter,
    pub sort: Sort,
    /// The cursor of the page. Empty for the first.
    pub after: String,
    /// The ids of the keys that the open dialog is about.
    pub about: Vec<String>,
    /// Whether the form for a new key is open.
    pub create: bool,
}

/// A page of the administrators' list of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    pub keys: Vec<KeyEntry>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The search, without a pasted key.
    pub query: KeyQuery,
    /// The keys that the open dialog is about. The page may not contain them.
    pub about: Vec<KeyEntry>,
    /// Whether the search contained a whole key.
    pub pasted: bool,
    /// The registered APIs, while the form for a new key is open.
    pub apis: Vec<Api>,
    /// The time by which the page shows the status of keys.
    pub now: Timestamp,
    /// The [`IdempotencyKey`](super::IdempotencyKey) of the form "Create API key".
    pub form_id: String,
    /// The origin of the server.
    pub origin: String,
}

/// A page of the keys of a user or a team.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlice {
    pub keys: Vec<KeyEntry>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The key that the open dialog is about. The page may not contain it.
    pub about: Option<KeyEntry>,
}

impl KeySlice {
    /// Returns a key of the page or of the dialog by its id.
    pub fn find(&self, id: &str) -> Option<&KeyEntry> {
        self.keys.iter().chain(&self.about).find(|entry| entry.key.id.as_str() == id)
    }
}

/// A search of a user's own keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnKeyQuery {
    /// Part of a name, or a prefix.
    pub search: String,
    /// Only keys of this status.
    pub state: StateFilter,
    /// The cursor of the page. Empty for the first.
    pub after: String,
    /// The id of the key that a dialog is about. Empty for none.
    pub about: String,
    /// Whether the form for a new key is open.
    pub create: bool,
}

impl OwnKeyQuery {
    /// Returns the parameters of the list, without its page.
    pub fn filter(&self) -> Parameters {
        vec![("search", self.search.clone()), ("state", self.state.as_str().to_owned())]
    }

    /// Returns the parameters that dialogs above the list keep.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = self.filter();
        parameters.push(("after", self.after.clone()));
        parameters
    }

    pub fn is_filtered(&self) -> bool {
        !self.search.is_empty() || self.state != StateFilter::All
    }
}

/// The keys of a user, and the data of the form for a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyEntry>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The key that the open dialog is about. The page may not contain it.
    pub about: Option<Box<KeyEntry>>,
    /// The search.
    pub query: OwnKeyQuery,
    /// The teams that a new key can be limited to.
    pub teams: Vec<Membership>,
    /// The registered APIs, while the form for a new key is open.
    pub apis: Vec<Api>,
    /// The latest keys that were reported as leaked in the last 30 days.
    pub leaked: Vec<KeyFacts>,
    /// Whether more keys were reported.
    pub more_leaked: bool,
    /// The time by which the page shows the status of keys and calculates expiries.
    pub now: Timestamp,
    /// The [`IdempotencyKey`](super::IdempotencyKey) of the form "Create API key".
    pub form_id: String,
    /// The origin of the server.
    pub origin: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::keys::tests::{NOW, key};
    use crate::model::teams::TeamId;
    use crate::model::time::DAY;
    use crate::model::usage::USAGE_DAYS;

    fn entry(key: KeyFacts) -> KeyEntry {
        KeyEntry {
            key,
            owner: String::new(),
            owner_disabled_at: None,
            team: None,
            in_team: false,
            used_at: None,
            used_ip: None,
            used_agent: None,
            rotated_at: None,
            old_expires_at: None,
            old_used_at: None,
            leaked_at: None,
            rate: None,
            days: Vec::new(),
        }
    }

    #[test]
    fn usage_has_an_entry_for_each_of_the_last_30_days() {
        let today = NOW.as_millis() / DAY;
        let days = vec![
            DayUsage { day: today - USAGE_DAYS, allowed: 1, refused: 2 },
            DayUsage { day: today, allowed: 30, refused: 4 },
        ];
        let usage = KeyEntry { days, ..entry(key(None, false)) }.usage(NOW);
        assert_eq!(usage.len(), 30);
        assert_eq!(usage[29], DayUsage { day: today, allowed: 30, refused: 4 });
        assert!(usage[..29].iter().all(|day| day.allowed + day.refused == 0));
    }

    #[test]
    fn filters_and_orders_have_labels_of_their_own() {
        let labels = Sort::ALL.map(Sort::label).into_iter().chain(StateFilter::ALL.map(StateFilter::label));
        let labels: BTreeSet<_> = labels.collect();
        assert_eq!(labels.len(), Sort::ALL.len() + StateFilter::ALL.len(), "{labels:?}");
        assert!(!labels.contains(""));
    }

    #[test]
    fn links_keep_the_search_and_the_page_of_the_own_keys() {
        let query = OwnKeyQuery {
            search: "ci".into(),
            state: StateFilter::Revoked,
            after: "cursor".into(),
            ..OwnKeyQuery::default()
        };
        assert_eq!(query.filter(), [("search", "ci".into()), ("state", "revoked".into())]);
        assert_eq!(
            query.parameters(),
            [("search", "ci".into()), ("state", "revoked".into()), ("after", "cursor".into())]
        );
    }

    #[test]
    fn list_says_why_an_active_key_is_rejected() {
        let plain = entry(key(None, false));
        assert_eq!(plain.rejection(), None);
        let disabled = KeyEntry { owner_disabled_at: Some(NOW), ..plain.clone() };
        assert_eq!(disabled.rejection(), Some(KeyRejection::AccountDisabled));
        let team_id = TeamId::parse(plain.key.id.as_str());
        let of_team = KeyEntry { key: KeyFacts { team_id, ..key(None, false) }, ..plain.clone() };
        assert_eq!(of_team.rejection(), Some(KeyRejection::NotInTeam));
        assert_eq!(KeyEntry { in_team: true, ..of_team }.rejection(), None);
        let removed = KeyEntry { key: KeyFacts { access: Access::Api(None), ..key(None, false) }, ..plain };
        assert_eq!(removed.rejection(), Some(KeyRejection::ApiRemoved));
    }

    #[test]
    fn old_secret_of_a_key_works_until_it_expires_or_the_key_is_revoked() {
        let old = |revoked, expires: Option<i64>| {
            let old_expires_at = expires.map(|millis| NOW.plus(millis));
            KeyEntry { old_expires_at, ..entry(key(None, revoked)) }.old_works_until(NOW)
        };
        assert_eq!(old(false, Some(1)), Some(NOW.plus(1)));
        assert_eq!((old(false, Some(0)), old(false, None), old(true, Some(1))), (None, None, None));
    }
}
