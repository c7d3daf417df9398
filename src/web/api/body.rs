//! Reads a JSON body field by field, so that one response lists every error.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::openapi::{OperationInput, OperationSpec};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::redact::redact;

const NO_SUCH_FIELD: &str = "There is no such field.";

/// JSON object of a request body.
#[derive(Debug)]
pub struct JsonObject(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        if !is_json(request.headers()) {
            return Err(AppError::UnsupportedMediaType);
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => AppError::ContentTooLarge,
            _ => AppError::MalformedJson("The body was cut off.".to_owned()),
        })?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(AppError::MalformedJson("The body must be one JSON object.".to_owned())),
            Err(error) => Err(AppError::MalformedJson(format!(
                "The body is not JSON: look at line {}, column {}.",
                error.line(),
                error.column()
            ))),
        }
    }
}

impl OperationInput for JsonObject {
    fn describe(operation: &mut OperationSpec) {
        operation.error(AppError::MalformedJson("The body must be one JSON object.".to_owned()));
        operation.error(FieldErrors::one("nmae", NO_SUCH_FIELD).into());
        operation.error(AppError::ContentTooLarge);
        operation.error(AppError::UnsupportedMediaType);
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Returns the integer that a floating-point number equals.
fn whole(number: f64) -> Option<i64> {
    if number.fract() == 0.0 { format!("{number:.0}").parse().ok() } else { None }
}

impl JsonObject {
    /// Removes and returns a string field; `Ok(None)` if it is missing.
    pub fn text(&mut self, field: &str) -> Result<Option<String>, String> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err("Give a string.".to_owned()),
        }
    }

    /// Removes and returns an integer field; `Ok(None)` if it is missing. In JSON, 5.0 is an integer too.
    pub fn whole(&mut self, field: &str) -> Result<Option<i64>, String> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(value) => match value.as_i64().or_else(|| whole(value.as_f64()?)) {
                Some(number) => Ok(Some(number)),
                None => Err("Give a whole number.".to_owned()),
            },
        }
    }

    /// Reports every remaining field, except the read-only ones: clients may send them back.
    pub fn reject_rest(self, read_only: &[&str], errors: &mut FieldErrors) {
        for field in self.0.keys().filter(|field| !read_only.contains(&field.as_str())) {
            if errors.is_full() {
                return;
            }
            let shown: String = redact(field).chars().take(50).collect();
            errors.add(&shown, NO_SUCH_FIELD);
        }
    }
}
