//! The employees API: the seed's `ViewSet` and `APIView`. Each handler is extract, call, wrap.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::JsonObject;
use super::openapi::{Asks, Input, parameter, schemas};
use crate::error::AppError;
use crate::model::employees::{Department, Employee, EmployeeId, EmployeeName, EmployeeSpec, Salary};
use crate::model::fields::FieldErrors;
use crate::model::keys::scope::{EmployeesRead, EmployeesWrite};
use crate::model::time::Timestamp;
use crate::server::auth::With;
use crate::server::employees::{self, Change, Figures, Order, Query};
use crate::server::state::AppState;

const NO_PAGE: &str = "Give a page as a whole number from 1.";
const PAGE_SIZE: u32 = 100;
const PAGE_SIZE_MAX: u32 = 200;

/// Fields of an employee that a whole body has.
const REQUIRED: [&str; 3] = ["name", "department", "salary"];

/// Fields of an employee that only the server writes. They may stand in a body, and are not looked at.
const READ_ONLY: [&str; 5] = ["id", "user", "team", "created_at", "updated_at"];

/// An employee on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Employee)]
pub struct EmployeeBody {
    #[schema(schema_with = schemas::id)]
    id: EmployeeId,
    #[schema(schema_with = schemas::name)]
    name: EmployeeName,
    #[schema(schema_with = schemas::department)]
    department: Department,
    /// The yearly salary in whole units of the currency.
    #[schema(schema_with = schemas::salary)]
    salary: Salary,
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Employee> for EmployeeBody {
    fn from(employee: Employee) -> Self {
        let Employee { id, name, department, salary, created_at, updated_at } = employee;
        Self { id, name, department, salary, created_at, updated_at }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(str::from_utf8(&at.rfc3339_ascii()).unwrap_or_default())
}

/// An employee as a caller describes one; [`fields`] reads it.
pub enum EmployeeRequest {}

/// The same, for some of the fields.
pub enum PatchedEmployeeRequest {}

fn request() -> ObjectBuilder {
    let fields = ObjectBuilder::new()
        .property("name", schemas::name())
        .property("department", schemas::department())
        .property("salary", schemas::salary())
        .additional_properties(Some(schemas::NOTHING_ELSE));
    READ_ONLY.into_iter().fold(fields, |fields, field| fields.property(field, schemas::read_only()))
}

impl PartialSchema for EmployeeRequest {
    fn schema() -> RefOr<Schema> {
        REQUIRED.into_iter().fold(request(), ObjectBuilder::required).into()
    }
}

impl ToSchema for EmployeeRequest {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EmployeeRequest")
    }
}

impl PartialSchema for PatchedEmployeeRequest {
    fn schema() -> RefOr<Schema> {
        request().into()
    }
}

impl ToSchema for PatchedEmployeeRequest {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("PatchedEmployeeRequest")
    }
}

/// A page of a list, as Django REST framework writes it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaginatedEmployeeList)]
pub struct PageBody {
    /// How many there are on all pages.
    #[schema(minimum = 0)]
    count: i64,
    /// The page after this one; null on the last.
    #[schema(format = "uri", required = true)]
    next: Option<String>,
    /// The page before this one; null on the first.
    #[schema(format = "uri", required = true)]
    previous: Option<String>,
    results: Vec<EmployeeBody>,
}

/// The figures of each department.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = EmployeeData)]
pub struct AggregateBody {
    /// Department and sum of salaries.
    total_costs: Vec<(String, i64)>,
    /// Department and average salary.
    average_salaries: Vec<(String, f64)>,
    /// Department and number of employees.
    headcounts: Vec<(String, i64)>,
}

/// List employees
#[utoipa::path(
    get,
    path = "/employees",
    operation_id = "employees_list",
    tag = "employees",
    responses((status = 200, description = "A page of them.", body = PageBody, example = json!({
        "count": 1, "next": null, "previous": null, "results": [example()],
    })))
)]
pub async fn list(
    State(state): State<AppState>,
    with: With<EmployeesRead>,
    OriginalUri(here): OriginalUri,
    params: Params,
) -> Result<Response, AppError> {
    let page = employees::list(&state.db, &with.owner, &params.query).await?.ok_or(AppError::NotFound)?;
    let number = params.query.page;
    let more = i64::from(number) * i64::from(params.query.page_size) < page.count;
    let link = |page| format!("{}{}", address(&state, here.path()), params.at_page(page));
    let body = PageBody {
        count: page.count,
        next: more.then(|| link(number + 1)),
        previous: (number > 1).then(|| link(number - 1)),
        results: page.employees.into_iter().map(EmployeeBody::from).collect(),
    };
    // Room for all of it, rather than room that is made again and again.
    let mut json = Vec::with_capacity(256 * (body.results.len() + 1));
    serde_json::to_writer(&mut json, &body).map_err(|_| AppError::Internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Add an employee
#[utoipa::path(
    post,
    path = "/employees",
    operation_id = "employees_create",
    tag = "employees",
    request_body(content = EmployeeRequest, example = json!(request_example())),
    responses((status = 201, description = "The employee was added.", body = EmployeeBody,
        headers(("Location" = String, description = "The address of the employee.")), example = json!(example())))
)]
pub async fn create(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    OriginalUri(here): OriginalUri,
    body: JsonObject,
) -> Result<impl IntoResponse, AppError> {
    let created = employees::create(&state.db, &with.owner, spec(body)?, state.now()).await?;
    let location = format!("{}{}/", address(&state, here.path()), created.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(EmployeeBody::from(created))))
}

