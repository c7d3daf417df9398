//! Rejection of a request, in a form that the proxy can pass on to its client.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::error::AppError;
use crate::web::error_response::problem_text;

const STATUS: HeaderName = HeaderName::from_static("x-auth-status");
const PROBLEM: HeaderName = HeaderName::from_static("x-auth-problem");
/// Longest problem that is sent as a header, in bytes. nginx reads 4 kB of headers.
const PROBLEM_MAX: usize = 2 * 1024;

/// Error of the verify endpoint.
///
/// `auth_request` of nginx passes on 401 and 403, makes 500 of every other status, and drops the body. So nginx gets 403 instead,
/// and the true status and the problem as headers, from which its configuration builds the answer.
#[derive(Debug)]
pub struct VerifyRejection {
    pub error: AppError,
    pub is_for_nginx: bool,
}

impl IntoResponse for VerifyRejection {
    fn into_response(self) -> Response {
        let Self { error, is_for_nginx } = self;
        if !is_for_nginx {
            return error.into_response();
        }
        let (status, problem) = (error.status(), problem_text(&error));
        let mut response = error.into_response();
        response.headers_mut().insert(STATUS, status.as_u16().into());
        let problem = problem.filter(|text| text.len() <= PROBLEM_MAX && text.is_ascii());
        if let Some(Ok(problem)) = problem.map(HeaderValue::try_from) {
            response.headers_mut().insert(PROBLEM, problem);
        }
        if status != StatusCode::UNAUTHORIZED {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        response
    }
}
