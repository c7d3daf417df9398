//! The table of errors: it feeds problem details, the page of errors, the OpenAPI document and the tests.

/// Row of the table of errors.
#[derive(Debug)]
pub struct ErrorCode {
    /// Name that programs match on.
    pub code: &'static str,
    pub status: u16,
    /// General meaning; `detail` says what happened this time.
    pub title: &'static str,
    /// What the caller can do about it.
    pub fix: &'static str,
}

macro_rules! error_codes {
    ($($name:ident: $code:literal, $status:literal, $title:literal, $fix:literal;)*) => {
        $(pub(super) const $name: ErrorCode = ErrorCode { code: $code, status: $status, title: $title, fix: $fix };)*
        /// Every error that a client of the API can meet.
        pub const ERROR_CODES: &[ErrorCode] = &[$($name),*];
    };
}

error_codes! {
    VALIDATION_FAILED: "validation_failed", 400, "Some fields are not valid.",
        "Look at errors: it names each field and says what it must be.";
    MALFORMED_JSON: "malformed_json", 400, "Malformed JSON body.",
        "Send one JSON object, such as {\"name\": \"Ada\"}. Check for a missing end or an extra comma.";
    CREDENTIALS_AMBIGUOUS: "credentials_ambiguous", 400, "More than one API key in the request.",
        "Send one key in one header: Authorization, or X-Api-Key.";
    CREDENTIALS_MISSING: "credentials_missing", 401, "API key or session required.",
        "Send the header Authorization: Api-Key <your-api-key>, or sign in.";
    KEY_MALFORMED: "key_malformed", 401, "Malformed API key.",
        "Copy the whole key: two words and 46 letters and digits, joined by underscores, after Api-Key and one space. \
         The last six characters are a checksum that finds typing errors.";
    KEY_UNKNOWN: "key_unknown", 401, "Unknown API key.",
        "The key has the right form, but this server did not create it. Check that it belongs to this server.";
    KEY_EXPIRED: "key_expired", 401, "The API key has expired.",
        "Create a new key on your profile page.";
    KEY_REVOKED: "key_revoked", 401, "The API key was revoked.",
        "Revoking cannot be undone. Create a new key on your profile page.";
    ACCOUNT_DISABLED: "account_disabled", 401, "The account of this API key is disabled.",
        "Ask an administrator to enable the account. Then the key works again.";
    SCOPE_MISSING: "scope_missing", 403, "The API key lacks a required scope.",
        "The response names the missing scope. Create a key that has it.";
    TEAM_MISMATCH: "team_mismatch", 403, "The API key is limited to another team.",
        "Use the key below /a/{team}/ of its own team, and while its user is in that team. For everything else, create a key without a team.";
    API_MISMATCH: "api_mismatch", 403, "The API key is for another API.",
        "Use the key for the API that it is limited to, where the proxy names that API in ?api=. Once an API is removed, \
         its keys work nowhere. For everything else, create a key with another access.";
    SUPERUSER_REQUIRED: "superuser_required", 403, "Superuser rights required.",
        "Sign in as a superuser, or use a superuser's key that has full access.";
    SESSION_REQUIRED: "session_required", 403, "Session required.",
        "Sign in with a browser. API keys cannot manage keys or accounts.";
    CROSS_ORIGIN: "cross_origin", 403, "Cross-origin request blocked.",
        "Send the request from a page of this site, or with an API key. Behind a proxy, set KEYFOB_PUBLIC_URL.";
    SIGNATURE_INVALID: "signature_invalid", 403, "The signature of the report is not valid.",
        "Send both headers, Github-Public-Key-Identifier and Github-Public-Key-Signature, and the body as it was signed. If \
         GitHub has new public keys, an operator downloads them into the file of KEYFOB_SECRET_SCANNING_KEYS and restarts.";
    NOT_FOUND: "not_found", 404, "Not found.",
        "Check the path and the id. What belongs to another user is not found either.";
    METHOD_NOT_ALLOWED: "method_not_allowed", 405, "Method not allowed.",
        "Use one of the methods that the header Allow lists.";
    NOT_ACCEPTABLE: "not_acceptable", 406, "This API answers in JSON only.",
        "Send Accept: application/json, or leave the header out.";
    CONTENT_TOO_LARGE: "content_too_large", 413, "The request body is too large.",
        "Send at most 64 kB.";
    UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type", 415, "Content-Type must be application/json.",
        "Send the header Content-Type: application/json.";
    RATE_LIMITED: "rate_limited", 429, "Too many requests.",
        "Wait for as many seconds as Retry-After gives, then try again. The member limit names the limit that was exceeded. \
         An administrator can change the limit of a key.";
    INTERNAL_ERROR: "internal_error", 500, "Something went wrong on the server.",
        "Try again. If the error persists, send the operator the time and the request_id: the log has the cause.";
    UNAVAILABLE: "unavailable", 503, "The server cannot answer at the moment.",
        "Wait for as many seconds as Retry-After gives, then try again. The key is not the cause.";
}

// Only pages show these: clients of the API never meet them, so they are not in the table.

pub(super) const REAUTHENTICATION_REQUIRED: ErrorCode = ErrorCode {
    code: "password_needed",
    status: 403,
    title: "Enter your password to continue.",
    fix: "Nothing has changed yet.",
};

pub(super) const UNREACHABLE: ErrorCode = ErrorCode {
    code: "unreachable",
    status: 503,
    title: "The server can't be reached.",
    fix: "Check your connection, then try again. What you typed is still here.",
};

pub(super) const ACCOUNT_CHANGED: ErrorCode = ErrorCode {
    code: "account_changed",
    status: 409,
    title: "You're signed in to another account now.",
    fix: "Reload the page.",
};

pub(super) const HTTPS_NEEDED: ErrorCode = ErrorCode {
    code: "https_needed",
    status: 400,
    title: "This page was opened over http, where your browser doesn't keep you signed in.",
    fix: "Open the https address of this site, and sign in there.",
};
