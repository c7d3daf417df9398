//! The audit log.

use serde::{Deserialize, Serialize};

use super::fields::FieldErrors;
use super::time::{DAY, Timestamp};

/// The end of the year 9999, after all events.
const END: Timestamp = Timestamp::from_millis(253_402_300_800_000);

macro_rules! actions {
    ($($name:ident $text:literal $label:literal)*) => {
        /// An audited action.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $(#[doc = concat!("`", $text, "`")] $name),* }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name in the database: `key.create`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Returns the label on pages.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }
    };
}

actions! {
    KeyCreate "key.create" "Key created"
    KeyEdit "key.edit" "Key changed"
    KeyRotate "key.rotate" "Key rotated"
    KeyRevoke "key.revoke" "Key revoked"
    KeyLeak "key.leak" "Key reported as leaked, and revoked"
    AccountCreate "account.create" "Account created"
    AccountName "account.name" "Display name changed"
    AccountEmail "account.email" "Email address changed"
    AccountPassword "account.password" "Password changed"
    AccountResetLink "account.reset_link" "Reset link created"
    AccountDisable "account.disable" "Account disabled"
    AccountEnable "account.enable" "Account enabled"
    AccountPromote "account.promote" "Made a superuser"
    AccountDemote "account.demote" "No longer a superuser"
    AccountDelete "account.delete" "Account deleted"
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
    TeamDelete "team.delete" "Team deleted"
    ApiAdd "api.add" "API registered"
    ApiEdit "api.edit" "API changed"
    ApiRemove "api.remove" "API removed"
    ApiScopeAdd "api.scope_add" "Scope registered"
    ApiScopeRemove "api.scope_remove" "Scope removed"
}

/// The action of a recorded event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RecordedAction {
    Known(Action),
    /// The name of an action that only a newer version knows.
    Unknown(String),
}

impl RecordedAction {
    /// Returns the name in the database.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(action) => action.as_str(),
            Self::Unknown(name) => name,
        }
    }

    /// Returns the label on pages.
    pub fn label(&self) -> &str {
        match self {
            Self::Known(action) => action.label(),
            Self::Unknown(name) => name,
        }
    }
}

impl From<String> for RecordedAction {
    fn from(name: String) -> Self {
        let known = Action::ALL.iter().find(|action| action.as_str() == name);
        known.map_or(Self::Unknown(name), |action| Self::Known(*action))
    }
}

impl From<RecordedAction> for String {
    fn from(action: RecordedAction) -> Self {
        action.as_str().to_owned()
    }
}

/// An audit event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Ids of later events sort later.
    pub id: String,
    pub at: Timestamp,
    pub action: RecordedAction,
    pub actor: String,
    /// The client address. Empty if unknown.
    pub ip: String,
    /// The prefix of a key, an email address, or the slug of a team.
    pub subject: String,
    /// A short description of the change.
    pub detail: String,
}

/// A search of the audit log. Empty fields do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    /// The name of an [`Action`].
    pub action: String,
    /// The email address, key prefix or team slug of the actor or the target.
    pub who: String,
    /// The first day, `2027-02-21` in UTC.
    pub from: String,
    /// The last day.
    pub to: String,
    /// The id of the event after this page.
    pub before: String,
}

/// A half-open span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after the span.
    pub until: Timestamp,
}

impl AuditQuery {
    /// Returns the selected days. Errors name the field `from` or `to`.
    pub fn span(&self) -> Result<Span, FieldErrors> {
        const NO_DAY: &str = "Enter a day, like 2027-02-21.";
        let mut errors = FieldErrors::default();
        let mut day = |field, text: &str, empty| match text.trim() {
            "" => Some(empty),
            text => errors.take(field, Timestamp::start_of_day(text).ok_or(NO_DAY)),
        };
        let from = day("from", &self.from, Timestamp::from_millis(0));
        let until = day("to", &self.to, END.plus(-DAY)).map(|to| to.plus(DAY));
        match (from, until) {
            (Some(from), Some(until)) if from < until => return Ok(Span { from, until }),
            (Some(_), Some(_)) => errors.add("to", "Choose a day on or after the first day."),
            _ => {}
        }
        Err(errors)
    }

    /// Returns the query parameters that every page of the list keeps.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        [("action", &self.action), ("who", &self.who), ("from", &self.from), ("to", &self.to)]
            .map(|(name, value)| (name, value.clone()))
            .into()
    }
}

/// A page of audit events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// The cursor of the next page.
    pub next: Option<String>,
    pub query: AuditQuery,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str) -> Result<(String, String), FieldErrors> {
        let query = AuditQuery { from: from.to_owned(), to: to.to_owned(), ..AuditQuery::default() };
        query.span().map(|span| (span.from.rfc3339(), span.until.rfc3339()))
    }

    #[test]
    fn actions_have_names_of_their_own_and_unknown_ones_are_kept() {
        for action in Action::ALL {
            assert_eq!(RecordedAction::from(action.as_str().to_owned()), RecordedAction::Known(*action));
        }
        let newer = RecordedAction::from("key.polish".to_owned());
        assert_eq!((newer.as_str(), newer.label()), ("key.polish", "key.polish"));
    }

    #[test]
    fn days_are_whole_and_in_utc() {
        let day = ("2027-02-21T00:00:00.000Z".to_owned(), "2027-02-22T00:00:00.000Z".to_owned());
        assert_eq!(span("2027-02-21", "2027-02-21"), Ok(day));
        assert_eq!(span("", "9999-12-31").unwrap().0, "1970-01-01T00:00:00.000Z");
        assert!(span("", "").is_ok());
    }

    #[test]
    fn what_is_no_day_is_told_at_its_field() {
        for (from, to, field) in [
            ("junk", "", "from"),
            ("", "2027-02-30", "to"),
            ("2027-02-22", "2027-02-21", "to"),
            ("1969-12-31", "", "from"),
        ] {
            assert!(span(from, to).unwrap_err().first(field).is_some(), "{from} {to}");
        }
    }
}
