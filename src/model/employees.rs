//! Employees, the example data of the API.

use serde::{Deserialize, Serialize};

use super::fields::FieldErrors;
use super::link::Parameters;
use super::teams::TeamId;
use super::text::{short_text, shown, thousands};
use super::time::Timestamp;
use super::users::UserId;

super::id! {
    /// The id of an employee.
    EmployeeId
}

/// The owner of data: the id of a user or of a team. UUIDs of the two never collide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerId(String);

impl OwnerId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&UserId> for OwnerId {
    fn from(id: &UserId) -> Self {
        Self(id.as_str().to_owned())
    }
}

impl From<&TeamId> for OwnerId {
    fn from(id: &TeamId) -> Self {
        Self(id.as_str().to_owned())
    }
}

/// An employee of a user or a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Employee {
    pub id: EmployeeId,
    pub name: EmployeeName,
    pub department: Department,
    pub salary: Salary,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The fields of an employee that a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmployeeSpec {
    pub name: EmployeeName,
    pub department: Department,
    pub salary: Salary,
}

/// The name of an employee: one line of 1 to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmployeeName(String);

impl EmployeeName {
    /// Validates a typed name.
    pub fn parse(raw: &str) -> Result<Self, String> {
        short_text(raw, "Give the employee a name.").map(Self)
    }

    /// Accepts a stored name. Earlier versions stored names that are rejected today. Their invisible characters are made visible.
    pub fn stored(raw: &str) -> Self {
        Self(shown(raw))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EmployeeName {
    fn from(raw: String) -> Self {
        Self::stored(&raw)
    }
}

/// A department. The wire and the database use its short name: `hr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Department {
    Hr,
    Finance,
    Engineering,
    Marketing,
    Sales,
}

impl Department {
    pub const ALL: [Self; 5] = [Self::Hr, Self::Finance, Self::Engineering, Self::Marketing, Self::Sales];

    /// Returns the short name: `hr`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::Finance => "finance",
            Self::Engineering => "engineering",
            Self::Marketing => "marketing",
            Self::Sales => "sales",
        }
    }

    /// Returns the label: `Human Resources`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hr => "Human Resources",
            Self::Finance => "Finance",
            Self::Engineering => "Engineering",
            Self::Marketing => "Marketing",
            Self::Sales => "Sales",
        }
    }

    /// Parses a short name.
    pub fn parse(raw: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|department| department.as_str() == raw)
            .ok_or_else(|| format!("Choose one of {}.", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl TryFrom<String> for Department {
    type Error = String;

    fn try_from(raw: String) -> Result<Self, String> {
        Self::parse(&raw)
    }
}

/// A yearly salary in whole units of the currency, 0 to 2,147,483,647.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salary(i64);

impl Salary {
    const MAX: i64 = 2_147_483_647;

    pub fn new(amount: i64) -> Result<Self, String> {
        if (0..=Self::MAX).contains(&amount) {
            Ok(Self(amount))
        } else {
            Err(format!("Enter a salary from 0 to {}.", Self::MAX))
        }
    }

    /// Validates the typed text.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let amount = raw.trim().parse().map_err(|_| "Enter the salary as a whole number, such as 52000.".to_owned());
        amount.and_then(Self::new)
    }

    pub const fn amount(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for Salary {
    /// Writes a thin space between thousands: `52 000`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&thousands(self.0))
    }
}

/// The form of an employee, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EmployeeForm {
    pub name: String,
    /// The short name of a [`Department`].
    pub department: String,
    pub salary: String,
}

impl EmployeeForm {
    /// Validates all fields at once.
    pub fn parse(&self) -> Result<EmployeeSpec, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("name", EmployeeName::parse(&self.name));
        let department = errors.take("department", Department::parse(&self.department));
        let salary = errors.take("salary", Salary::parse(&self.salary));
        match (name, department, salary) {
            (Some(name), Some(department), Some(salary)) => Ok(EmployeeSpec { name, department, salary }),
            _ => Err(errors),
        }
    }
}

/// Which employees a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmployeeQuery {
    /// Part of a name.
    pub search: String,
    pub department: Option<Department>,
    /// The order, as in `?ordering=` of the API: `-salary`. Anything else sorts by name.
    pub ordering: String,
    /// The number of the page, from 1.
    pub page: u32,
    /// The id of the employee that the open dialog is about.
    pub about: Option<String>,
}

impl EmployeeQuery {
    /// Returns the parameters of the address that every page of the list keeps.
    pub fn parameters(&self) -> Parameters {
        let department = self.department.map_or("", Department::as_str);
        [("search", self.search.as_str()), ("department", department), ("ordering", &self.ordering)]
            .map(|(name, value)| (name, value.to_owned()))
            .into()
    }
}

/// The figures of a department.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepartmentFigures {
    pub department: Department,
    /// The sum of the salaries.
    pub total: i64,
    /// Their average.
    pub average: f64,
    pub headcount: i64,
}

/// A page of employees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmployeeList {
    pub employees: Vec<Employee>,
    /// The number of the page, from 1.
    pub page: u32,
    /// The number of pages, at least 1.
    pub pages: u32,
    /// The number of employees on all pages.
    pub count: i64,
    /// The employee that the open dialog is about. The page may not contain it.
    pub about: Option<Employee>,
    /// The query, without anything that looks like a key.
    pub query: EmployeeQuery,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_tells_all_that_is_wrong_at_once() {
        let form = EmployeeForm { name: " ".into(), department: "cleaning".into(), salary: "12.5".into() };
        let errors = form.parse().unwrap_err();
        for field in ["name", "department", "salary"] {
            assert!(errors.first(field).is_some(), "{field}");
        }
    }

    #[test]
    fn a_salary_is_whole_and_not_negative() {
        assert!(Salary::parse("-1").is_err());
        assert!(Salary::parse("2147483648").is_err());
        assert_eq!(Salary::parse(" 52000 ").unwrap().to_string(), "52\u{202f}000");
        assert_eq!(Salary::parse("999").unwrap().to_string(), "999");
    }
}
