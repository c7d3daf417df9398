//! Endpoints that keys can call. What a handler's signature names protects it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keyfob::error::AppError;
use keyfob::model::keys::RequiredScope;
use keyfob::server::auth::Scoped;
use keyfob::server::state::AppState;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::notes::{self, Note};

/// The scope for reading notes.
pub enum NotesRead {}

impl RequiredScope for NotesRead {
    const NAME: &str = "notes:read";
    const WRITES: bool = false;
}

/// The scope for adding notes.
pub enum NotesWrite {}

impl RequiredScope for NotesWrite {
    const NAME: &str = "notes:write";
    const WRITES: bool = true;
}

/// A note to add.
#[derive(Deserialize, ToSchema)]
pub struct NewNote {
    pub text: String,
}

/// List your notes
#[utoipa::path(
    get,
    path = "/api/notes",
    security(("api_key" = ["notes:read"])),
    responses((status = 200, body = Vec<Note>))
)]
pub async fn list(State(state): State<AppState>, caller: Scoped<NotesRead>) -> Result<Json<Vec<Note>>, AppError> {
    Ok(Json(notes::list(&state.db, &caller.user().id).await?))
}

/// Show a note
///
/// The 404 is the app's own. Keyfob leaves it as it is.
#[utoipa::path(
    get,
    path = "/api/notes/{id}",
    security(("api_key" = ["notes:read"])),
    responses((status = 200, body = Note), (status = 404, body = String))
)]
pub async fn get(
    State(state): State<AppState>,
    caller: Scoped<NotesRead>,
    Path(id): Path<String>,
) -> Result<Response, AppError> {
    Ok(match notes::find(&state.db, &caller.user().id, &id).await? {
        Some(note) => Json(note).into_response(),
        None => (StatusCode::NOT_FOUND, "No such note.").into_response(),
    })
}

/// Add a note
#[utoipa::path(
    post,
    path = "/api/notes",
    security(("api_key" = ["notes:write"])),
    request_body = NewNote,
    responses((status = 201, body = Note), (status = 422, body = String))
)]
pub async fn create(
    State(state): State<AppState>,
    caller: Scoped<NotesWrite>,
    Json(new): Json<NewNote>,
) -> Result<Response, AppError> {
    let Some(text) = notes::valid(&new.text) else {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "A note has 1 to 500 characters.").into_response());
    };
    let note = notes::add(&state, &caller.tenant(), text).await?;
    Ok((StatusCode::CREATED, Json(note)).into_response())
}
