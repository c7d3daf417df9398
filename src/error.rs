//! The errors of the application, as pages and clients see them. The JSON API renders them as RFC 9457 problem details.

mod codes;
mod limit;

use leptos::prelude::{FromServerFnError, ServerFnErrorErr};
use leptos::server_fn::codec::JsonEncoding;
use serde::{Deserialize, Serialize};

use self::codes::{
    ACCOUNT_CHANGED, ACCOUNT_DISABLED, API_MISMATCH, CONTENT_TOO_LARGE, CREDENTIALS_AMBIGUOUS, CREDENTIALS_MISSING,
    CROSS_ORIGIN, HTTPS_NEEDED, INTERNAL_ERROR, KEY_EXPIRED, KEY_MALFORMED, KEY_REVOKED, KEY_UNKNOWN, MALFORMED_JSON,
    METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, NOT_FOUND, RATE_LIMITED, REAUTHENTICATION_REQUIRED, SCOPE_MISSING,
    SESSION_REQUIRED, SIGNATURE_INVALID, SUPERUSER_REQUIRED, TEAM_MISMATCH, UNAVAILABLE, UNREACHABLE,
    UNSUPPORTED_MEDIA_TYPE, VALIDATION_FAILED,
};
pub use self::codes::{ERROR_CODES, ErrorCode};
pub use self::limit::{Limit, Quota};
use crate::model::fields::FieldErrors;
use crate::model::keys::KeyRejection;

/// Error that a user or a client of the API may see. A page shows it; a program gets it as JSON, or as [`wire`](crate::model::wire) has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppError {
    /// Fields of a form or body that are not valid.
    Invalid(FieldErrors),
    /// A body that is not a JSON object; the sentence says where.
    MalformedJson(String),
    /// More than one key in a request.
    CredentialsAmbiguous,
    /// Neither a key nor a session.
    CredentialsMissing,
    /// A key of the wrong form, or with a wrong checksum.
    KeyMalformed,
    KeyUnknown,
    KeyExpired,
    KeyRevoked,
    AccountDisabled,
    /// The scope that the key lacks; empty where the endpoint names no scope, so that only full access is enough.
    ScopeMissing(String),
    /// A key that is limited to a team, for data of anyone else.
    TeamMismatch,
    /// A key that is limited to a registered API, or to scopes of others, for anything else.
    ApiMismatch,
    SuperuserRequired,
    /// A key where only a session is accepted.
    SessionRequired,
    /// A change for which the user must enter the password again. Clients of the API never meet it.
    ReauthenticationRequired,
    /// A form of a page that was rendered for another account.
    AccountChanged,
    /// A sign-in over plain http where the public address is https: the browser would drop the session cookie.
    HttpsNeeded,
    /// A change that a page of another site requested.
    CrossOrigin,
    /// A report of leaked keys with a signature that does not verify.
    SignatureInvalid,
    /// Not there, or another user's.
    NotFound,
    MethodNotAllowed,
    /// A client that accepts no JSON.
    NotAcceptable,
    ContentTooLarge,
    UnsupportedMediaType,
    RateLimited {
        limit: Limit,
        /// Seconds until the next try can succeed.
        retry_after: u32,
    },
    /// The database does not answer, or the server is overloaded.
    Unavailable,
    /// The browser has no connection to the server. No server responds with it.
    Unreachable,
    /// A bug, or a failure that only the operator can fix; the log has the cause.
    Internal,
}

