//! Employees: their queries. Each is read and written with its owner in the WHERE.

use super::auth::secrets;
use super::db::row::Row;
use super::db::{Db, execute, fetch, like};
use super::state::AppState;
use crate::error::AppError;
use crate::model::employees::{
    Department, Employee, EmployeeForm, EmployeeId, EmployeeList, EmployeeName, EmployeeSpec, OwnerId, Salary,
};
use crate::model::time::Timestamp;

/// Which employees to list, and which page of them.
#[derive(Clone, Debug)]
pub struct Query {
    /// Only this department.
    pub department: Option<Department>,
    /// Only names that contain this, without case; all if empty.
    pub search: String,
    /// By what they are sorted.
    pub order: Order,
    /// The page, from 1.
    pub page: u32,
    /// How many on a page.
    pub page_size: u32,
}

/// A page of employees.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many there are on all pages.
    pub count: i64,
    /// Those of this page, in their order.
    pub employees: Vec<Employee>,
}

macro_rules! orders {
    ($($name:ident $param:literal $sql:literal)*) => {
        /// By what employees are sorted; those that are equal in it, by age.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Order { $(#[doc = concat!("`", $param, "`")] $name),* }

        impl Order {
            /// The values of `?ordering=`.
            pub const NAMES: &[&str] = &[$($param),*];

            /// Takes a value of `?ordering=`.
            #[must_use]
            pub fn parse(raw: &str) -> Option<Self> {
                match raw { $($param => Some(Self::$name),)* _ => None }
            }

            const fn sql(self) -> &'static str {
                match self {
                    $(Self::$name => concat!(
                        "SELECT id, name, department, salary, created_at, updated_at FROM employees WHERE owner_id = $1 ",
                        "AND ($2 = '' OR department = $2) AND ($3 = '' OR name_folded LIKE $3 ESCAPE '\\') ORDER BY ",
                        $sql, " LIMIT $4 OFFSET $5"
                    ),)*
                }
            }
        }
    };
}

orders! {
    Created "created_at" "created_at, id"
    CreatedDown "-created_at" "created_at DESC, id DESC"
    Name "name" "name_folded, id"
    NameDown "-name" "name_folded DESC, id DESC"
    Department "department" "department, id"
    DepartmentDown "-department" "department DESC, id DESC"
    Salary "salary" "salary, id"
    SalaryDown "-salary" "salary DESC, id DESC"
}

/// A page of the user's employees; `None` if the page is past the end. An empty first page is no error.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db, owner: &OwnerId, query: &Query) -> Result<Option<Page>, AppError> {
    let department = query.department.map_or("", Department::as_str);
    let search = like(&query.search);
    let (limit, offset) = (i64::from(query.page_size), i64::from(query.page - 1) * i64::from(query.page_size));
    let (owner_id, search) = (owner.as_str(), search.as_str());
    let args = [owner_id.into(), department.into(), search.into(), limit.into(), offset.into()];
    let employees = db.rows(query.order.sql(), &args, employee).await?;
    let found = i64::try_from(employees.len()).unwrap_or(i64::MAX);
    // A page that is neither full nor empty is the last: then the count is known without counting.
    let count = if (1..limit).contains(&found) || (found == 0 && offset == 0) {
        offset + found
    } else {
        let sql = "SELECT COUNT(*) FROM employees WHERE owner_id = $1 AND ($2 = '' OR department = $2) \
                   AND ($3 = '' OR name_folded LIKE $3 ESCAPE '\\')";
        let mut conn = db.read().await?;
        fetch!(conn, one(i64,), sql, owner, department, search)?.0
    };
    Ok((offset == 0 || found > 0).then_some(Page { count, employees }))
}

