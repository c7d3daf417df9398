//! Values of labels. They are fixed here, so that nothing that a client sends becomes a label.

use axum::http::Method;

use crate::error::AppError;

/// Defines an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$note])* $variant,)*
        }

        impl $name {
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            /// Returns the value of the label.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

label! {
    /// How the caller of a request authenticates.
    Credential {
        /// No key, and no live session.
        None => "none",
        /// A key, valid or not.
        Key => "key",
        /// A live session.
        Session => "session",
    }
}

label! {
    /// HTTP method; those that a client makes up are one value.
    MethodLabel {
        Get => "GET",
        Head => "HEAD",
        Post => "POST",
        Put => "PUT",
        Patch => "PATCH",
        Delete => "DELETE",
        Options => "OPTIONS",
        Other => "other",
    }
}

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        match method.as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

label! {
    /// Outcome of a check of a presented key.
    KeyOutcome {
        /// The key is good for the request. The request itself may still fail.
        Valid => "valid",
        Ambiguous => "ambiguous",
        Malformed => "malformed",
        Unknown => "unknown",
        Expired => "expired",
        Revoked => "revoked",
        AccountDisabled => "account_disabled",
        ScopeMissing => "scope_missing",
        TeamMismatch => "team_mismatch",
        ApiMismatch => "api_mismatch",
        SuperuserRequired => "superuser_required",
        RateLimited => "rate_limited",
        /// The database does not answer.
        Unavailable => "unavailable",
        /// Any other error, such as a team that does not exist.
        Other => "other",
    }
}

impl KeyOutcome {
    /// Returns the outcome of a check that ended with this error, if any.
    pub const fn of(error: Option<&AppError>) -> Self {
        let Some(error) = error else { return Self::Valid };
        match error {
            AppError::CredentialsAmbiguous => Self::Ambiguous,
            AppError::KeyMalformed => Self::Malformed,
            AppError::KeyUnknown => Self::Unknown,
            AppError::KeyExpired => Self::Expired,
            AppError::KeyRevoked => Self::Revoked,
            AppError::AccountDisabled => Self::AccountDisabled,
            AppError::ScopeMissing(_) => Self::ScopeMissing,
            AppError::TeamMismatch => Self::TeamMismatch,
            AppError::ApiMismatch => Self::ApiMismatch,
            AppError::SuperuserRequired => Self::SuperuserRequired,
            AppError::RateLimited { .. } => Self::RateLimited,
            AppError::Unavailable => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

label! {
    /// Result of a lookup in the cache of keys.
    CacheResult {
        Hit => "hit",
        /// The cache knows that there is no such key.
        NegativeHit => "negative_hit",
        Miss => "miss",
    }
}

label! {
    /// Why admission control turned a request away, or stopped it.
    Rejection {
        /// Too many requests run.
        Overload => "overload",
        /// No memory is left for the bodies of requests.
        RequestMemory => "request_memory",
        /// Clients read responses too slowly, and no memory is left for more.
        ResponseMemory => "response_memory",
        /// The request took too long.
        Timeout => "timeout",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_methods_are_one_label() {
        let text = |method: &str| MethodLabel::from(&Method::from_bytes(method.as_bytes()).unwrap()).text();
        assert_eq!([text("GET"), text("PURGE"), text("get")], ["GET", "other", "other"]);
    }

    #[test]
    fn label_is_its_position() {
        assert!(KeyOutcome::ALL.iter().enumerate().all(|(n, outcome)| *outcome as usize == n));
        assert!(Credential::ALL.iter().enumerate().all(|(n, credential)| *credential as usize == n));
    }
}
