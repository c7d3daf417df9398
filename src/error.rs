//! `AppError`: all that can go wrong, in words that a user may read. It crosses the wire to the pages, and the JSON API
//! renders it as RFC 9457 problem details.

use leptos::prelude::{FromServerFnError, ServerFnErrorErr};
use leptos::server_fn::codec::JsonEncoding;
use serde::{Deserialize, Serialize};

use crate::model::fields::FieldErrors;
use crate::model::keys::KeyRejection;
use crate::model::time::wait;

/// What went wrong, as pages and clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppError {
    /// A form or body is wrong: field by field.
    Invalid(FieldErrors),
    /// A body that is no JSON object; the sentence says where.
    MalformedJson(String),
    /// More than one key in a request.
    CredentialsAmbiguous,
    /// Neither a key nor a session.
    CredentialsMissing,
    /// Something that has not the form of a key, or whose checksum is wrong.
    KeyMalformed,
    /// No such key.
    KeyUnknown,
    /// The key's expiry has come.
    KeyExpired,
    /// The key was revoked.
    KeyRevoked,
    /// The key's user may not sign in any more.
    AccountDisabled,
    /// The key leaves this scope out; empty where an endpoint states none, and only full access will do.
    ScopeMissing(String),
    /// A key that is limited to a team, for what is not that team's.
    TeamMismatch,
    /// Only superusers may do this.
    SuperuserRequired,
    /// A key where only a session will do.
    SessionRequired,
    /// A change for which the password has to be entered again; the API has none.
    ReauthenticationRequired,
    /// A page that was rendered for an account, and sent a form after another one signed in.
    AccountChanged,
    /// A sign-in over plain http where people reach the server by https: the browser would not keep it.
    HttpsNeeded,
    /// A change that a page of another site asked for.
    CrossOrigin,
    /// Nothing is here, or it is somebody else's.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// The client wants something other than JSON.
    NotAcceptable,
    /// The body is too large.
    ContentTooLarge,
    /// The body is not said to be JSON.
    UnsupportedMediaType,
    /// More requests than a limit lets through.
    RateLimited {
        /// How many it lets through in a minute.
        limit: u32,
        /// After how many seconds it does again.
        seconds: u32,
    },
    /// Too many tries to sign in or up.
    TooManyTries {
        /// After how many seconds the next is let through.
        seconds: u32,
    },
    /// More long reads of one owner at once than one may have.
    TooManyAtOnce,
    /// The database is away, or there is more to do than can be done.
    Unavailable,
    /// A fault of ours; the log has its cause.
    Internal,
}

/// One row of the table of errors: the same for problem details, the page of errors and the tests.
#[derive(Debug)]
pub struct ErrorCode {
    /// The name that programs match on.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it means, the same each time.
    pub title: &'static str,
    /// How to mend it.
    pub fix: &'static str,
}

macro_rules! error_codes {
    ($($name:ident: $code:literal, $status:literal, $title:literal, $fix:literal;)*) => {
        $(const $name: ErrorCode = ErrorCode { code: $code, status: $status, title: $title, fix: $fix };)*
        /// Every error that a client can meet.
        pub const ERROR_CODES: &[ErrorCode] = &[$($name),*];
    };
}

error_codes! {
    VALIDATION_FAILED: "validation_failed", 400, "What was sent is not valid.",
        "Look at errors: it names each field and says what it must be.";
    MALFORMED_JSON: "malformed_json", 400, "The body is not a JSON object.",
        "Send one JSON object, such as {\"name\": \"Ada\"}. A body that was cut off, or has a comma too many, ends up here.";
    CREDENTIALS_AMBIGUOUS: "credentials_ambiguous", 400, "The request carries more than one key.",
        "Send one key in one header: Authorization, or X-Api-Key.";
    CREDENTIALS_MISSING: "credentials_missing", 401, "The request carries neither a key nor a session.",
        "Send the header Authorization: Api-Key <your-api-key>, or sign in.";
    KEY_MALFORMED: "key_malformed", 401, "This is not a key.",
        "Copy the whole key: two words and 46 letters and digits, joined by underscores, after Api-Key and one space. \
         The last six characters are a checksum, so a single typing error ends up here.";
    KEY_UNKNOWN: "key_unknown", 401, "There is no such key.",
        "The key has the right form, but was never made here. Check that it belongs to this server.";
    KEY_EXPIRED: "key_expired", 401, "The key has expired.",
        "Create a new key on your profile page.";
    KEY_REVOKED: "key_revoked", 401, "The key was revoked.",
        "Revoking cannot be undone. Create a new key on your profile page.";
    ACCOUNT_DISABLED: "account_disabled", 401, "The account of this key is disabled.",
        "Ask an administrator to enable the account. The key works again from then on.";
    SCOPE_MISSING: "scope_missing", 403, "The key may not do this.",
        "The answer names the scope that the key leaves out. Create a key that has it.";
    TEAM_MISMATCH: "team_mismatch", 403, "The key is limited to a team, and this is not that team's.",
        "Use the key below /a/{team}/ of its own team, and while its user is in that team. For all else, create a key without a team.";
    SUPERUSER_REQUIRED: "superuser_required", 403, "Only superusers may do this.",
        "Sign in as a superuser, or use a key of one that has full access.";
    SESSION_REQUIRED: "session_required", 403, "A key cannot do this.",
        "Sign in with a browser. A key never manages keys or accounts.";
    CROSS_ORIGIN: "cross_origin", 403, "Another site asked for this change.",
        "Do it from a page of this site, or use a key, which is not bound to a site. Behind a proxy, set KEYFOB_PUBLIC_URL.";
    NOT_FOUND: "not_found", 404, "There is nothing here.",
        "Check the path and the id. What belongs to somebody else is not found either.";
    METHOD_NOT_ALLOWED: "method_not_allowed", 405, "This path does not take this method.",
        "The header Allow lists the methods that it takes.";
    NOT_ACCEPTABLE: "not_acceptable", 406, "This API answers in JSON only.",
        "Send Accept: application/json, or leave the header out.";
    CONTENT_TOO_LARGE: "content_too_large", 413, "The body is too large.",
        "Send at most 64 kB.";
    UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type", 415, "The body is not said to be JSON.",
        "Send the header Content-Type: application/json.";
    RATE_LIMITED: "rate_limited", 429, "Too many requests in a minute.",
        "Try again after the seconds that Retry-After gives. An administrator can change the limit of a key.";
    INTERNAL_ERROR: "internal_error", 500, "Something went wrong on our side.",
        "Try again. If it stays, tell the operator when it was, and the request_id if you were shown one: the log has the cause.";
    UNAVAILABLE: "unavailable", 503, "The server cannot answer just now.",
        "Try again after the seconds that Retry-After gives. The key is not the cause.";
}

