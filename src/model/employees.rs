//! Employees: the example data that the API hands out.

use serde::{Deserialize, Serialize};

use super::fields::{FieldErrors, short_text};
use super::teams::TeamId;
use super::text::shown;
use super::time::Timestamp;
use super::users::UserId;

super::id! {
    /// Which employee.
    EmployeeId
}

/// Whose an employee is: a user's or a team's. Their ids never meet, for no two UUIDs do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "ssr", derive(sqlx::Type))]
#[cfg_attr(feature = "ssr", sqlx(transparent))]
pub struct OwnerId(String);

impl OwnerId {
    /// The id as text.
    #[must_use]
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

/// Somebody who works for a user or a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::FromRow))]
pub struct Employee {
    /// Its id.
    pub id: EmployeeId,
    /// The name.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub name: EmployeeName,
    /// The department.
    #[cfg_attr(feature = "ssr", sqlx(try_from = "String"))]
    pub department: Department,
    /// The yearly salary.
    pub salary: Salary,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When the record was last changed.
    pub updated_at: Timestamp,
}

/// What a caller says of an employee; the rest is the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmployeeSpec {
    /// The name.
    pub name: EmployeeName,
    /// The department.
    pub department: Department,
    /// The yearly salary.
    pub salary: Salary,
}

/// An employee's name: 1 to 100 characters on one line, trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(sqlx::Type))]
#[cfg_attr(feature = "ssr", sqlx(transparent))]
pub struct EmployeeName(String);

impl EmployeeName {
    /// Takes what was typed or sent.
    ///
    /// # Errors
    /// A sentence that says how to mend it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        short_text(raw, "Give the employee a name.").map(Self)
    }

    /// Takes what the database has. Older versions took names that are refused today; they are shown without what is hidden in them.
    #[must_use]
    pub fn stored(raw: &str) -> Self {
        Self(shown(raw))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EmployeeName {
    /// As [`EmployeeName::stored`].
    fn from(raw: String) -> Self {
        Self::stored(&raw)
    }
}

/// A department. On the wire and in the database its short name stands, as `hr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Department {
    /// Human Resources.
    Hr,
    /// Finance.
    Finance,
    /// Engineering.
    Engineering,
    /// Marketing.
    Marketing,
    /// Sales.
    Sales,
}

impl Department {
    /// All of them, in the order of their choice.
    pub const ALL: [Self; 5] = [Self::Hr, Self::Finance, Self::Engineering, Self::Marketing, Self::Sales];

    /// The short name: `hr`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::Finance => "finance",
            Self::Engineering => "engineering",
            Self::Marketing => "marketing",
            Self::Sales => "sales",
        }
    }

    /// The name for people: `Human Resources`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hr => "Human Resources",
            Self::Finance => "Finance",
            Self::Engineering => "Engineering",
            Self::Marketing => "Marketing",
            Self::Sales => "Sales",
        }
    }

    /// Takes a short name.
    ///
    /// # Errors
    /// A sentence that lists the departments there are.
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
#[cfg_attr(feature = "ssr", derive(sqlx::Type))]
#[cfg_attr(feature = "ssr", sqlx(transparent))]
pub struct Salary(i64);

impl Salary {
    const MAX: i64 = 2_147_483_647;

    /// Takes a number.
    ///
    /// # Errors
    /// A sentence that says how to mend it.
    pub fn new(amount: i64) -> Result<Self, String> {
        if (0..=Self::MAX).contains(&amount) {
            Ok(Self(amount))
        } else {
            Err(format!("Give a salary from 0 to {}.", Self::MAX))
        }
    }

    /// Takes what was typed.
    ///
    /// # Errors
    /// A sentence that says how to mend it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let amount = raw.trim().parse().map_err(|_| "Give the salary as a whole number, such as 52000.".to_owned());
        amount.and_then(Self::new)
    }

    /// The number.
    #[must_use]
    pub const fn amount(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for Salary {
    /// With a thin space between thousands: `52 000`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.char_indices() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// The form of an employee, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EmployeeForm {
    /// The name.
    pub name: String,
    /// The department's short name.
    pub department: String,
    /// The yearly salary.
    pub salary: String,
}

impl EmployeeForm {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// What is wrong, field by field.
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

/// A page of employees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmployeeList {
    /// Those of this page.
    pub employees: Vec<Employee>,
    /// Which page, from 1.
    pub page: u32,
    /// How many pages there are, at least 1.
    pub pages: u32,
    /// How many employees there are on all pages.
    pub count: i64,
    /// The one that a dialog of the page is about, on whatever page it is.
    pub about: Option<Employee>,
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
