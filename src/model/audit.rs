//! The audit: what happened, as people are told.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

macro_rules! actions {
    ($($name:ident $text:literal $label:literal)*) => {
        /// What can happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $(#[doc = concat!("`", $text, "`")] $name),* }

        impl Action {
            /// All of them: as the database has them, and in words.
            pub const ALL: &[(&'static str, &'static str)] = &[$(($text, $label)),*];

            /// As the database has it: `key.create`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

actions! {
    KeyCreate "key.create" "Key created"
    KeyEdit "key.edit" "Key changed"
    KeyRotate "key.rotate" "Key given a new secret"
    KeyRevoke "key.revoke" "Key revoked"
    KeyLeak "key.leak" "Key reported as leaked, and revoked"
    AccountCreate "account.create" "Account created"
    AccountName "account.name" "Display name changed"
    AccountPassword "account.password" "Password changed"
    AccountDisable "account.disable" "Account disabled"
    AccountEnable "account.enable" "Account enabled"
    AccountPromote "account.promote" "Made a superuser"
    AccountDemote "account.demote" "No longer a superuser"
    SessionBegin "session.begin" "Signed in"
    SessionConfirm "session.confirm" "Password entered again"
    SessionEnd "session.end" "Signed out"
    SessionFail "session.fail" "Sign-in failed"
    SessionDelay "session.delay" "Sign-in delayed"
    TeamCreate "team.create" "Team created"
    TeamInvite "team.invite" "Invited to a team"
    TeamJoin "team.join" "Invitation to a team accepted"
    TeamDecline "team.decline" "Invitation to a team declined"
    TeamCancel "team.cancel" "Invitation to a team cancelled"
    TeamAdd "team.add" "Added to a team"
    TeamRole "team.role" "Role in a team changed"
    TeamRemove "team.remove" "Left or removed from a team"
}

/// The words for an action as the database has it.
#[must_use]
pub fn label(action: &str) -> &str {
    Action::ALL.iter().find(|(name, _)| *name == action).map_or(action, |(_, label)| label)
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct AuditEntry {
    /// Its id; those of later events sort later.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What: `key.create`.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// From where; empty where it is not known.
    pub ip: String,
    /// To what: a key's prefix, an email address, a team's slug.
    pub subject: String,
    /// What changed, in a few words.
    pub detail: String,
}

/// Which events to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    /// Only this action; all if empty.
    pub action: String,
    /// Only events by or on this email address, prefix or slug; all if empty.
    pub who: String,
    /// Only events before this one, by its id; from the latest if empty.
    pub before: String,
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The events, the latest first.
    pub entries: Vec<AuditEntry>,
    /// What to ask for as `before` to see those that follow; `None` if there are none.
    pub next: Option<String>,
    /// What was asked for.
    pub query: AuditQuery,
}
