//! Reports of leaked keys. Anyone may send one: holding a key is proof.

use std::borrow::Cow;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, Json, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::Value;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::openapi::{OperationInput, OperationSpec, schemas};
use crate::error::{AppError, Limit};
use crate::model::fields::FieldErrors;
use crate::server::audit::Actor;
use crate::server::auth::client_ip::client_ip;
use crate::server::keys::leaks::revoke_leaked;
use crate::server::state::AppState;

/// Keys in one report. With what scanners write next to each, about as many fit into the largest body.
const MAX_KEYS: usize = 250;

/// Key that was found in public.
pub enum ReportedKey {}

impl PartialSchema for ReportedKey {
    fn schema() -> RefOr<Schema> {
        let mut token = schemas::any_text();
        token.description = Some("The key: `kf_8Qw3ZkPa_...`.".to_owned());
        let about = "A key that was found in public. Other members, such as the place, are ignored.";
        ObjectBuilder::new().description(Some(about)).property("token", token).required("token").into()
    }
}

impl ToSchema for ReportedKey {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ReportedKey")
    }
}

/// One key, or several; [`tokens`] reads it.
pub enum Report {}

/// Returns the reported keys. Not by serde, which accepts an array for a struct too.
fn tokens(report: Value) -> Option<Vec<String>> {
    let token = |mut reported: Value| match reported.get_mut("token").map(Value::take) {
        Some(Value::String(token)) => Some(token),
        _ => None,
    };
    match report {
        Value::Array(reported) => reported.into_iter().map(token).collect(),
        one => Some(vec![token(one)?]),
    }
}

impl PartialSchema for Report {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(ReportedKey::name());
        let many = ArrayBuilder::new().items(one.clone()).max_items(Some(MAX_KEYS));
        // No `oneOf`: what openapi-generator makes of that does not compile in TypeScript.
        AnyOfBuilder::new().item(many).item(one).into()
    }
}

impl ToSchema for Report {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("LeakReport")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ReportedKey::name().into_owned(), ReportedKey::schema()));
    }
}

/// Reporter whose address has not reached its limit. It comes before the body in the signature, so that a rejected report is
/// not read.
pub struct Reporter(Actor);

impl FromRequestParts<AppState> for Reporter {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let (from, now) = (client_ip(&parts.extensions), state.now());
        state.usage.admit_report(from, now)?;
        Ok(Self(Actor::reporter(from, now)))
    }
}

impl OperationInput for Reporter {
    fn describe(operation: &mut OperationSpec) {
        operation.error(AppError::RateLimited { limit: Limit::LeakReports, retry_after: 12 });
    }
}

type Body = Result<Json<Value>, JsonRejection>;

impl OperationInput for Body {
    fn describe(operation: &mut OperationSpec) {
        operation.error(malformed());
        operation.error(too_many());
        operation.error(AppError::ContentTooLarge);
        operation.error(AppError::UnsupportedMediaType);
    }
}

fn malformed() -> AppError {
    AppError::MalformedJson("Send a list such as [{\"token\": \"kf_...\"}].".to_owned())
}

fn too_many() -> AppError {
    FieldErrors::whole(format!("Report at most {MAX_KEYS} keys at a time.")).into()
}

/// Report leaked keys
///
/// Anyone may report a key: holding it is proof. Real keys are revoked, and their owners see it. The answer is the same
/// whether or not a key is real. Members other than `token`, such as the place, are ignored.
#[utoipa::path(
    post,
    path = "/api/v1/leaked-keys",
    operation_id = "leaked_keys_report",
    tag = "leaked keys",
    request_body(content = Report, description = "One key, or at most 250.", example = json!([
        {"token": "kf_8Qw3ZkPa_...", "type": "keyfob_api_key", "url": "https://example.com/leak.txt"},
    ])),
    responses((status = 202, description = "The report was accepted."))
)]
pub async fn report(State(state): State<AppState>, Reporter(by): Reporter, body: Body) -> Result<StatusCode, AppError> {
    let tokens = match body {
        Ok(Json(report)) => tokens(report).ok_or_else(malformed)?,
        Err(rejection) => {
            return Err(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => AppError::ContentTooLarge,
                StatusCode::UNSUPPORTED_MEDIA_TYPE => AppError::UnsupportedMediaType,
                _ => malformed(),
            });
        }
    };
    if tokens.len() > MAX_KEYS {
        return Err(too_many());
    }
    revoke_leaked(&state.db, &tokens, &by).await?;
    Ok(StatusCode::ACCEPTED)
}
