//! RFC 9457 problem details: how the JSON API says what went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::openapi::schemas;
use crate::error::{AppError, Limit};
use crate::server::request_context::RequestId;
use crate::server::state::AppState;
use crate::web::middleware::rate_limit_headers;

/// What a refusal says that it is.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The body of a refusal: problem details of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// A page that explains how to mend it.
    #[schema(format = "uri")]
    r#type: String,
    /// What it means, the same each time.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time: a string, as clients of Django REST framework expect.
    detail: String,
    /// The name that programs match on.
    code: &'a str,
    /// The log has the cause under it.
    request_id: &'a str,
    /// The limit that was exceeded; of `rate_limited` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = limit_names, required = false)]
    limit: Option<&'a str>,
    /// Field → sentences; of `validation_failed` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BTreeMap<String, Vec<String>>, required = false)]
    errors: Option<BTreeMap<&'a str, &'a [String]>>,
}

fn limit_names() -> Object {
    schemas::one_of(Limit::ALL.map(Limit::name))
}

impl<'a> Problem<'a> {
    /// The body of a refusal by the server at `origin`.
    pub fn new(origin: &str, request_id: &'a str, error: &'a AppError) -> Self {
        let code = error.code();
        Self {
            r#type: format!("{origin}/docs/errors#{}", code.code),
            title: code.title,
            status: code.status,
            detail: error.detail(),
            code: code.code,
            request_id,
            limit: error.limit().map(Limit::name),
            errors: error.fields().map(|errors| errors.fields().collect()),
        }
    }
}

impl IntoResponse for AppError {
    /// The status and a sentence; in the API [`render`] makes problem details of it, for it knows the request.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.detail()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives every refusal its body and headers, whoever refused: a handler, an extractor or the router.
pub async fn into_problem(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asked = ErrorContext::of(&request);
    asked.into_problem(&state, next.run(request).await)
}

/// What a refusal has to know of its request.
pub struct ErrorContext {
    id: Option<RequestId>,
    method: Method,
}

impl ErrorContext {
    /// Of this request.
    pub fn of(request: &Request) -> Self {
        Self { id: request.extensions().get().copied(), method: request.method().clone() }
    }

    /// As [`explain`], for one answer.
    pub fn into_problem(self, state: &AppState, response: Response) -> Response {
        if response.status() == StatusCode::METHOD_NOT_ALLOWED && self.method == Method::OPTIONS {
            return (StatusCode::NO_CONTENT, allow_header(&response)).into_response();
        }
        let error = match response.extensions().get::<AppError>() {
            Some(error) => error.clone(),
            None => match response.status() {
                // The router's word for a path that is no text.
                StatusCode::BAD_REQUEST => AppError::NotFound,
                StatusCode::METHOD_NOT_ALLOWED => AppError::MethodNotAllowed,
                StatusCode::PAYLOAD_TOO_LARGE => AppError::ContentTooLarge,
                StatusCode::FORBIDDEN => AppError::CrossOrigin,
                StatusCode::INTERNAL_SERVER_ERROR => AppError::Internal,
                _ => return response,
            },
        };
        (allow_header(&response), self.refuse(state, &error)).into_response()
    }

    /// The answer that says what went wrong.
    pub fn refuse(&self, state: &AppState, error: &AppError) -> Response {
        body(state, self.id.as_ref().map(RequestId::as_str).unwrap_or_default(), error)
    }
}

/// What of an answer without a body is worth keeping.
fn allow_header(response: &Response) -> HeaderMap {
    response.headers().get(header::ALLOW).map(|allow| (header::ALLOW, allow.clone())).into_iter().collect()
}

/// A refusal with its body and headers.
pub fn body(state: &AppState, id: &str, error: &AppError) -> Response {
    let status = StatusCode::from_u16(error.code().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(Problem::new(&state.config.origin(), id, error))).into_response();
    response.extensions_mut().insert(error.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, 15.5.2. RFC 6750, 3.1: no error code where no key was sent.
        let mut bearer = String::from("Bearer realm=\"api\"");
        if *error != AppError::CredentialsMissing {
            bearer.push_str(", error=\"invalid_token\"");
        }
        challenge(headers, "Api-Key realm=\"api\"");
        challenge(headers, &bearer);
    }
    if let AppError::ScopeMissing(scope) = error {
        let mut bearer = String::from("Bearer realm=\"api\", error=\"insufficient_scope\"");
        if !scope.is_empty() {
            let _ = write!(bearer, ", scope=\"{scope}\"");
        }
        challenge(headers, &bearer);
    }
    rate_limit_headers::add_exceeded(headers, error);
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn challenge(headers: &mut HeaderMap, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(header::WWW_AUTHENTICATE, value);
    }
}

/// Refuses a client that takes no JSON.
///
/// # Errors
/// [`AppError::NotAcceptable`].
pub fn check_accept(headers: &HeaderMap) -> Result<(), AppError> {
    let mut wanted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok()).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let takes_json = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part.strip_prefix("q="), Some("0" | "0.0" | "0.00" | "0.000")));
        !refused && matches!(kind.as_str(), "*/*" | "application/*" | "application/json" | PROBLEM_JSON)
    };
    if wanted.flat_map(|value| value.split(',')).any(takes_json) { Ok(()) } else { Err(AppError::NotAcceptable) }
}
