//! JSON bodies of employees.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::AppError;
use crate::model::employees::{Department, Employee, EmployeeId, EmployeeName, EmployeeSpec, Salary};
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;
use crate::server::employees::Change;
use crate::web::api::body::JsonObject;
use crate::web::api::openapi::schemas;

/// Fields that a complete body has.
const REQUIRED: [&str; 3] = ["name", "department", "salary"];

/// Fields that only the server writes. In a request body they are ignored.
const READ_ONLY: [&str; 5] = ["id", "user", "team", "created_at", "updated_at"];

/// Employee in a response.
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

/// Complete body of a request; [`fields`] reads it.
pub enum EmployeeRequest {}

/// Partial body of a request; [`fields`] reads it.
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

/// Reads a complete body.
pub(super) fn spec(body: JsonObject) -> Result<EmployeeSpec, AppError> {
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

/// Reads a partial body.
pub(super) fn change(body: JsonObject) -> Result<Change, AppError> {
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
    body.reject_rest(&READ_ONLY, &mut errors);
    (change, errors)
}
