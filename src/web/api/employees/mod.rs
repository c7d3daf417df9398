//! Endpoints of employees: the `ViewSet` and the `APIView` of Pegasus.

mod body;
mod query;

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterIn;

use self::body::{EmployeeBody, EmployeeRequest, PatchedEmployeeRequest, change, spec};
use self::query::Params;
use super::body::JsonObject;
use super::openapi::{OperationInput, OperationSpec, parameter, schemas};
use crate::error::AppError;
use crate::model::employees::{DepartmentFigures, EmployeeId};
use crate::model::keys::scope::{EmployeesRead, EmployeesWrite};
use crate::server::auth::Scoped;
use crate::server::employees;
use crate::server::state::AppState;

/// Page of a list, in the format of Django REST framework.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaginatedEmployeeList)]
pub struct PageBody {
    /// Employees on all pages.
    #[schema(minimum = 0)]
    count: i64,
    /// URL of the next page; null on the last.
    #[schema(format = "uri", required = true)]
    next: Option<String>,
    /// URL of the previous page; null on the first.
    #[schema(format = "uri", required = true)]
    previous: Option<String>,
    results: Vec<EmployeeBody>,
}

/// Figures of each department.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = EmployeeData)]
pub struct AggregateBody {
    #[schema(schema_with = schemas::total_costs)]
    total_costs: Vec<(String, i64)>,
    #[schema(schema_with = schemas::average_salaries)]
    average_salaries: Vec<(String, f64)>,
    #[schema(schema_with = schemas::headcounts)]
    headcounts: Vec<(String, i64)>,
}

/// List employees
#[utoipa::path(
    get,
    path = "/employees",
    operation_id = "employees_list",
    tag = "employees",
    responses((status = 200, description = "A page of employees.", body = PageBody, example = json!({
        "count": 1, "next": null, "previous": null, "results": [example()],
    })))
)]
pub async fn list(
    State(state): State<AppState>,
    with: Scoped<EmployeesRead>,
    OriginalUri(here): OriginalUri,
    params: Params,
) -> Result<Response, AppError> {
    let page = employees::list(&state, &with.tenant(), &params.query).await?.ok_or(AppError::NotFound)?;
    let number = params.query.page;
    let more = i64::from(number) * i64::from(params.query.page_size) < page.count;
    let link = |page| format!("{}{}", address(&state, here.path()), params.at_page(page));
    let body = PageBody {
        count: page.count,
        next: more.then(|| link(number + 1)),
        previous: (number > 1).then(|| link(number - 1)),
        results: page.employees.into_iter().map(EmployeeBody::from).collect(),
    };
    // Allocated once: growing the buffer repeatedly is slower.
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
        headers(("Location" = String, description = "URL of the employee.")), example = json!(example())))
)]
pub async fn create(
    State(state): State<AppState>,
    with: Scoped<EmployeesWrite>,
    OriginalUri(here): OriginalUri,
    body: JsonObject,
) -> Result<impl IntoResponse, AppError> {
    let created = employees::create(&state, &with.tenant(), spec(body)?).await?;
    let location = format!("{}{}/", address(&state, here.path()), created.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(EmployeeBody::from(created))))
}

/// Returns the URL of a list. Its path may come with or without the last slash.
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
    with: Scoped<EmployeesRead>,
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
    with: Scoped<EmployeesWrite>,
    id: EmployeeId,
    body: JsonObject,
) -> Result<Json<EmployeeBody>, AppError> {
    let change = spec(body)?.into();
    employees::update(&state, &with.tenant(), &id, change).await.map(EmployeeBody::from).map(Json)
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
    with: Scoped<EmployeesWrite>,
    id: EmployeeId,
    body: JsonObject,
) -> Result<Json<EmployeeBody>, AppError> {
    let change = change(body)?;
    employees::update(&state, &with.tenant(), &id, change).await.map(EmployeeBody::from).map(Json)
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
    with: Scoped<EmployeesWrite>,
    id: EmployeeId,
) -> Result<StatusCode, AppError> {
    employees::delete(&state, &with.tenant(), &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Show costs, average salaries and headcounts by department
#[utoipa::path(
    get,
    path = "/employee-data",
    operation_id = "employees_aggregate_data",
    tag = "employees",
    responses((status = 200, description = "The figures of each department.", body = AggregateBody, example = json!({
        "total_costs": [["engineering", 230_000]],
        "average_salaries": [["engineering", 115_000.0]],
        "headcounts": [["engineering", 2]],
    })))
)]
pub async fn aggregate_data(
    State(state): State<AppState>,
    with: Scoped<EmployeesRead>,
) -> Result<Json<AggregateBody>, AppError> {
    let mut body = AggregateBody::default();
    for DepartmentFigures { department, total, average, headcount } in
        employees::figures(&state, &with.tenant()).await?
    {
        let department = department.as_str();
        body.total_costs.push((department.to_owned(), total));
        body.average_salaries.push((department.to_owned(), average));
        body.headcounts.push((department.to_owned(), headcount));
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

impl OperationInput for EmployeeId {
    fn describe(operation: &mut OperationSpec) {
        operation.parameter(parameter(ParameterIn::Path, "id", "The id of the employee.", schemas::id()));
        operation.error(AppError::NotFound);
    }
}
