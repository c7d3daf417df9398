//! The employees API: the seed's `ViewSet` and `APIView`. Each handler is extract, call, wrap.

use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde::{Serialize, Serializer};

use super::body::JsonObject;
use crate::error::AppError;
use crate::model::employees::{Department, Employee, EmployeeId, EmployeeName, EmployeeSpec, Salary};
use crate::model::fields::FieldErrors;
use crate::model::keys::scope::{EmployeesRead, EmployeesWrite};
use crate::model::time::Timestamp;
use crate::server::auth::With;
use crate::server::employees::{self, Change, Figures, Order, Query};
use crate::server::state::AppState;

const PAGE_SIZE: u32 = 100;
const PAGE_SIZE_MAX: u32 = 200;

/// Fields of an employee that only the server writes. They may stand in a body, and are not looked at.
const READ_ONLY: [&str; 5] = ["id", "user", "team", "created_at", "updated_at"];

/// An employee on the wire.
#[derive(Debug, Serialize)]
pub struct EmployeeBody {
    id: EmployeeId,
    name: EmployeeName,
    department: Department,
    salary: Salary,
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
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
    serializer.serialize_str(&at.rfc3339())
}

/// A page of a list, as Django REST framework writes it.
#[derive(Debug, Serialize)]
pub struct PageBody {
    count: i64,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<EmployeeBody>,
}

/// The figures of each department.
#[derive(Debug, Default, Serialize)]
pub struct AggregateBody {
    total_costs: Vec<(String, i64)>,
    average_salaries: Vec<(String, f64)>,
    headcounts: Vec<(String, i64)>,
}

/// `GET employees/`
pub async fn list(
    State(state): State<AppState>,
    with: With<EmployeesRead>,
    here: Uri,
    RawQuery(raw): RawQuery,
) -> Result<Json<PageBody>, AppError> {
    let params = Params::parse(raw.as_deref().unwrap_or_default())?;
    let page = employees::list(&state.db, &with.owner, &params.query).await?.ok_or(AppError::NotFound)?;
    let number = params.query.page;
    let more = i64::from(number) * i64::from(params.query.page_size) < page.count;
    let link = |page| format!("{}{}/{}", state.config.origin(), here.path(), params.at_page(page));
    Ok(Json(PageBody {
        count: page.count,
        next: more.then(|| link(number + 1)),
        previous: (number > 1).then(|| link(number - 1)),
        results: page.employees.into_iter().map(EmployeeBody::from).collect(),
    }))
}

/// `POST employees/`
pub async fn create(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    here: Uri,
    body: JsonObject,
) -> Result<impl IntoResponse, AppError> {
    let created = employees::create(&state.db, &with.owner, spec(body)?, state.now()).await?;
    let location = format!("{}{}/{}/", state.config.origin(), here.path(), created.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(EmployeeBody::from(created))))
}

/// `GET employees/{id}/`
pub async fn get(
    State(state): State<AppState>,
    with: With<EmployeesRead>,
    id: EmployeeId,
) -> Result<Json<EmployeeBody>, AppError> {
    employees::get(&state.db, &with.owner, &id).await.map(EmployeeBody::from).map(Json)
}

/// `PUT employees/{id}/`
pub async fn replace(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    id: EmployeeId,
    body: JsonObject,
) -> Result<Json<EmployeeBody>, AppError> {
    let change = spec(body)?.into();
    employees::update(&state.db, &with.owner, (&id, change), state.now()).await.map(EmployeeBody::from).map(Json)
}

/// `PATCH employees/{id}/`
pub async fn update(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    id: EmployeeId,
    body: JsonObject,
) -> Result<Json<EmployeeBody>, AppError> {
    let change = change(body)?;
    employees::update(&state.db, &with.owner, (&id, change), state.now()).await.map(EmployeeBody::from).map(Json)
}

/// `DELETE employees/{id}/`
pub async fn delete(
    State(state): State<AppState>,
    with: With<EmployeesWrite>,
    id: EmployeeId,
) -> Result<StatusCode, AppError> {
    employees::delete(&state.db, &with.owner, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// `GET employee-data/`
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

impl FromRequestParts<AppState> for EmployeeId {
    type Rejection = AppError;

    /// Reads `{id}` of the path.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
        let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, raw)| Self::parse(raw));
        id.ok_or(AppError::NotFound)
    }
}

/// A body with all fields.
fn spec(body: JsonObject) -> Result<EmployeeSpec, AppError> {
    let (change, mut errors) = fields(body);
    for (field, missing) in [
        ("name", change.name.is_none()),
        ("department", change.department.is_none()),
        ("salary", change.salary.is_none()),
    ] {
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
struct Params {
    query: Query,
    pairs: Vec<(String, String)>,
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
        let mut query = url::form_urlencoded::Serializer::new(String::from("?"));
        query.extend_pairs(others).append_pair("page", &page.to_string());
        query.finish()
    }
}

/// A page number; 0 stands for any that is below 1.
fn page(raw: &str) -> Result<u32, String> {
    let number: i64 = raw.parse().map_err(|_| "Give a page as a whole number from 1.".to_owned())?;
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