impl AppError {
    /// Returns the row of the table of errors.
    pub const fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Invalid(_) => &VALIDATION_FAILED,
            Self::MalformedJson(_) => &MALFORMED_JSON,
            Self::CredentialsAmbiguous => &CREDENTIALS_AMBIGUOUS,
            Self::CredentialsMissing => &CREDENTIALS_MISSING,
            Self::KeyMalformed => &KEY_MALFORMED,
            Self::KeyUnknown => &KEY_UNKNOWN,
            Self::KeyExpired => &KEY_EXPIRED,
            Self::KeyRevoked => &KEY_REVOKED,
            Self::AccountDisabled => &ACCOUNT_DISABLED,
            Self::ScopeMissing(_) => &SCOPE_MISSING,
            Self::TeamMismatch => &TEAM_MISMATCH,
            Self::ApiMismatch => &API_MISMATCH,
            Self::SuperuserRequired => &SUPERUSER_REQUIRED,
            Self::SessionRequired => &SESSION_REQUIRED,
            Self::ReauthenticationRequired => &REAUTHENTICATION_REQUIRED,
            Self::AccountChanged => &ACCOUNT_CHANGED,
            Self::HttpsNeeded => &HTTPS_NEEDED,
            Self::CrossOrigin => &CROSS_ORIGIN,
            Self::SignatureInvalid => &SIGNATURE_INVALID,
            Self::NotFound => &NOT_FOUND,
            Self::MethodNotAllowed => &METHOD_NOT_ALLOWED,
            Self::NotAcceptable => &NOT_ACCEPTABLE,
            Self::ContentTooLarge => &CONTENT_TOO_LARGE,
            Self::UnsupportedMediaType => &UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited { .. } => &RATE_LIMITED,
            Self::Unavailable => &UNAVAILABLE,
            Self::Unreachable => &UNREACHABLE,
            Self::Internal => &INTERNAL_ERROR,
        }
    }

    /// Says what happened this time, in a sentence or two.
    pub fn detail(&self) -> String {
        match self {
            Self::Invalid(errors) => errors.sentences().collect::<Vec<_>>().join(" "),
            Self::MalformedJson(sentence) => sentence.clone(),
            Self::ScopeMissing(scope) if scope.is_empty() => {
                "The key is limited, and this needs full access. Create a key that has it.".to_owned()
            }
            Self::ScopeMissing(scope) => format!("The key lacks the scope {scope}. Create a key that has it."),
            Self::RateLimited { limit, retry_after } => limit.sentence(*retry_after),
            other => format!("{} {}", other.code().title, other.code().fix),
        }
    }

    /// Whether the status is 401, 403 or 429.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.code().status, 401 | 403 | 429)
    }

    /// Returns the seconds for `Retry-After`.
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Unavailable => Some(2),
            _ => None,
        }
    }

    /// Returns the limit that was exceeded.
    pub const fn limit(&self) -> Option<Limit> {
        match self {
            Self::RateLimited { limit, .. } => Some(*limit),
            _ => None,
        }
    }

    /// Returns the errors of the fields of a form or body.
    pub const fn fields(&self) -> Option<&FieldErrors> {
        match self {
            Self::Invalid(errors) => Some(errors),
            _ => None,
        }
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail())
    }
}

impl std::error::Error for AppError {}

impl From<FieldErrors> for AppError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<KeyRejection> for AppError {
    fn from(refusal: KeyRejection) -> Self {
        match refusal {
            KeyRejection::Revoked => Self::KeyRevoked,
            KeyRejection::Expired => Self::KeyExpired,
            KeyRejection::AccountDisabled => Self::AccountDisabled,
            KeyRejection::NotInTeam => Self::TeamMismatch,
            KeyRejection::ApiRemoved => Self::ApiMismatch,
        }
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            // The browser could not reach the server, or did not understand it.
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) => Self::Unavailable,
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => {
                FieldErrors::whole("The form was not complete. Reload the page and fill it in again.").into()
            }
            _ => Self::Internal,
        }
    }

    fn ser(&self) -> leptos::server_fn::Bytes {
        #[cfg(feature = "ssr")]
        LastError::record(self);
        <JsonEncoding as leptos::server_fn::Encodes<Self>>::encode(self).unwrap_or_default()
    }
}

/// Error of the running server function. The HTTP handler provides an empty one by context, and gives the response
/// the status of the error.
#[cfg(feature = "ssr")]
#[derive(Clone, Default)]
pub struct LastError(std::sync::Arc<std::sync::OnceLock<AppError>>);

#[cfg(feature = "ssr")]
impl LastError {
    fn record(error: &AppError) {
        if let Some(last) = leptos::prelude::use_context::<Self>() {
            let _ = last.0.set(error.clone());
        }
    }

    /// Returns the error, if the function failed.
    pub fn get(&self) -> Option<&AppError> {
        self.0.get()
    }
}
