//! Employees: their queries. Each is read and written with its owner in the WHERE. Whether the caller may change them is
//! decided in the transaction that does it: [`Tenant::begin`].

mod lists;

pub use self::lists::{Figures, Order, Page, Query, figures, list, page};
use super::auth::random;
use super::auth::tenant::Tenant;
use super::db::{Db, Tx, execute, fetch};
use super::maintenance::fold_names::fold;
use super::state::AppState;
use crate::error::AppError;
use crate::model::employees::{
    Department, Employee, EmployeeForm, EmployeeId, EmployeeName, EmployeeSpec, OwnerId, Salary,
};
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;

/// One employee of the owner.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or it is somebody else's.
pub async fn get(db: &Db, owner: &OwnerId, id: &EmployeeId) -> Result<Employee, AppError> {
    find(db, owner, id).await?.ok_or(AppError::NotFound)
}

async fn find(db: &Db, owner: &OwnerId, id: &EmployeeId) -> Result<Option<Employee>, AppError> {
    let sql =
        "SELECT id, name, department, salary, created_at, updated_at FROM employees WHERE id = $1 AND owner_id = $2";
    let mut conn = db.read().await?;
    Ok(fetch!(conn, optional Employee, sql, id, owner)?)
}

/// Adds an employee.
///
/// # Errors
/// [`AppError::Invalid`] if the owner has as many as one may have, and as [`Tenant::begin`].
pub async fn create(state: &AppState, tenant: &Tenant, spec: EmployeeSpec) -> Result<Employee, AppError> {
    let now = state.now();
    let mut tx = tenant.begin(&state.db, now).await?;
    check_room(&mut tx, &tenant.owner, (1, state.config.max_employees)).await?;
    let mut created = insert(&mut tx, &tenant.owner, vec![spec], now).await?;
    tx.commit().await?;
    created.pop().ok_or(AppError::Internal)
}

/// Adds employees to an owner who has none, so that there is something to look at. Adds nothing to one who has some.
///
/// # Errors
/// As [`create`].
pub async fn load_samples(state: &AppState, tenant: &Tenant) -> Result<(), AppError> {
    let (samples, now) = (samples(), state.now());
    let mut tx = tenant.begin(&state.db, now).await?;
    let sql = "SELECT id FROM employees WHERE owner_id = $1 LIMIT 1";
    if fetch!(tx, optional(EmployeeId,), sql, &tenant.owner)?.is_none() {
        check_room(&mut tx, &tenant.owner, (samples.len(), state.config.max_employees)).await?;
        insert(&mut tx, &tenant.owner, samples, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Refuses more employees than there is room for. The transaction has locked the owner, so that two at once are counted one
/// after the other. Reads at most as many entries of an index as an owner may have employees.
async fn check_room(tx: &mut Tx, owner: &OwnerId, (more, limit): (usize, u32)) -> Result<(), AppError> {
    let (number,) = fetch!(tx, one(i64,), "SELECT COUNT(*) FROM employees WHERE owner_id = $1", owner)?;
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
///
/// # Errors
/// If the database does not answer.
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
        execute!(tx, sql, &id, owner, &name, fold(name.as_str()), department.as_str(), salary, now)?;
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
    let changed = fetch!(
        tx,
        optional Employee,
        "UPDATE employees SET name = COALESCE($3, name), name_folded = COALESCE($4, name_folded), \
         department = COALESCE($5, department), salary = COALESCE($6, salary), updated_at = $7 \
         WHERE id = $1 AND owner_id = $2 RETURNING id, name, department, salary, created_at, updated_at",
        id,
        &tenant.owner,
        &change.name,
        change.name.as_ref().map(|name| fold(name.as_str())),
        change.department.map(Department::as_str),
        change.salary,
        now
    )?;
    let changed = changed.ok_or(AppError::NotFound)?;
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
///
/// # Errors
/// As [`update`].
pub async fn delete(state: &AppState, tenant: &Tenant, id: &EmployeeId) -> Result<(), AppError> {
    let mut tx = tenant.begin(&state.db, state.now()).await?;
    if execute!(tx, "DELETE FROM employees WHERE id = $1 AND owner_id = $2", id, &tenant.owner)? == 0 {
        return Err(AppError::NotFound);
    }
    tx.commit().await?;
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