/// The address of a list, whose path may have come with its last slash or without.
fn address(state: &AppState, path: &str) -> String {
    format!("{}{}/", state.config.origin(), path.trim_end_matches('/'))
}

/// Show an employee
#[utoipa::path(
    get,
    path = "/employees/{id}",
    operation_id = "employees_retrieve",
    tag = "employees",
    responses((status = 200, description = "The employee.", body = EmployeeBody, example = json!(example())))
)]
pub async fn get(
    State(state): State<AppState>,
    with: With<EmployeesRead>,
    id: EmployeeId,
) -> Result<Json<EmployeeBody>, AppError> {
    employees::get(&state.db, &with.owner, &id).await.map(EmployeeBody::from).map(Json)
}

/// Change all fields of an employee
#[utoipa::path(
    put,
    path = "/employees/{id}",
    operation_id = "employees_update",
    tag = "employees",
    request_body(content = EmployeeRequest, example = json!(request_example())),
    responses((status = 200, description = "The employee, as changed.", body = EmployeeBody, example = json!(example())))
)]
pub async fn replace(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    id: EmployeeId,
    body: JsonObject,
) -> Result<Json<EmployeeBody>, AppError> {
    let change = spec(body)?.into();
    employees::update(&state.db, &with.owner, (&id, change), state.now()).await.map(EmployeeBody::from).map(Json)
}

/// Change some fields of an employee
#[utoipa::path(
    patch,
    path = "/employees/{id}",
    operation_id = "employees_partial_update",
    tag = "employees",
    request_body(content = PatchedEmployeeRequest, example = json!({"salary": 120_000})),
    responses((status = 200, description = "The employee, as changed.", body = EmployeeBody, example = json!(example())))
)]
pub async fn update(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    id: EmployeeId,
    body: JsonObject,
) -> Result<Json<EmployeeBody>, AppError> {
    let change = change(body)?;
    employees::update(&state.db, &with.owner, (&id, change), state.now()).await.map(EmployeeBody::from).map(Json)
}

/// Delete an employee
#[utoipa::path(
    delete,
    path = "/employees/{id}",
    operation_id = "employees_destroy",
    tag = "employees",
    responses((status = 204, description = "The employee is deleted."))
)]
pub async fn delete(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    id: EmployeeId,
) -> Result<StatusCode, AppError> {
    employees::delete(&state.db, &with.owner, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Show costs, average salaries and headcounts by department
#[utoipa::path(
    get,
    path = "/employee-data",
    operation_id = "employees_aggregate_data",
    tag = "employees",
    responses((status = 200, description = "The figures of each department.", body = AggregateBody, example = json!({
        "total_costs": [["Engineering", 230_000]],
        "average_salaries": [["Engineering", 115_000.0]],
        "headcounts": [["Engineering", 2]],
    })))
)]
pub async fn aggregate_data(
    State(state): State<AppState>,
    with: With<EmployeesRead>,
) -> Result<Json<AggregateBody>, AppError> {
    let mut body = AggregateBody::default();
    for Figures { department, total, average, headcount } in employees::figures(&state.db, &with.owner).await? {
        body.total_costs.push((department.clone(), total));
        body.average_salaries.push((department.clone(), average));
        body.headcounts.push((department, headcount));
    }
    Ok(Json(body))
}

/// What a caller says of an employee, for the document.
fn request_example() -> Value {
    json!({"name": "Grace Hopper", "department": "engineering", "salary": 115_000})
}

fn example() -> Value {
    let mut employee = request_example();
    employee["id"] = "0190a1b2-0000-7000-8000-000000000001".into();
    employee["created_at"] = "2026-11-24T08:00:00Z".into();
    employee["updated_at"] = "2026-11-24T08:00:00Z".into();
    employee
}

impl FromRequestParts<AppState> for EmployeeId {
    type Rejection = AppError;

    /// Reads `{id}` of the path.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
        let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, raw)| Self::parse(raw));
        id.ok_or(AppError::NotFound)
    }
}

impl Input for EmployeeId {
    fn describe(asks: &mut Asks) {
        asks.parameter(parameter(ParameterIn::Path, "id", "The id of the employee.", schemas::id()));
        asks.refusal(AppError::NotFound);
    }
}