fn employee(row: Row<'_>) -> Result<Employee, AppError> {
    Ok(Employee {
        id: row.parse("id", EmployeeId::parse)?,
        name: row.parse("name", |name| Some(EmployeeName::stored(name)))?,
        department: row.parse("department", |name| Department::parse(name).ok())?,
        salary: Salary::new(row.get("salary")?).map_err(|_| AppError::Internal)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// How many employees the page shows at a time.
const ON_A_PAGE: u32 = 25;

/// The user's employees as the page shows them, by name. A page past the end is the last one.
///
/// # Errors
/// If the database does not answer.
pub async fn page(db: &Db, owner: &OwnerId, page: u32) -> Result<EmployeeList, AppError> {
    let query =
        |page| Query { department: None, search: String::new(), order: Order::Name, page, page_size: ON_A_PAGE };
    let page = page.max(1);
    if let Some(found) = list(db, owner, &query(page)).await? {
        return Ok(on_page(page, found));
    }
    let mut conn = db.read().await?;
    let (count,) = fetch!(conn, one(i64,), "SELECT COUNT(*) FROM employees WHERE owner_id = $1", owner)?;
    drop(conn);
    let last = pages(count);
    let found = list(db, owner, &query(last)).await?.unwrap_or(Page { count: 0, employees: Vec::new() });
    Ok(on_page(last, found))
}

fn on_page(page: u32, found: Page) -> EmployeeList {
    EmployeeList { page, pages: pages(found.count), count: found.count, employees: found.employees }
}

fn pages(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).div_ceil(ON_A_PAGE).max(1)
}

/// One employee of the user.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or it is somebody else's.
pub async fn get(db: &Db, owner: &OwnerId, id: &EmployeeId) -> Result<Employee, AppError> {
    let sql =
        "SELECT id, name, department, salary, created_at, updated_at FROM employees WHERE id = $1 AND owner_id = $2";
    let mut conn = db.read().await?;
    fetch!(conn, optional Employee, sql, id, owner)?.ok_or(AppError::NotFound)
}

/// Adds an employee.
///
/// # Errors
/// If the database does not answer.
pub async fn create(db: &Db, owner: &OwnerId, spec: EmployeeSpec, now: Timestamp) -> Result<Employee, AppError> {
    let mut created = insert_all(db, owner, vec![spec], now).await?;
    created.pop().ok_or(AppError::Internal)
}

/// Adds employees to a user who has none, so that there is something to look at. Adds nothing to one who has some.
///
/// # Errors
/// If the database does not answer.
pub async fn load_samples(db: &Db, owner: &OwnerId, now: Timestamp) -> Result<(), AppError> {
    let mut conn = db.read().await?;
    let some = fetch!(conn, optional(EmployeeId,), "SELECT id FROM employees WHERE owner_id = $1 LIMIT 1", owner)?;
    drop(conn);
    if some.is_none() {
        insert_all(db, owner, samples(), now).await?;
    }
    Ok(())
}

async fn insert_all(
    db: &Db,
    owner: &OwnerId,
    specs: Vec<EmployeeSpec>,
    now: Timestamp,
) -> Result<Vec<Employee>, AppError> {
    let sql = "INSERT INTO employees (id, owner_id, name, name_folded, department, salary, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    let mut created = Vec::with_capacity(specs.len());
    let mut tx = db.begin().await?;
    for EmployeeSpec { name, department, salary } in specs {
        let id = EmployeeId::parse(&secrets::make_id(now)).ok_or(AppError::Internal)?;
        execute!(tx, sql, &id, owner, &name, name.folded(), department.as_str(), salary, now)?;
        created.push(Employee { id, name, department, salary, created_at: now, updated_at: now });
    }
    tx.commit().await?;
    Ok(created)
}

/// Changes an employee of the user. `None` leaves a field as it is.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or it is somebody else's.
pub async fn update(
    db: &Db,
    owner: &OwnerId,
    (id, change): (&EmployeeId, Change),
    now: Timestamp,
) -> Result<Employee, AppError> {
    let mut conn = db.write().await?;
    let changed = fetch!(
        conn,
        optional Employee,
        "UPDATE employees SET name = COALESCE($3, name), name_folded = COALESCE($4, name_folded), \
         department = COALESCE($5, department), salary = COALESCE($6, salary), updated_at = $7 \
         WHERE id = $1 AND owner_id = $2 RETURNING id, name, department, salary, created_at, updated_at",
        id,
        owner,
        &change.name,
        change.name.as_ref().map(EmployeeName::folded),
        change.department.map(Department::as_str),
        change.salary,
        now
    )?;
    changed.ok_or(AppError::NotFound)
}

/// Changes an employee of the user by the form of the page.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, and as [`update`].
pub async fn edit(state: &AppState, owner: &OwnerId, id: &str, form: &EmployeeForm) -> Result<(), AppError> {
    let id = EmployeeId::parse(id).ok_or(AppError::NotFound)?;
    update(&state.db, owner, (&id, form.parse()?.into()), state.now()).await.map(|_| ())
}

/// What of an employee shall change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The new name.
    pub name: Option<EmployeeName>,
    /// The new department.
    pub department: Option<Department>,
    /// The new salary.
    pub salary: Option<Salary>,
}

impl From<EmployeeSpec> for Change {
    fn from(spec: EmployeeSpec) -> Self {
        Self { name: Some(spec.name), department: Some(spec.department), salary: Some(spec.salary) }
    }
}

/// Removes an employee of the user.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or it is somebody else's.
pub async fn delete(db: &Db, owner: &OwnerId, id: &EmployeeId) -> Result<(), AppError> {
    let mut conn = db.write().await?;
    match execute!(conn, "DELETE FROM employees WHERE id = $1 AND owner_id = $2", id, owner)? {
        0 => Err(AppError::NotFound),
        _ => Ok(()),
    }
}

/// The figures of a department.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Figures {
    /// Its short name.
    pub department: String,
    /// The sum of the salaries.
    pub total: i64,
    /// Their average.
    pub average: f64,
    /// How many work there.
    pub headcount: i64,
}

