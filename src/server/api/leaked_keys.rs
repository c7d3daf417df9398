//! Reports of leaked keys: anyone may send one, for holding a key is proof.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Json, State};
use axum::http::{Extensions, StatusCode};
use axum::routing::{MethodRouter, post};
use serde::Deserialize;

use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::server::audit::By;
use crate::server::auth::client::address;
use crate::server::keys::leak::revoke_leaked;
use crate::server::state::AppState;

/// How many keys one report may name.
const MOST: usize = 1000;
/// The largest report in bytes: so many keys, and what scanners write beside each.
const MAX_BODY: usize = 1024 * 1024;

/// A key that was found where it should not be. What scanners say beside it, such as the place, is not looked at.
#[derive(Deserialize)]
pub struct ReportedKey {
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

/// The route.
pub fn route() -> MethodRouter<AppState> {
    post(report).layer(DefaultBodyLimit::max(MAX_BODY))
}

/// `POST /api/v1/leaked-keys`: 202 whether one of them was real or none.
pub async fn report(
    State(state): State<AppState>,
    extensions: Extensions,
    body: Result<Json<Report>, JsonRejection>,
) -> Result<StatusCode, AppError> {
    let (from, now) = (address(&extensions), state.now());
    state.usage.admit_report(from, now)?;
    let reported = match body {
        Ok(Json(Report::Many(reported))) => reported,
        Ok(Json(Report::One(reported))) => vec![reported],
        Err(rejection) => {
            return Err(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => AppError::ContentTooLarge,
                StatusCode::UNSUPPORTED_MEDIA_TYPE => AppError::UnsupportedMediaType,
                _ => AppError::MalformedJson("Send a list such as [{\"token\": \"kf_...\"}].".to_owned()),
            });
        }
    };
    if reported.len() > MOST {
        return Err(FieldErrors::whole(format!("Report at most {MOST} keys at a time.")).into());
    }
    let tokens: Vec<_> = reported.into_iter().map(|reported| reported.token).collect();
    revoke_leaked(&state.db, &tokens, &By::reporter(from, now)).await?;
    Ok(StatusCode::ACCEPTED)
}
