//! Describes an endpoint by the types in its handler's signature: the types that check the request also describe the check.

use std::fmt::Write as _;

use axum::extract::{OriginalUri, State};
use axum::http::request::Parts;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, RefOr, Required, Response, Schema, SecurityRequirement};
use utoipa_axum::router::UtoipaMethodRouter;

use super::operations;
use super::schemas::any_text;
use crate::error::{AppError, Limit};
use crate::model::keys::RequiredScope;
use crate::server::auth::{AnyCaller, AnyCallerWith, Scoped};
use crate::server::state::AppState;
use crate::web::api::problem::{PROBLEM_JSON, Problem};

/// Request id in the examples.
const REQUEST_ID: &str = "5c0e1f7a9b3d4e62a1c8d07f4b95e23a";

/// Names of the security schemes. The last is the session.
pub const SCHEMES: [&str; 4] = ["api_key", "authorization", "bearer", "session"];

/// What an operation requires of a request, and how it fails.
#[derive(Default)]
pub struct OperationSpec {
    /// The accepted ones of [`SCHEMES`]; empty if the operation is public.
    schemes: &'static [&'static str],
    scope: Option<&'static str>,
    parameters: Vec<Parameter>,
    errors: Vec<AppError>,
    any_accept: bool,
}

impl OperationSpec {
    /// Adds a parameter.
    pub fn parameter(&mut self, parameter: Parameter) {
        self.parameters.push(parameter);
    }

    /// Adds an error, as an example of its code.
    pub fn error(&mut self, error: AppError) {
        self.errors.push(error);
    }

    /// Requires a key; a session is rejected.
    pub fn only_a_key(&mut self) {
        self.schemes = &SCHEMES[..3];
    }

    /// Accepts any `Accept` header.
    pub fn any_accept(&mut self) {
        self.any_accept = true;
    }

    /// Requires a key or a session.
    pub fn caller(&mut self) {
        self.schemes = &SCHEMES;
        self.errors.extend([
            AppError::CredentialsAmbiguous,
            AppError::CredentialsMissing,
            AppError::KeyMalformed,
            AppError::KeyUnknown,
            AppError::KeyExpired,
            AppError::KeyRevoked,
            AppError::AccountDisabled,
            AppError::TeamMismatch,
            AppError::ApiMismatch,
            AppError::RateLimited { limit: Limit::KeyRequests { per_minute: 60 }, retry_after: 12 },
        ]);
    }

    fn scope<S: RequiredScope>(&mut self) {
        self.caller();
        self.scope = Some(S::NAME);
        self.error(AppError::ScopeMissing(S::NAME.to_owned()));
    }

    fn write(&self, operation: &mut Operation, changes: bool, origin: &str) {
        let scopes = self.scope;
        if let Some(scope) = scopes {
            let description = operation.description.get_or_insert_default();
            let gap = if description.is_empty() { "" } else { "\n\n" };
            let _ = write!(description, "{gap}A key needs the scope `{scope}`.");
        }
        let requirement = |name: &&str| SecurityRequirement::new(*name, scopes);
        operation.security = Some(self.schemes.iter().map(requirement).collect());
        if !self.parameters.is_empty() {
            operation.parameters.get_or_insert_default().extend(self.parameters.iter().cloned().map(RefOr::from));
        }
        let not_acceptable = (!self.any_accept).then_some(AppError::NotAcceptable);
        let always = [AppError::Internal, AppError::Unavailable];
        let foreign = changes.then_some(AppError::CrossOrigin);
        for error in self.errors.iter().chain(&not_acceptable).chain(&always).chain(&foreign) {
            add_error(operation, error, origin);
        }
        if !self.schemes.is_empty() {
            for response in operation.responses.responses.values_mut() {
                add_headers(response, RATE_LIMIT_HEADERS);
            }
        }
    }
}

/// Type in the signature of a handler, which describes what it requires.
pub trait OperationInput {
    fn describe(_operation: &mut OperationSpec) {}
}

impl OperationInput for State<AppState> {}
impl OperationInput for OriginalUri {}
impl OperationInput for Parts {}

impl OperationInput for AnyCaller {
    fn describe(operation: &mut OperationSpec) {
        operation.caller();
    }
}

impl<S: RequiredScope> OperationInput for AnyCallerWith<S> {
    fn describe(operation: &mut OperationSpec) {
        operation.scope::<S>();
    }
}

impl<S: RequiredScope> OperationInput for Scoped<S> {
    fn describe(operation: &mut OperationSpec) {
        operation.scope::<S>();
    }
}

