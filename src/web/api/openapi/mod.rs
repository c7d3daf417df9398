//! The OpenAPI 3.1 document: everything that the routes do not describe themselves.

mod endpoint;
pub mod schemas;

use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Info, OpenApi, Server, Tag};

pub use self::endpoint::{OperationInput, OperationSpec, describe, parameter};
use self::endpoint::{SCHEMES, add_error, describe_protection};
use super::problem::Problem;
use crate::error::AppError;

const ABOUT: &str = "Send a key as `Authorization: Api-Key <key>`, as `Authorization: Bearer <key>` or as \
    `X-Api-Key: <key>`. Without a key, the session of a signed-in browser decides. A key that is limited to scopes needs \
    the scope that an operation names; a read-only key is rejected for every method except GET, HEAD and OPTIONS.\n\n\
    Every error is `application/problem+json` (RFC 9457); programs can rely on its `code`. Every response has \
    `X-Request-Id`.";

const TAGS: [(&str, &str); 4] = [
    ("employees", "The caller's own employees."),
    ("team employees", "The employees of a team that the caller is in."),
    ("key", "Who is calling, and the key of the request."),
    ("leaked keys", "Report keys that have leaked."),
];

/// Completes the description of Keyfob's endpoints, and merges the description of the developer's `own` ones.
pub fn finish(mut api: OpenApi, mut own: OpenApi, origin: &str, cookie: &str) -> OpenApi {
    let mut info = Info::new("Keyfob", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    api.info = info;
    api.servers = Some(vec![Server::new(origin)]);
    api.tags = Some(TAGS.map(tag).into());
    let paths = std::mem::take(&mut api.paths.paths);
    api.paths.paths = paths.into_iter().map(|(path, item)| (as_documented(path), item)).collect();
    let components = api.components.get_or_insert_default();
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    for (name, scheme) in SCHEMES.into_iter().zip(schemes(cookie)) {
        components.add_security_scheme(name, scheme);
    }
    own.paths.paths.values_mut().flat_map(operations).for_each(|operation| describe_protection(operation, origin));
    api.merge(own);
    api
}

fn tag((name, about): (&str, &str)) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(about.to_owned());
    tag
}

/// Paths of Pegasus end in a slash in the document, as its clients call them. The router sees them without it.
fn as_documented(path: String) -> String {
    if path.starts_with("/api/") { path } else { path + "/" }
}

/// Returns the schemes in the order of [`SCHEMES`].
fn schemes(cookie: &str) -> [SecurityScheme; 4] {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("API key");
    let header = |name, about| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)));
    let session = ApiKeyValue::with_description(cookie, "The session of a browser that signed in.");
    [
        header("X-Api-Key", "The key alone: `kf_8Qw3ZkPa_...`."),
        header("Authorization", "`Api-Key <key>`: the word, one space, and the key."),
        SecurityScheme::Http(bearer.description(Some("The key, as a bearer token.")).build()),
        SecurityScheme::ApiKey(ApiKey::Cookie(session)),
    ]
}

/// Turns the description of a user's employees into that of a team's.
pub fn of_team(api: &mut OpenApi, origin: &str) {
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        operation.operation_id = operation.operation_id.take().map(|id| format!("team_{id}"));
        operation.tags = Some(vec!["team employees".to_owned()]);
        let about = "Slug of the team. A team that the caller is not in is not found.";
        let team = parameter(ParameterIn::Path, "team", about, schemas::slug());
        operation.parameters.get_or_insert_default().insert(0, team.into());
        add_error(operation, &AppError::NotFound, origin);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}
