//! Problem details (RFC 9457): the body of every error of the JSON API.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::openapi::schemas;
use crate::error::{AppError, Limit};

pub const PROBLEM_JSON: &str = "application/problem+json";

/// Problem details of an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// A page that says how to fix it.
    #[schema(format = "uri")]
    r#type: String,
    /// General meaning.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time. A string, as clients of Django REST framework expect.
    detail: String,
    /// Name that programs match on.
    code: &'a str,
    /// The log has the cause by this id.
    request_id: &'a str,
    /// Limit that was exceeded; only in `rate_limited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = limit_names, required = false)]
    limit: Option<&'a str>,
    /// Field → sentences; only in `validation_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BTreeMap<String, Vec<String>>, required = false)]
    errors: Option<BTreeMap<&'a str, &'a [String]>>,
}

fn limit_names() -> Object {
    schemas::one_of(Limit::ALL.map(Limit::name))
}

impl<'a> Problem<'a> {
    /// Describes an error of the server at `origin`.
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