/// None that a client of the API can meet, and so none of [`ERROR_CODES`].
const REAUTHENTICATION_REQUIRED: ErrorCode = ErrorCode {
    code: "password_needed",
    status: 403,
    title: "This needs your password again.",
    fix: "Nothing was changed so far.",
};

/// Another of those.
const ACCOUNT_CHANGED: ErrorCode = ErrorCode {
    code: "account_changed",
    status: 409,
    title: "You are signed in as someone else now.",
    fix: "Reload the page.",
};

/// Another of those.
const HTTPS_NEEDED: ErrorCode = ErrorCode {
    code: "https_needed",
    status: 400,
    title: "This page was opened over http, where your browser drops the cookie that keeps you signed in.",
    fix: "Open the https address of this site, and sign in there.",
};

impl AppError {
    /// The row of the table that the error belongs to.
    #[must_use]
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
            Self::SuperuserRequired => &SUPERUSER_REQUIRED,
            Self::SessionRequired => &SESSION_REQUIRED,
            Self::ReauthenticationRequired => &REAUTHENTICATION_REQUIRED,
            Self::AccountChanged => &ACCOUNT_CHANGED,
            Self::HttpsNeeded => &HTTPS_NEEDED,
            Self::CrossOrigin => &CROSS_ORIGIN,
            Self::NotFound => &NOT_FOUND,
            Self::MethodNotAllowed => &METHOD_NOT_ALLOWED,
            Self::NotAcceptable => &NOT_ACCEPTABLE,
            Self::ContentTooLarge => &CONTENT_TOO_LARGE,
            Self::UnsupportedMediaType => &UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited { .. } | Self::TooManyTries { .. } | Self::TooManyAtOnce => &RATE_LIMITED,
            Self::Unavailable => &UNAVAILABLE,
            Self::Internal => &INTERNAL_ERROR,
        }
    }

    /// What happened this time, in a sentence or two.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Invalid(errors) => errors.sentences().collect::<Vec<_>>().join(" "),
            Self::MalformedJson(sentence) => sentence.clone(),
            Self::ScopeMissing(scope) if scope.is_empty() => {
                "The key is limited, and this needs full access. Create a key that has it.".to_owned()
            }
            Self::ScopeMissing(scope) => format!("The key lacks the scope {scope}. Create a key that has it."),
            Self::TooManyTries { seconds } => {
                format!("There were too many tries. Wait {}, then try again.", wait(*seconds))
            }
            Self::TooManyAtOnce => {
                "Too many searches and long lists of yours run at once. Wait for one of them, then try again."
                    .to_owned()
            }
            other => format!("{} {}", other.code().title, other.code().fix),
        }
    }

    /// Whether it refuses whoever asked, rather than what they sent.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self.code().status, 401 | 403 | 429)
    }

    /// After how many seconds to try again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::RateLimited { seconds, .. } | Self::TooManyTries { seconds } => Some(*seconds),
            Self::TooManyAtOnce => Some(1),
            Self::Unavailable => Some(2),
            _ => None,
        }
    }

    /// What is wrong with the fields of a form; nothing for any other error.
    #[must_use]
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

/// The error of the running server function. The HTTP handler that runs it provides one by context, and gives the
/// response its status.
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

    /// The error, if the function failed.
    #[must_use]
    pub fn get(&self) -> Option<&AppError> {
        self.0.get()
    }
}
