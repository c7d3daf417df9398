//! Lists of keys: what is asked for, and what is shown of each.

use serde::{Deserialize, Serialize};

use super::{KeyFacts, KeyRejection};
use crate::model::teams::Membership;
use crate::model::time::{DAY, Timestamp};

/// A key as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct KeyEntry {
    /// The key.
    #[cfg_attr(feature = "ssr", sqlx(flatten))]
    pub key: KeyFacts,
    /// The email address of its user.
    pub owner: String,
    /// When its user's account was disabled.
    pub owner_disabled_at: Option<Timestamp>,
    /// The name of its team.
    pub team: Option<String>,
    /// The role of its user in its team; `None` for a key without one, and where they have left it.
    pub role: Option<String>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// The address that it was last used from.
    pub used_ip: Option<String>,
    /// The program that it was last used by, as it called itself.
    pub used_agent: Option<String>,
    /// When it was last given a new secret.
    pub rotated_at: Option<Timestamp>,
    /// Until when the secret before that works.
    pub old_expires_at: Option<Timestamp>,
    /// When the secret before that was last used.
    pub old_used_at: Option<Timestamp>,
    /// When somebody reported that they hold it.
    pub leaked_at: Option<Timestamp>,
    /// Requests a minute that an administrator allows it; what the server allows all keys if `None`.
    pub rate: Option<i64>,
    /// Its requests of the last [`USAGE_DAYS`] days, as the database has them; see [`KeyEntry::usage`].
    pub days: Option<String>,
}

/// How many days of requests the page shows.
pub const USAGE_DAYS: i64 = 30;

/// The requests of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayUsage {
    /// The day, as the number of days since 1970-01-01 in UTC.
    pub day: i64,
    /// Requests that were let through.
    pub allowed: i64,
    /// Requests that were refused.
    pub refused: i64,
}

impl KeyEntry {
    /// Why it is refused just now, whatever its status.
    #[must_use]
    pub const fn refusal(&self) -> Option<KeyRejection> {
        match (&self.owner_disabled_at, &self.key.team_id, &self.role) {
            (Some(_), ..) => Some(KeyRejection::AccountDisabled),
            (None, Some(_), None) => Some(KeyRejection::NotInTeam),
            _ => None,
        }
    }

    /// The requests of the last [`USAGE_DAYS`] days until `now`, one entry a day, the oldest first.
    #[must_use]
    pub fn usage(&self, now: Timestamp) -> Vec<DayUsage> {
        let days = self.days.as_deref().unwrap_or_default().split_ascii_whitespace().filter_map(|text| {
            let mut numbers = text.split(':').map(str::parse::<i64>);
            let mut next = || numbers.next()?.ok();
            Some(DayUsage { day: next()?, allowed: next()?, refused: next()? })
        });
        let known: Vec<_> = days.collect();
        let last = now.as_millis() / DAY;
        (last - USAGE_DAYS + 1..=last)
            .map(|day| {
                let found = known.iter().find(|known| known.day == day).copied();
                found.unwrap_or(DayUsage { day, allowed: 0, refused: 0 })
            })
            .collect()
    }

    /// Until when the secret before the last rotation works, if it still does at `now`.
    #[must_use]
    pub fn old_works_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.old_expires_at.filter(|at| *at > now && self.key.revoked_at.is_none())
    }
}

/// In which order administrators see keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Those made last first.
    #[default]
    Newest,
    /// Those made first first.
    Oldest,
    /// By name.
    Name,
    /// Those that expire first first; those that never do are left out.
    Expiry,
}

impl Sort {
    /// All of them, what an address calls them, and the words on the page.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Newest, "newest", "Newest first"),
        (Self::Oldest, "oldest", "Oldest first"),
        (Self::Name, "name", "By name"),
        (Self::Expiry, "expiry", "By expiry"),
    ];
}

/// Which keys an administrator looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyQuery {
    /// A part of the name or of the owner's email address, a prefix, or a whole key; all if empty.
    pub search: String,
    /// `active`, `expired` or `revoked`; all if empty.
    pub state: String,
    /// In which order.
    pub sort: Sort,
    /// Where the page before ended; the first page if empty.
    pub after: String,
    /// The ids of the keys that a dialog is about.
    pub about: Vec<String>,
}

/// Keys, as administrators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<KeyEntry>,
    /// What to ask for as `after` to see those that follow; `None` if there are none.
    pub next: Option<String>,
    /// What was asked for, but for a pasted key.
    pub query: KeyQuery,
    /// The keys that a dialog is about, whatever the list shows.
    pub about: Vec<KeyEntry>,
    /// Whether a key was pasted to look for.
    pub pasted: bool,
    /// When the list was made.
    pub now: Timestamp,
    /// The next showing of the form "Create API key".
    pub form_id: String,
    /// The address of the server.
    pub origin: String,
}

/// A page of the keys of a user or a team.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlice {
    /// The keys.
    pub keys: Vec<KeyEntry>,
    /// What to ask for as `after` to see those that follow; `None` if there are none.
    pub next: Option<String>,
    /// The one that a dialog is about, on whatever page it is.
    pub about: Option<KeyEntry>,
}

impl KeySlice {
    /// The key with this id: one of the page, or the one that a dialog is about.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&KeyEntry> {
        self.keys.iter().chain(&self.about).find(|entry| entry.key.id.as_str() == id)
    }
}

/// A user's keys, as the page shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// A page of them.
    pub keys: Vec<KeyEntry>,
    /// What to ask for as `after` to see those that follow; `None` if there are none.
    pub next: Option<String>,
    /// The one that a dialog is about, on whatever page it is.
    pub about: Option<Box<KeyEntry>>,
    /// Whether the revoked ones are among them, after all others.
    pub revoked: bool,
    /// The teams that a new key can be limited to.
    pub teams: Vec<Membership>,
    /// Whether there are revoked ones, shown or not.
    pub has_revoked: bool,
    /// The last ones that were reported as leaked in the last 30 days, and so were revoked.
    pub leaked: Vec<KeyFacts>,
    /// Whether more than these were.
    pub more_leaked: bool,
    /// When the list was made: what the states are told by, and what new expiries are reckoned from.
    pub now: Timestamp,
    /// The next showing of the form "Create API key": sent twice, it makes one key.
    pub form_id: String,
    /// The address of the server, for the command to try a new key with.
    pub origin: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::tests::{NOW, key};

    #[test]
    fn usage_has_an_entry_for_each_of_the_last_30_days() {
        let today = NOW.as_millis() / DAY;
        let entry = KeyEntry {
            key: key(None, false),
            owner: String::new(),
            owner_disabled_at: None,
            team: None,
            role: None,
            used_at: None,
            used_ip: None,
            used_agent: None,
            rotated_at: None,
            old_expires_at: None,
            old_used_at: None,
            leaked_at: None,
            rate: None,
            days: Some(format!("{}:1:2 {today}:30:4 junk", today - USAGE_DAYS)),
        };
        let usage = entry.usage(NOW);
        assert_eq!(usage.len(), 30);
        assert_eq!(usage[29], DayUsage { day: today, allowed: 30, refused: 4 });
        assert!(usage[..29].iter().all(|day| day.allowed + day.refused == 0));
    }
}
