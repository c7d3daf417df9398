//! Reports of leaked keys. Anyone may send one: holding a key is proof.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::{FromRequest, Json, Request, State};
use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::openapi::{OperationInput, OperationSpec, parameter, schemas};
use crate::error::{AppError, Limit};
use crate::model::fields::FieldErrors;
use crate::server::audit::Actor;
use crate::server::auth::client_ip::client_ip;
use crate::server::keys::leaks::revoke_leaked;
use crate::server::report_signature::is_signed;
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

/// One key, or several.
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

/// Report that its sender may send: a signature verifies, or the address of the sender has not reached its limit.
pub struct LeakReport {
    by: Actor,
    tokens: Vec<String>,
}

impl FromRequest<AppState> for LeakReport {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, AppError> {
        let (from, now) = (client_ip(request.extensions()), state.now());
        let by = Actor::reporter(from, now);
        let keys = state.config.secret_scanning_keys.as_ref().filter(|_| is_signed(request.headers()));
        let Some(keys) = keys else {
            // First, so that a rejected report is not read.
            state.usage.admit_report(from, now)?;
            return Ok(Self { by, tokens: read_tokens(request).await? });
        };
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| unreadable(rejection.status()))?;
        if !keys.verify(&parts.headers, &body) {
            state.usage.admit_report(from, now)?;
            return Err(AppError::SignatureInvalid);
        }
        Ok(Self { by, tokens: read_tokens(Request::from_parts(parts, body.into())).await? })
    }
}

async fn read_tokens(request: Request) -> Result<Vec<String>, AppError> {
    let report = Json::from_request(request, &()).await;
    let Json(report) = report.map_err(|rejection| unreadable(rejection.status()))?;
    let tokens = tokens(report).ok_or_else(malformed)?;
    if tokens.len() > MAX_KEYS { Err(too_many()) } else { Ok(tokens) }
}

impl OperationInput for LeakReport {
    fn describe(operation: &mut OperationSpec) {
        for (name, about) in [
            ("Github-Public-Key-Identifier", "The public key of the signature, where the report is signed."),
            ("Github-Public-Key-Signature", "The signature of the body: ECDSA P-256 with SHA-256, as base64."),
        ] {
            operation.parameter(parameter(ParameterIn::Header, name, about, schemas::any_text()));
        }
        operation.error(AppError::RateLimited { limit: Limit::LeakReports, retry_after: 12 });
        operation.error(AppError::SignatureInvalid);
        operation.error(malformed());
        operation.error(too_many());
        operation.error(AppError::ContentTooLarge);
        operation.error(AppError::UnsupportedMediaType);
    }
}

fn unreadable(status: StatusCode) -> AppError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => AppError::ContentTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => AppError::UnsupportedMediaType,
        _ => malformed(),
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
/// whether or not a key is real. Members other than `token`, such as the place, are ignored. Where the server has the public
/// keys of GitHub's secret scanning, a signed report must verify; it has no limit per address.
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
pub async fn report(State(state): State<AppState>, report: LeakReport) -> Result<StatusCode, AppError> {
    revoke_leaked(&state.db, &report.tokens, &report.by).await?;
    Ok(StatusCode::ACCEPTED)
}