/// The figures of each department in which the user has somebody, by its short name.
///
/// # Errors
/// If the database does not answer.
pub async fn figures(db: &Db, owner: &OwnerId) -> Result<Vec<Figures>, AppError> {
    let mut conn = db.read().await?;
    // The casts: PostgreSQL adds up and averages to NUMERIC.
    let sql = "SELECT department, CAST(SUM(salary) AS BIGINT) AS total, \
               CAST(AVG(salary) AS DOUBLE PRECISION) AS average, COUNT(*) AS headcount \
               FROM employees WHERE owner_id = $1 GROUP BY department ORDER BY department";
    Ok(fetch!(conn, all Figures, sql, owner)?)
}

/// Made-up employees, two or three in each department.
#[must_use]
pub fn samples() -> Vec<EmployeeSpec> {
    use Department::{Engineering, Finance, Hr, Marketing, Sales};
    [
        ("Ada Lovelace", Engineering, 128_000),
        ("Grace Hopper", Engineering, 134_000),
        ("Edsger Dijkstra", Engineering, 117_500),
        ("Mary Parker Follett", Hr, 71_000),
        ("Lillian Gilbreth", Hr, 76_500),
        ("Luca Pacioli", Finance, 92_000),
        ("Abigail Adams", Finance, 98_500),
        ("Josiah Wedgwood", Marketing, 68_000),
        ("Helen Resor", Marketing, 83_000),
        ("Madam C. J. Walker", Sales, 88_000),
        ("Aristotle Onassis", Sales, 94_000),
        ("John Patterson", Sales, 65_500),
    ]
    .into_iter()
    .filter_map(|(name, department, salary)| {
        let (name, salary) = (EmployeeName::parse(name).ok()?, Salary::new(salary).ok()?);
        Some(EmployeeSpec { name, department, salary })
    })
    .collect()
}
