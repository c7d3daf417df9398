//! Endpoints about the caller and the key of the request.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::JsonObject;
use super::openapi::{OperationInput, OperationSpec, schemas};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::scope::{KeyRotate, ProfileRead};
use crate::model::keys::{Access, Grace, KeyFacts, KeyId, KeyName};
use crate::model::teams::TeamId;
use crate::model::time::Timestamp;
use crate::model::users::{User, UserId};
use crate::server::auth::{AnyCaller, AnyCallerWith, Caller, actor, api_key_header};
use crate::server::db::retry;
use crate::server::keys;
use crate::server::state::AppState;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeBody {
    user: UserBody,
    /// How the caller is authenticated.
    #[schema(schema_with = via)]
    via: &'static str,
    /// The key, if it was one.
    #[schema(required = true)]
    key: Option<KeyBody>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
struct UserBody {
    #[schema(schema_with = schemas::id)]
    id: UserId,
    #[schema(format = Email)]
    email: String,
    /// The display name; empty if none was chosen.
    name: String,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self { id: user.id, email: user.email, name: user.name }
    }
}

/// Public data of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyBody {
    #[schema(schema_with = schemas::id)]
    id: KeyId,
    #[schema(schema_with = schemas::name)]
    name: KeyName,
    /// Public prefix of the key: `kf_8Qw3ZkPa`.
    prefix: String,
    /// `full`, `read_only`, `api`, or the scopes separated by spaces.
    access: String,
    /// Scopes of the key: built-in ones, and the registered ones that it is limited to.
    #[schema(schema_with = scopes)]
    scopes: Vec<String>,
    /// Slug of the registered API that the key is limited to.
    #[schema(required = true)]
    api: Option<String>,
    /// Id of the team that the key is limited to.
    #[schema(value_type = Option<String>, format = "uuid", required = true)]
    team: Option<TeamId>,
    #[schema(format = DateTime)]
    created_at: String,
    /// The key works until this time; null if it never expires.
    #[schema(format = DateTime, required = true)]
    expires_at: Option<String>,
}

impl From<&KeyFacts> for KeyBody {
    fn from(key: &KeyFacts) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            access: key.access.text(),
            scopes: key.access.scopes().map(str::to_owned).collect(),
            api: match &key.access {
                Access::Api(limit) => limit.as_ref().map(|limit| limit.slug.clone()),
                _ => None,
            },
            team: key.team_id.clone(),
            created_at: key.created_at.rfc3339(),
            expires_at: key.expires_at.map(Timestamp::rfc3339),
        }
    }
}

/// Rotated key.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedKey)]
pub struct RotatedBody {
    /// The new key. It is shown once.
    #[schema(pattern = "^[a-z]{2,8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$")]
    key: String,
    #[serde(flatten)]
    facts: KeyBody,
    /// The previous secret works until this time.
    #[schema(format = DateTime)]
    old_secret_works_until: String,
}

fn via() -> Object {
    schemas::one_of(["session", "api_key"])
}

fn scopes() -> Schema {
    ArrayBuilder::new().items(schemas::scope()).into()
}

/// Body of a rotation; [`JsonObject`] reads it.
pub enum RotateBody {}

impl PartialSchema for RotateBody {
    fn schema() -> RefOr<Schema> {
        let mut grace = schemas::one_of(Grace::ALL.map(|grace| grace.name));
        grace.description = Some("How long the previous secret works, at most until the key expires.".to_owned());
        grace.default = Some(Grace::ALL[0].name.into());
        ObjectBuilder::new().property("grace", grace).additional_properties(Some(schemas::NOTHING_ELSE)).into()
    }
}

impl ToSchema for RotateBody {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("RotateRequest")
    }
}

/// Key of the request with its user, authenticated by `C`. A session is rejected.
pub struct CurrentKey<C> {
    caller: Caller,
    key: KeyFacts,
    by: PhantomData<C>,
}

impl<C> FromRequestParts<AppState> for CurrentKey<C>
where
    C: FromRequestParts<AppState, Rejection = AppError> + Into<Caller>,
{
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let caller: Caller = C::from_request_parts(parts, state).await?.into();
        let key = caller.key().cloned().ok_or(AppError::CredentialsMissing)?;
        Ok(Self { caller, key, by: PhantomData })
    }
}

impl<C: OperationInput> OperationInput for CurrentKey<C> {
    fn describe(operation: &mut OperationSpec) {
        C::describe(operation);
        operation.only_a_key();
    }
}

impl From<AnyCaller> for Caller {
    fn from(AnyCaller(caller): AnyCaller) -> Self {
        caller
    }
}

