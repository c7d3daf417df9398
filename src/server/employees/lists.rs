//! Lists of employees and their figures. Reads that may be long are limited per owner and user, and run on other threads.

use super::employee;
use crate::error::AppError;
use crate::model::employees::{Department, Employee, EmployeeId, EmployeeList};
use crate::server::auth::tenant::Tenant;
use crate::server::concurrency_limit::ReadPermit;
use crate::server::db::like;
use crate::server::db::row::{Param, Row, params};
use crate::server::state::AppState;

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

impl Query {
    /// Whether it reads the whole list. Then an index alone has the first page and the count.
    fn is_unfiltered(&self) -> bool {
        self.department.is_none() && self.search.trim().is_empty()
    }
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

            /// A page of the filtered list. Each order has its index, which begins with the owner.
            const fn sql(self) -> &'static str {
                match self {
                    $(Self::$name => concat!(
                        "SELECT ", columns!(), " FROM employees WHERE owner_id = $1 AND ($2 = '' OR department = $2) AND ($3 = '' OR name_folded LIKE $3 ESCAPE '\\') ORDER BY ",
                        $sql, " LIMIT $4 OFFSET $5"
                    ),)*
                }
            }

            /// The first page of the whole list. PostgreSQL reads it from the index in order. In its generic plan of the
            /// other statement it filters and sorts, because it cannot know that the conditions are empty.
            const fn first_page_sql(self) -> &'static str {
                match self {
                    $(Self::$name => concat!(
                        "SELECT ", columns!(), " FROM employees WHERE owner_id = $1 ORDER BY ", $sql, " LIMIT $2"
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

/// Returns a page of the tenant's employees; `None` past the end. An empty first page is no error.
pub async fn list(state: &AppState, tenant: &Tenant, query: &Query) -> Result<Option<Page>, AppError> {
    let department = query.department.map_or("", Department::as_str);
    let search = like(&query.search);
    let (limit, offset) = (i64::from(query.page_size), i64::from(query.page - 1) * i64::from(query.page_size));
    let (owner, search) = (tenant.owner.as_str(), search.as_str());
    let mut permits = None;
    let employees = if query.is_unfiltered() && query.page == 1 {
        state.db.query_inline(query.order.first_page_sql(), params![owner, limit], employee).await?
    } else {
        permits = Some(acquire_permits(state, tenant).await?);
        let params = params![owner, department, search, limit, offset];
        state.db.query(query.order.sql(), params, employee).await?
    };
    let found = i64::try_from(employees.len()).unwrap_or(i64::MAX);
    // A page that is neither full nor empty is the last, so the count is known.
    let count = if (1..limit).contains(&found) || (found == 0 && offset == 0) {
        offset + found
    } else {
        if permits.is_none() {
            permits = Some(acquire_permits(state, tenant).await?);
        }
        if query.is_unfiltered() {
            count(state, "SELECT COUNT(*) AS number FROM employees WHERE owner_id = $1", params![owner]).await?
        } else {
            let sql = "SELECT COUNT(*) AS number FROM employees WHERE owner_id = $1 AND ($2 = '' OR department = $2) \
                       AND ($3 = '' OR name_folded LIKE $3 ESCAPE '\\')";
            count(state, sql, params![owner, department, search]).await?
        }
    };
    drop(permits);
    Ok((offset == 0 || found > 0).then_some(Page { count, employees }))
}

async fn acquire_permits(state: &AppState, tenant: &Tenant) -> Result<(ReadPermit, Option<ReadPermit>), AppError> {
    state.read_concurrency.acquire_both(tenant.owner.as_str(), tenant.user_id().as_str()).await
}

async fn count(state: &AppState, sql: &'static str, params: &[Param<'_>]) -> Result<i64, AppError> {
    Ok(state.db.query(sql, params, |row| row.get("number")).await?.pop().unwrap_or_default())
}

/// How many employees the page shows at a time.
const PAGE_SIZE: u32 = 25;

/// The tenant's employees as the page shows them, by name, and the one that a dialog is about. A page past the end is the
/// last one.
pub async fn page(state: &AppState, tenant: &Tenant, page: u32, about: Option<&str>) -> Result<EmployeeList, AppError> {
    let query =
        |page| Query { department: None, search: String::new(), order: Order::Name, page, page_size: PAGE_SIZE };
    let about = match about.and_then(EmployeeId::parse) {
        Some(id) => super::find(&state.db, &tenant.owner, &id).await?,
        None => None,
    };
    let page = page.max(1);
    if let Some(found) = list(state, tenant, &query(page)).await? {
        return Ok(on_page(page, found, about));
    }
    let permits = acquire_permits(state, tenant).await?;
    let sql = "SELECT COUNT(*) AS number FROM employees WHERE owner_id = $1";
    let last = pages(count(state, sql, params![tenant.owner]).await?);
    drop(permits);
    let found = list(state, tenant, &query(last)).await?.unwrap_or(Page { count: 0, employees: Vec::new() });
    Ok(on_page(last, found, about))
}

fn on_page(page: u32, found: Page, about: Option<Employee>) -> EmployeeList {
    EmployeeList { page, pages: pages(found.count), count: found.count, employees: found.employees, about }
}

fn pages(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).div_ceil(PAGE_SIZE).max(1)
}

/// The figures of a department.
#[derive(Clone, Debug)]
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

/// The figures of each department in which the tenant has somebody, by its short name.
pub async fn figures(state: &AppState, tenant: &Tenant) -> Result<Vec<Figures>, AppError> {
    let _permits = acquire_permits(state, tenant).await?;
    // The casts: PostgreSQL adds up and averages to NUMERIC.
    let sql = "SELECT department, CAST(SUM(salary) AS BIGINT) AS total, \
               CAST(AVG(salary) AS DOUBLE PRECISION) AS average, COUNT(*) AS headcount \
               FROM employees WHERE owner_id = $1 GROUP BY department ORDER BY department";
    let read = |row: Row<'_>| {
        Ok(Figures {
            department: row.get("department")?,
            total: row.get("total")?,
            average: row.get("average")?,
            headcount: row.get("headcount")?,
        })
    };
    state.db.query(sql, params![tenant.owner], read).await
}
