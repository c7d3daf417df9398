//! Lists of employees and their figures. Reads that may be long are limited per owner and user, and run on other threads.

use super::employee;
use crate::error::AppError;
use crate::model::employees::{Department, DepartmentFigures, Employee, EmployeeId, EmployeeList, EmployeeQuery};
use crate::server::auth::key_format::search_term;
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
#[derive(Clone, Debug, Default)]
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

/// The tenant's employees as the page shows them, and the one that a dialog is about. A page past the end is the last one.
pub async fn page(state: &AppState, tenant: &Tenant, query: EmployeeQuery) -> Result<EmployeeList, AppError> {
    let about = query.about.as_deref().and_then(EmployeeId::parse);
    let order = Order::parse(&query.ordering);
    // The page repeats the query: nothing that was made up, and no key.
    let query = EmployeeQuery {
        search: search_term(query.search.trim()),
        department: query.department,
        ordering: if order.is_some() { query.ordering } else { String::new() },
        page: query.page.max(1),
        about: None,
    };
    let on_page = |page| Query {
        department: query.department,
        search: query.search.clone(),
        order: order.unwrap_or(Order::Name),
        page,
        page_size: PAGE_SIZE,
    };
    let about = match about {
        Some(id) => super::find(&state.db, &tenant.owner, &id).await?,
        None => None,
    };
    let (page, found) = if let Some(found) = list(state, tenant, &on_page(query.page)).await? {
        (query.page, found)
    } else {
        let first = list(state, tenant, &on_page(1)).await?.unwrap_or_default();
        let last = pages(first.count);
        let found = if last == 1 { Some(first) } else { list(state, tenant, &on_page(last)).await? };
        (last, found.unwrap_or_default())
    };
    Ok(EmployeeList { page, pages: pages(found.count), count: found.count, employees: found.employees, about, query })
}

fn pages(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).div_ceil(PAGE_SIZE).max(1)
}

/// The figures of each department in which the tenant has somebody, by its short name.
pub async fn figures(state: &AppState, tenant: &Tenant) -> Result<Vec<DepartmentFigures>, AppError> {
    let _permits = acquire_permits(state, tenant).await?;
    // The casts: PostgreSQL adds up and averages to NUMERIC.
    let sql = "SELECT department, CAST(SUM(salary) AS BIGINT) AS total, \
               CAST(AVG(salary) AS DOUBLE PRECISION) AS average, COUNT(*) AS headcount \
               FROM employees WHERE owner_id = $1 GROUP BY department ORDER BY department";
    let read = |row: Row<'_>| {
        Ok(DepartmentFigures {
            department: row.get("department")?,
            total: row.get("total")?,
            average: row.get("average")?,
            headcount: row.get("headcount")?,
        })
    };
    state.db.query(sql, params![tenant.owner], read).await
}
