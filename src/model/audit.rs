//! The audit: what happened, as people are told.

use serde::{Deserialize, Serialize};

use super::fields::FieldErrors;
use super::time::{DAY, Timestamp};

/// After all events: the end of the year 9999.
const END: Timestamp = Timestamp::from_millis(253_402_300_800_000);

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
    /// Only events from this day on, `2027-02-21` in UTC; from the first if empty.
    pub from: String,
    /// Only events until the end of this day; to the latest if empty.
    pub to: String,
    /// Only events before this one, by its id; from the latest if empty.
    pub before: String,
}

/// A span of time: from an instant on, and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant that is in it.
    pub from: Timestamp,
    /// The first that is not.
    pub until: Timestamp,
}

impl AuditQuery {
    /// The days that were asked for; all where none were.
    ///
    /// # Errors
    /// A sentence at `from` or `to`, if it is no day, or the second is before the first.
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
            (Some(_), Some(_)) => errors.add("to", "Choose a day that is not before the first."),
            _ => {}
        }
        Err(errors)
    }

    /// What the address of the page has of it, but where a page of the list begins.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        [("action", &self.action), ("who", &self.who), ("from", &self.from), ("to", &self.to)]
            .map(|(name, value)| (name, value.clone()))
            .into()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str) -> Result<(String, String), FieldErrors> {
        let query = AuditQuery { from: from.to_owned(), to: to.to_owned(), ..AuditQuery::default() };
        query.span().map(|span| (span.from.rfc3339(), span.until.rfc3339()))
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
