//! Reads a JSON body field by field, so that all that is wrong with it is told at once, in our words.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::openapi::{Asks, Input};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::redact::redact;

const NO_SUCH_FIELD: &str = "There is no such field.";

/// A JSON object from the body of a request.
#[derive(Debug)]
pub struct JsonObject(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = AppError;

    /// # Errors
    /// 415 without `Content-Type: application/json`, 413 above 64 kB, 400 for what is no JSON object.
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

impl Input for JsonObject {
    fn describe(asks: &mut Asks) {
        asks.refusal(AppError::MalformedJson("The body must be one JSON object.".to_owned()));
        asks.refusal(FieldErrors::one("nmae", NO_SUCH_FIELD).into());
        asks.refusal(AppError::ContentTooLarge);
        asks.refusal(AppError::UnsupportedMediaType);
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The whole number that a floating-point one is, if it is one.
fn whole(number: f64) -> Option<i64> {
    if number.fract() == 0.0 { format!("{number:.0}").parse().ok() } else { None }
}

impl JsonObject {
    /// Takes a field that is a string.
    ///
    /// # Errors
    /// A sentence, if it is something else. `Ok(None)` if it is not there.
    pub fn text(&mut self, field: &str) -> Result<Option<String>, String> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err("Give a string.".to_owned()),
        }
    }

    /// Takes a field that is a whole number; for JSON, 5.0 is one as well.
    ///
    /// # Errors
    /// A sentence, if it is something else. `Ok(None)` if it is not there.
    pub fn whole(&mut self, field: &str) -> Result<Option<i64>, String> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(value) => match value.as_i64().or_else(|| whole(value.as_f64()?)) {
                Some(number) => Ok(Some(number)),
                None => Err("Give a whole number.".to_owned()),
            },
        }
    }

    /// Notes every field that was not taken, but for those that the server itself writes: they may be sent back.
    pub fn refuse_rest(self, read_only: &[&str], errors: &mut FieldErrors) {
        for field in self.0.keys().filter(|field| !read_only.contains(&field.as_str())) {
            if errors.is_full() {
                return;
            }
            let shown: String = redact(field).chars().take(50).collect();
            errors.add(&shown, NO_SUCH_FIELD);
        }
    }
}