impl<S> From<AnyCallerWith<S>> for Caller {
    fn from(AnyCallerWith(caller, _): AnyCallerWith<S>) -> Self {
        caller
    }
}

/// Show who is calling
#[utoipa::path(
    get,
    path = "/api/v1/me",
    operation_id = "me_retrieve",
    tag = "key",
    responses((status = 200, description = "The caller, and the key of the request.", body = MeBody, example = json!({
        "user": {"id": "0190a1b2-0000-7000-8000-0000000000aa", "email": "ada@example.com", "name": "Ada"},
        "via": "api_key",
        "key": example(),
    })))
)]
pub async fn me(AnyCallerWith(caller, _): AnyCallerWith<ProfileRead>) -> Json<MeBody> {
    let via = if caller.key().is_some() { "api_key" } else { "session" };
    Json(MeBody { key: caller.key().map(KeyBody::from), via, user: caller.user().clone().into() })
}

/// Show the key of the request
///
/// Accepts every valid key, whatever its access, but no session.
#[utoipa::path(
    get,
    path = "/api/v1/key",
    operation_id = "key_retrieve",
    tag = "key",
    responses((status = 200, description = "Public data of the key.", body = KeyBody, example = json!(example())))
)]
pub async fn show(of: CurrentKey<AnyCaller>) -> Json<KeyBody> {
    Json((&of.key).into())
}

/// Revoke the key of the request
///
/// This cannot be undone: the next request with the key is rejected. Accepts every valid key, whatever its access, but no
/// session.
#[utoipa::path(
    delete,
    path = "/api/v1/key",
    operation_id = "key_destroy",
    tag = "key",
    responses((status = 204, description = "The key is revoked."))
)]
pub async fn revoke(
    State(state): State<AppState>,
    of: CurrentKey<AnyCaller>,
    parts: Parts,
) -> Result<StatusCode, AppError> {
    let (user, by) = (&of.caller.user().id, actor(&of.caller, &parts, &state));
    retry::repeat(|| keys::revoke(&state.db, user, &of.key.id, &by), Result::is_err).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give the key of the request a new secret
///
/// The key keeps its id, name, access and history. The previous secret works until the end of the grace period.
#[utoipa::path(
    post,
    path = "/api/v1/key/rotate",
    operation_id = "key_rotate",
    tag = "key",
    request_body(content = RotateBody, example = json!({"grace": "15m"})),
    responses((status = 200, description = "The new key. It is shown once.", body = RotatedBody, example = json!(rotated())))
)]
pub async fn rotate(
    State(state): State<AppState>,
    of: CurrentKey<AnyCallerWith<KeyRotate>>,
    parts: Parts,
    mut body: JsonObject,
) -> Result<Json<RotatedBody>, AppError> {
    let CurrentKey { caller, key, .. } = of;
    let mut errors = FieldErrors::default();
    let asked =
        body.text("grace").and_then(|raw| raw.map_or(Ok(0), |raw| Grace::parse(&raw).map(|grace| grace.millis)));
    let grace = errors.take("grace", asked);
    body.reject_rest(&[], &mut errors);
    let Some(grace) = grace.filter(|_| errors.is_empty()) else { return Err(errors.into()) };
    let presented = api_key_header::extract(&parts.headers, state.config.api_key_header.as_ref())?;
    let presented = presented.ok_or(AppError::CredentialsMissing)?;
    let by = actor(&caller, &parts, &state);
    let user = &caller.user().id;
    let rotate = || keys::rotation::rotate_itself(&state, (user, &key), (&presented, grace), &by);
    let made = retry::repeat(rotate, Result::is_err).await?;
    let until = key.expires_at.map_or(by.at.plus(grace), |at| at.min(by.at.plus(grace)));
    Ok(Json(RotatedBody { key: made.key, facts: (&made.facts).into(), old_secret_works_until: until.rfc3339() }))
}

fn example() -> Value {
    json!({
        "id": "0190a1b2-0000-7000-8000-0000000000bb",
        "name": "nightly report",
        "prefix": "kf_8Qw3ZkPa",
        "access": "employees:read key:rotate",
        "scopes": ["employees:read", "key:rotate"],
        "api": null,
        "team": null,
        "created_at": "2026-11-24T08:00:00Z",
        "expires_at": "2027-02-22T08:00:00Z",
    })
}

fn rotated() -> Value {
    let mut rotated = example();
    rotated["key"] = format!("kf_8Qw3ZkPa_{}", "0".repeat(38)).into();
    rotated["old_secret_works_until"] = "2026-11-24T08:15:00Z".into();
    rotated
}