/// A body with all fields.
fn spec(body: JsonObject) -> Result<EmployeeSpec, AppError> {
    let (change, mut errors) = fields(body);
    let missing = [change.name.is_none(), change.department.is_none(), change.salary.is_none()];
    for (field, missing) in REQUIRED.into_iter().zip(missing) {
        if missing && errors.first(field).is_none() {
            errors.add(field, "This field is required.");
        }
    }
    match change {
        Change { name: Some(name), department: Some(department), salary: Some(salary) } if errors.is_empty() => {
            Ok(EmployeeSpec { name, department, salary })
        }
        _ => Err(errors.into()),
    }
}

/// A body with some fields.
fn change(body: JsonObject) -> Result<Change, AppError> {
    let (change, errors) = fields(body);
    if errors.is_empty() { Ok(change) } else { Err(errors.into()) }
}

fn fields(mut body: JsonObject) -> (Change, FieldErrors) {
    let mut errors = FieldErrors::default();
    let name = body.text("name").and_then(|raw| raw.map(|raw| EmployeeName::parse(&raw)).transpose());
    let department = body.text("department").and_then(|raw| raw.map(|raw| Department::parse(&raw)).transpose());
    let salary = body.whole("salary").and_then(|raw| raw.map(Salary::new).transpose());
    let change = Change {
        name: errors.take("name", name).flatten(),
        department: errors.take("department", department).flatten(),
        salary: errors.take("salary", salary).flatten(),
    };
    body.refuse_rest(&READ_ONLY, &mut errors);
    (change, errors)
}

/// The query string of a list, checked; and as it was, for the links.
pub struct Params {
    query: Query,
    pairs: Vec<(String, String)>,
}

impl FromRequestParts<AppState> for Params {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, AppError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Input for Params {
    fn describe(asks: &mut Asks) {
        let mut page_size = schemas::whole(1, i32::MAX);
        (page_size.maximum, page_size.format) = (Some(u32::MAX.into()), None);
        page_size.default = Some(PAGE_SIZE.into());
        let ordering = schemas::one_of(Order::NAMES.iter().copied());
        let department = schemas::one_of(Department::ALL.map(Department::as_str).into_iter().chain([""]));
        for (name, about, schema) in [
            ("page", "Which page, from 1. One after the last is not found.", schemas::whole(1, i32::MAX)),
            ("page_size", "How many to a page, of which more than 200 are 200.", page_size),
            ("ordering", "By which field; with `-` descending. By `created_at` if left out.", ordering),
            ("department", "Only those of a department; of all if empty.", department),
            ("search", "Only those whose name has this in it, in any case of letters.", schemas::any_text()),
        ] {
            asks.parameter(parameter(ParameterIn::Query, name, about, schema));
        }
        asks.refusal(FieldErrors::one("page", NO_PAGE).into());
        asks.refusal(AppError::NotFound);
    }
}

impl Params {
    /// # Errors
    /// 400 that names each parameter that is wrong; 404 for a page below 1.
    fn parse(raw: &str) -> Result<Self, AppError> {
        let pairs: Vec<_> = url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
        let mut query =
            Query { department: None, search: String::new(), order: Order::Created, page: 1, page_size: PAGE_SIZE };
        let mut errors = FieldErrors::default();
        for (name, value) in &pairs {
            match name.as_str() {
                "page" => query.page = errors.take(name, page(value)).unwrap_or(1),
                "page_size" => query.page_size = errors.take(name, page_size(value)).unwrap_or(PAGE_SIZE),
                "department" if value.is_empty() => query.department = None,
                "department" => query.department = errors.take(name, Department::parse(value)),
                "ordering" => query.order = errors.take(name, order(value)).unwrap_or(Order::Created),
                "search" => query.search.clone_from(value),
                _ => {} // What others add to a URL, such as a cache buster, is not ours to refuse.
            }
        }
        match query.page {
            _ if !errors.is_empty() => Err(errors.into()),
            0 => Err(AppError::NotFound),
            _ => Ok(Self { query, pairs }),
        }
    }

    /// The query string of another page of the same list.
    fn at_page(&self, page: u32) -> String {
        let others = self.pairs.iter().filter(|(name, _)| name != "page");
        let mut query = url::form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        query.extend_pairs(others).append_pair("page", &page.to_string());
        query.finish()
    }
}

/// A page number; 0 stands for any that is below 1.
fn page(raw: &str) -> Result<u32, String> {
    let number: i64 = raw.parse().map_err(|_| NO_PAGE.to_owned())?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

fn page_size(raw: &str) -> Result<u32, String> {
    match raw.parse::<u32>() {
        Ok(0) | Err(_) => Err(format!("Give a page size from 1 to {PAGE_SIZE_MAX}.")),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
    }
}

fn order(raw: &str) -> Result<Order, String> {
    Order::parse(raw).ok_or_else(|| format!("Choose one of {}.", Order::NAMES.join(", ")))
}
