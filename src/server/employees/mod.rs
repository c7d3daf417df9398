//! Employees: their queries. Each is read and written with its owner in the WHERE. Whether the caller may change them is
//! decided in the transaction that does it: [`Tenant::begin`].

/// The columns that [`employee`] reads.
macro_rules! columns {
    () => {
        "id, name, department, salary, created_at, updated_at"
    };
}

mod lists;

pub use self::lists::{Order, Page, Query, figures, list, page};
use super::auth::random;
use super::auth::tenant::Tenant;
use super::db::fold::fold;
use super::db::row::{Row, params};
use super::db::{Db, Tx};
use super::state::AppState;
use crate::error::AppError;
use crate::model::employees::{
    Department, Employee, EmployeeForm, EmployeeId, EmployeeName, EmployeeSpec, OwnerId, Salary,
};
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;

fn employee(row: Row<'_>) -> Result<Employee, AppError> {
    Ok(Employee {
        id: row.get("id")?,
        name: row.get("name")?,
        department: row.get("department")?,
        salary: row.get("salary")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// One employee of the owner.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or it is somebody else's.
pub async fn get(db: &Db, owner: &OwnerId, id: &EmployeeId) -> Result<Employee, AppError> {
    find(db, owner, id).await?.ok_or(AppError::NotFound)
}

async fn find(db: &Db, owner: &OwnerId, id: &EmployeeId) -> Result<Option<Employee>, AppError> {
    let sql = concat!("SELECT ", columns!(), " FROM employees WHERE id = $1 AND owner_id = $2");
    db.query_optional(sql, params![id, owner], employee).await
}

/// Adds an employee.
///
/// # Errors
/// [`AppError::Invalid`] if the owner has as many as one may have, and as [`Tenant::begin`].
pub async fn create(state: &AppState, tenant: &Tenant, spec: EmployeeSpec) -> Result<Employee, AppError> {
    let now = state.now();
    let mut tx = tenant.begin(&state.db, now).await?;
    check_limit(&mut tx, &tenant.owner, 1, state.config.max_employees).await?;
    let mut created = insert(&mut tx, &tenant.owner, vec![spec], now).await?;
    tx.commit().await?;
    created.pop().ok_or(AppError::Internal)
}

/// Adds employees to an owner who has none, so that there is something to look at. Adds nothing to one who has some.
pub async fn load_samples(state: &AppState, tenant: &Tenant) -> Result<(), AppError> {
    let (samples, now) = (samples(), state.now());
    let mut tx = tenant.begin(&state.db, now).await?;
    let sql = "SELECT id FROM employees WHERE owner_id = $1 LIMIT 1";
    let found: Option<EmployeeId> = tx.query_optional(sql, params![tenant.owner], |row| row.get("id")).await?;
    if found.is_none() {
        check_limit(&mut tx, &tenant.owner, samples.len(), state.config.max_employees).await?;
        insert(&mut tx, &tenant.owner, samples, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Rejects employees beyond the limit. The transaction has locked the owner, so two at once are counted one after the
/// other.
async fn check_limit(tx: &mut Tx, owner: &OwnerId, more: usize, limit: u32) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS number FROM employees WHERE owner_id = $1";
    let number: i64 = tx.query_one(sql, params![owner], |row| row.get("number")).await?;
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    if number.saturating_add(more) <= i64::from(limit) {
        return Ok(());
    }
    let sentence = match number {
        0 => format!("{limit} employees are the most that one list may have, and these are {more}."),
        _ => format!("The list has {number} employees, and {limit} is the most. Delete some first."),
    };
    Err(FieldErrors::whole(sentence).into())
}

/// Adds employees within a transaction, and checks nothing.
pub async fn insert(
    tx: &mut Tx,
    owner: &OwnerId,
    specs: Vec<EmployeeSpec>,
    now: Timestamp,
) -> Result<Vec<Employee>, AppError> {
    let sql = "INSERT INTO employees (id, owner_id, name, name_folded, department, salary, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    let mut created = Vec::with_capacity(specs.len());
    for EmployeeSpec { name, department, salary } in specs {
        let id = EmployeeId::parse(&random::make_id(now)).ok_or(AppError::Internal)?;
        tx.execute(sql, params![id, owner, name, fold(name.as_str()), department, salary, now]).await?;
        created.push(Employee { id, name, department, salary, created_at: now, updated_at: now });
    }
    Ok(created)
}

/// Changes an employee. `None` leaves a field as it is.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or it is somebody else's; and as [`Tenant::begin`].
pub async fn update(state: &AppState, tenant: &Tenant, id: &EmployeeId, change: Change) -> Result<Employee, AppError> {
    let now = state.now();
    let mut tx = tenant.begin(&state.db, now).await?;
    let sql = concat!(
        "UPDATE employees SET name = COALESCE($3, name), name_folded = COALESCE($4, name_folded), \
         department = COALESCE($5, department), salary = COALESCE($6, salary), updated_at = $7 \
         WHERE id = $1 AND owner_id = $2 RETURNING ",
        columns!()
    );
    let Change { name, department, salary } = change;
    let folded = name.as_ref().map(|name| fold(name.as_str()));
    let params = params![id, tenant.owner, name, folded, department, salary, now];
    let changed = tx.query_optional(sql, params, employee).await?.ok_or(AppError::NotFound)?;
    tx.commit().await?;
    Ok(changed)
}

/// Changes an employee by the form of the page.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, and as [`update`].
pub async fn edit(state: &AppState, tenant: &Tenant, id: &str, form: &EmployeeForm) -> Result<(), AppError> {
    let id = EmployeeId::parse(id).ok_or(AppError::NotFound)?;
    update(state, tenant, &id, form.parse()?.into()).await.map(|_| ())
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

/// Removes an employee.
pub async fn delete(state: &AppState, tenant: &Tenant, id: &EmployeeId) -> Result<(), AppError> {
    let mut tx = tenant.begin(&state.db, state.now()).await?;
    let sql = "DELETE FROM employees WHERE id = $1 AND owner_id = $2";
    if tx.execute(sql, params![id, tenant.owner]).await? == 0 {
        return Err(AppError::NotFound);
    }
    tx.commit().await?;
    Ok(())
}

/// Returns the next employees of an owner for an export, oldest first, after the one that was created at `after.0` with the id
/// `after.1`.
pub async fn batch(db: &Db, owner: &OwnerId, after: (i64, &str)) -> Result<Vec<Employee>, AppError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM employees WHERE owner_id = $1 AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT 500"
    );
    db.query(sql, params![owner, after.0, after.1], employee).await
}

/// Deletes all employees of an owner that no longer exists, in batches that let others write in between.
pub async fn delete_all(db: &Db, owner: &str) -> Result<(), AppError> {
    let sql =
        "DELETE FROM employees WHERE owner_id = $1 AND id IN (SELECT id FROM employees WHERE owner_id = $1 LIMIT 1000)";
    while db.execute(sql, params![owner]).await? > 0 {}
    Ok(())
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
