//! The limits that answer 429, each with its sentence and its name.

use serde::{Deserialize, Serialize};

use crate::model::time::wait;

/// Limit that a request exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Requests of one key.
    KeyRequests {
        /// `KEYFOB_KEY_RATE`, or the key's own limit.
        per_minute: u32,
    },
    /// Requests of one key for one registered API.
    ApiRequests {
        /// The limit of the API.
        per_minute: u32,
    },
    /// Unknown keys from one address.
    UnknownKeys,
    /// Reports of leaked keys from one address.
    LeakReports,
    /// Failed sign-ins from one address.
    SignIns,
    /// New accounts from one address.
    SignUps,
    /// Growing delay after several wrong passwords in a row.
    LoginBackoff,
    /// Passwords of one account that are checked within a minute.
    PasswordChecks,
    /// Passwords of one account that are checked at the same time.
    ConcurrentPasswordChecks,
    /// Searches and long lists of one owner that run at the same time.
    ConcurrentReads,
    /// Invitations of one account.
    AccountInvitations,
    /// Invitations of all admins of one team.
    TeamInvitations,
}

/// Number of requests that a limit allows in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub requests: u32,
    pub window_seconds: u32,
}

impl Quota {
    const fn per_minute(requests: u32) -> Self {
        Self { requests, window_seconds: 60 }
    }
}

impl Limit {
    /// Unknown keys that one address may present within a minute.
    pub const UNKNOWN_KEYS_PER_MINUTE: u32 = 100;
    /// Reports of leaked keys that one address may send within a minute.
    pub const LEAK_REPORTS_PER_MINUTE: u32 = 30;

    /// Every limit, for documentation and tests.
    pub const ALL: [Self; 12] = [
        Self::KeyRequests { per_minute: 60 },
        Self::ApiRequests { per_minute: 60 },
        Self::UnknownKeys,
        Self::LeakReports,
        Self::SignIns,
        Self::SignUps,
        Self::LoginBackoff,
        Self::PasswordChecks,
        Self::ConcurrentPasswordChecks,
        Self::ConcurrentReads,
        Self::AccountInvitations,
        Self::TeamInvitations,
    ];

    /// Returns the policy name: in the member `limit` of the problem, in `RateLimit` and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyRequests { .. } => "key_requests",
            Self::ApiRequests { .. } => "api_requests",
            Self::UnknownKeys => "unknown_keys",
            Self::LeakReports => "leak_reports",
            Self::SignIns => "sign_ins",
            Self::SignUps => "sign_ups",
            Self::LoginBackoff => "login_backoff",
            Self::PasswordChecks => "password_checks",
            Self::ConcurrentPasswordChecks => "concurrent_password_checks",
            Self::ConcurrentReads => "concurrent_reads",
            Self::AccountInvitations => "account_invitations",
            Self::TeamInvitations => "team_invitations",
        }
    }

    /// Returns the quota of a limit that the JSON API announces in `RateLimit-Policy`.
    pub const fn quota(self) -> Option<Quota> {
        match self {
            Self::KeyRequests { per_minute } | Self::ApiRequests { per_minute } => Some(Quota::per_minute(per_minute)),
            Self::UnknownKeys => Some(Quota::per_minute(Self::UNKNOWN_KEYS_PER_MINUTE)),
            Self::LeakReports => Some(Quota::per_minute(Self::LEAK_REPORTS_PER_MINUTE)),
            _ => None,
        }
    }

    /// Says which limit it was and when to try again.
    pub(super) fn sentence(self, retry_after: u32) -> String {
        let exceeded = match self {
            Self::KeyRequests { per_minute } => {
                &*format!("This key has reached its limit of {} per minute.", requests(per_minute))
            }
            Self::ApiRequests { per_minute } => {
                &*format!("This key has reached the limit of this API: {} per minute.", requests(per_minute))
            }
            Self::UnknownKeys => "Your address has presented too many unknown keys.",
            Self::LeakReports => "Your address has sent too many reports.",
            Self::SignIns => "There were too many failed sign-ins from your address.",
            Self::SignUps => "Too many accounts were created, or email addresses changed, from your address.",
            Self::LoginBackoff => "There were too many wrong passwords in a row.",
            Self::PasswordChecks => "The password of this account was entered too often within a minute.",
            Self::ConcurrentPasswordChecks => "The password of this account is being checked already.",
            Self::ConcurrentReads => "Too many of your searches and long lists are running.",
            Self::AccountInvitations => "You've sent too many invitations within an hour.",
            Self::TeamInvitations => "Your team has sent too many invitations within an hour.",
        };
        format!("{exceeded} Wait {}, then try again.", wait(retry_after))
    }
}

fn requests(number: u32) -> String {
    format!("{number} request{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_in_snake_case() {
        let names: BTreeSet<_> = Limit::ALL.map(Limit::name).into();
        assert_eq!(names.len(), Limit::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')), "{names:?}");
    }

    #[test]
    fn the_name_is_the_same_on_the_wire() {
        for limit in Limit::ALL {
            assert!(serde_json::to_string(&limit).unwrap().contains(limit.name()), "{limit:?}");
        }
    }

    #[test]
    fn sentences_say_when_to_try_again() {
        let sentences: BTreeSet<_> = Limit::ALL.map(|limit| limit.sentence(5)).into();
        assert_eq!(sentences.len(), Limit::ALL.len());
        assert!(sentences.iter().all(|text| text.ends_with(" Wait 5 seconds, then try again.")), "{sentences:?}");
    }
}