/// Handler whose inputs all describe themselves.
pub trait Endpoint<Inputs> {
    /// Returns what all inputs require.
    fn spec() -> OperationSpec;
}

macro_rules! endpoint {
    ($($input:ident)*) => {
        impl<F: Fn($($input),*) -> R, R, $($input: OperationInput),*> Endpoint<($($input,)*)> for F {
            fn spec() -> OperationSpec {
                let mut spec = OperationSpec::default();
                $($input::describe(&mut spec);)*
                spec
            }
        }
    };
}

endpoint! { A }
endpoint! { A B }
endpoint! { A B C }
endpoint! { A B C D }

/// Adds what a handler requires to the description of its route. `origin` is the server's public address.
pub fn describe<H: Endpoint<Inputs>, Inputs>(
    (schemas, mut paths, router): UtoipaMethodRouter<AppState>,
    _: &H,
    origin: &str,
) -> UtoipaMethodRouter<AppState> {
    let spec = H::spec();
    for item in paths.paths.values_mut() {
        let changes = item.get.is_none();
        operations(item).for_each(|operation| spec.write(operation, changes, origin));
    }
    (schemas, paths, router)
}

/// Adds the errors and headers of Keyfob's extractors to a developer's operation that requires credentials.
pub fn describe_protection(operation: &mut Operation, origin: &str) {
    if operation.security.as_ref().is_none_or(Vec::is_empty) {
        return;
    }
    let mut spec = OperationSpec::default();
    spec.caller();
    let others = [AppError::ScopeMissing(String::new()), AppError::Unavailable];
    for error in spec.errors.iter().chain(&others) {
        add_error(operation, error, origin);
    }
    for response in operation.responses.responses.values_mut() {
        add_headers(response, RATE_LIMIT_HEADERS);
    }
}

/// Returns a parameter. Parameters of the path are always required.
pub fn parameter(place: ParameterIn, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
    parameter.description(Some(about)).schema(Some(schema)).build()
}

/// Adds an error to an operation, with an example of its body.
pub fn add_error(operation: &mut Operation, error: &AppError, origin: &str) {
    let code = error.code();
    let responses = &mut operation.responses.responses;
    let response = responses.entry(code.status.to_string()).or_insert_with(|| Response::default().into());
    let RefOr::T(response) = response else { return };
    let content = response.content.entry(PROBLEM_JSON.to_owned()).or_insert_with(problem);
    let RefOr::T(content) = content else { return };
    let value = serde_json::to_value(Problem::new(origin, REQUEST_ID, error)).ok();
    let example = ExampleBuilder::new().summary(code.title).value(value);
    if content.examples.insert(code.code.to_owned(), example.into()).is_none() {
        let gap = if response.description.is_empty() { "" } else { " " };
        let _ = write!(response.description, "{gap}`{}`: {}", code.code, code.title);
    }
    add_headers(responses.entry(code.status.to_string()).or_insert_with(|| Response::default().into()), headers(error));
}

fn add_headers(response: &mut RefOr<Response>, headers: &[(&str, &str)]) {
    let RefOr::T(response) = response else { return };
    for (name, about) in headers {
        let header = HeaderBuilder::new().schema(Some(any_text())).description(Some(*about));
        response.headers.insert((*name).to_owned(), header.build().into());
    }
}

fn problem() -> RefOr<utoipa::openapi::Content> {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build().into()
}

const RETRY: (&str, &str) = ("Retry-After", "Seconds until the next try.");

/// Headers of every answer to a key that has a limit.
const RATE_LIMIT_HEADERS: &[(&str, &str)] = &[RATE_LIMIT, RATE_LIMIT_POLICY];
const RATE_LIMIT: (&str, &str) =
    ("RateLimit", "Requests left, and seconds until there are more: `\"key_requests\";r=59;t=60`.");
const RATE_LIMIT_POLICY: (&str, &str) =
    ("RateLimit-Policy", "Limit and its window in seconds, where there is one: `\"key_requests\";q=60;w=60`.");

/// Returns the headers of an error with their descriptions.
const fn headers(error: &AppError) -> &'static [(&'static str, &'static str)] {
    match (error, error.code().status) {
        (AppError::ScopeMissing(_), _) => &[("WWW-Authenticate", "`Bearer`, with the missing scope.")],
        (_, 401) => &[("WWW-Authenticate", "`Api-Key` and `Bearer`, in a header each.")],
        (AppError::RateLimited { limit, .. }, _) if limit.quota().is_some() => &[RETRY, RATE_LIMIT, RATE_LIMIT_POLICY],
        (_, 429 | 503) => &[RETRY],
        _ => &[],
    }
}
