//! Reports of leaked keys: anyone may send one, for holding a key is proof.

use std::borrow::Cow;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::{Extensions, StatusCode};
use serde::Deserialize;
use utoipa::openapi::{ArrayBuilder, OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::openapi::{Asks, Input};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::server::audit::By;
use crate::server::auth::client::address;
use crate::server::keys::leak::revoke_leaked;
use crate::server::state::AppState;

/// How many keys one report may name.
const MOST: usize = 1000;
/// The largest report in bytes: so many keys, and what scanners write beside each.
pub const MAX_BODY: usize = 1024 * 1024;

/// A key that was found where it should not be. What scanners say beside it, such as the place, is not looked at.
#[derive(Deserialize, ToSchema)]
pub struct ReportedKey {
    /// The key.
    #[schema(example = "kf_8Qw3ZkPa_...")]
    token: String,
}

/// One key, or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Report {
    /// Several.
    Many(Vec<ReportedKey>),
    /// One.
    One(ReportedKey),
}

impl PartialSchema for Report {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(ReportedKey::name());
        let many = ArrayBuilder::new().items(one.clone()).max_items(Some(MOST));
        OneOfBuilder::new().item(many).item(one).into()
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

type Body = Result<Json<Report>, JsonRejection>;

impl Input for Body {
    fn describe(asks: &mut Asks) {
        asks.refusal(malformed());
        asks.refusal(too_many());
        asks.refusal(AppError::ContentTooLarge);
        asks.refusal(AppError::UnsupportedMediaType);
        asks.refusal(AppError::RateLimited { limit: 60, seconds: 12 });
    }
}

fn malformed() -> AppError {
    AppError::MalformedJson("Send a list such as [{\"token\": \"kf_...\"}].".to_owned())
}

fn too_many() -> AppError {
    FieldErrors::whole(format!("Report at most {MOST} keys at a time.")).into()
}

/// Report leaked keys
///
/// Anyone may report a key: holding it is proof. What is real is revoked, and its owner is told. The answer is the same
/// whether one of them was real or none. What stands beside `token`, such as the place, is not looked at.
#[utoipa::path(
    post,
    path = "/api/v1/leaked-keys",
    operation_id = "leaked_keys_report",
    tag = "leaked keys",
    request_body(content = Report, description = "One key, or at most 1000.", example = json!([
        {"token": "kf_8Qw3ZkPa_...", "type": "keyfob_api_key", "url": "https://example.com/leak.txt"},
    ])),
    responses((status = 202, description = "The report was taken."))
)]
pub async fn report(State(state): State<AppState>, extensions: Extensions, body: Body) -> Result<StatusCode, AppError> {
    let (from, now) = (address(&extensions), state.now());
    state.usage.admit_report(from, now)?;
    let reported = match body {
        Ok(Json(Report::Many(reported))) => reported,
        Ok(Json(Report::One(reported))) => vec![reported],
        Err(rejection) => {
            return Err(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => AppError::ContentTooLarge,
                StatusCode::UNSUPPORTED_MEDIA_TYPE => AppError::UnsupportedMediaType,
                _ => malformed(),
            });
        }
    };
    if reported.len() > MOST {
        return Err(too_many());
    }
    let tokens: Vec<_> = reported.into_iter().map(|reported| reported.token).collect();
    revoke_leaked(&state.db, &tokens, &By::reporter(from, now)).await?;
    Ok(StatusCode::ACCEPTED)
}
