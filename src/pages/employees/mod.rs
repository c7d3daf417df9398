//! `/employees` and `/a/{team}/employees`: the list, and the dialogs that add, edit and delete an employee.

mod dialogs;
mod figures;
mod table;

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use serde::{Deserialize, Serialize};

use self::figures::FigureSection;
use self::table::EmployeeListView;
use super::QueryParams;
use crate::error::AppError;
use crate::model::employees::{DepartmentFigures, EmployeeForm, EmployeeList};
use crate::ui::dialog::DialogTrigger;
use crate::ui::feedback::{FormError, FormErrors, LoadError};
use crate::ui::field::PageUser;
use crate::ui::layout::{BelowTheFold, PageHead, Section};

/// Returns a page of the employees of the signed-in user or of their team, and the one that a dialog is about, by its id. A
/// page past the end is the last page.
#[server(prefix = "/fn", endpoint = "list_employees")]
pub async fn list_employees(team: Option<String>, page: u32, about: Option<String>) -> Result<EmployeeList, AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    let query = crate::model::employees::EmployeeQuery { page, about, ..Default::default() };
    crate::server::employees::page(&state, &tenant, query).await
}

/// Adds an employee.
#[server(prefix = "/fn", endpoint = "add_employee")]
pub async fn add_employee(team: Option<String>, form: EmployeeForm) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::create(&state, &tenant, form.parse()?).await?;
    crate::server::redirect(&format!("{}?done=added", employees_path(team.as_deref())));
    Ok(())
}

/// Edits an employee.
#[server(prefix = "/fn", endpoint = "edit_employee")]
pub async fn edit_employee(team: Option<String>, id: String, form: EmployeeForm) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::edit(&state, &tenant, &id, &form).await?;
    crate::server::redirect(&format!("{}?done=saved", employees_path(team.as_deref())));
    Ok(())
}

/// Deletes an employee.
#[server(prefix = "/fn", endpoint = "delete_employee")]
pub async fn delete_employee(team: Option<String>, id: String) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    let id = crate::model::employees::EmployeeId::parse(&id).ok_or(AppError::NotFound)?;
    crate::server::employees::delete(&state, &tenant, &id).await?;
    crate::server::redirect(&format!("{}?done=deleted", employees_path(team.as_deref())));
    Ok(())
}

/// Adds sample employees to an empty list.
#[server(prefix = "/fn", endpoint = "load_sample_employees")]
pub async fn load_sample_employees(team: Option<String>) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::load_samples(&state, &tenant).await?;
    crate::server::redirect(&format!("{}?done=samples", employees_path(team.as_deref())));
    Ok(())
}

/// Returns the path of the page, for a team by its slug.
fn employees_path(team: Option<&str>) -> String {
    team.map_or_else(|| "/employees".to_owned(), |slug| format!("/a/{slug}/employees"))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmployeesData {
    pub list: Result<EmployeeList, AppError>,
    /// The figures of each department that has employees.
    pub figures: Result<Vec<DepartmentFigures>, AppError>,
    /// The slug of the team; `None` for the user's own employees.
    pub team: Option<String>,
}

/// `/employees` and `/a/{team}/employees`
#[component]
pub fn EmployeesPage(data: Memo<EmployeesData>) -> impl IntoView {
    // Another team is another page.
    let team = data.with_untracked(|data| data.team.clone());
    let path = employees_path(team.as_deref());
    let lead = match team {
        Some(_) => "The team's example data. The API reads and changes the same list.",
        None => "Your example data. The API reads and changes the same list.",
    };
    let query = QueryParams::from_context();
    let form = ListForm { path: path.clone(), team };
    let content = move || {
        let form = form.clone();
        match data.with(|data| data.list.clone()) {
            Ok(list) => view! { <EmployeeListView list address=query.get() form/> }.into_any(),
            Err(error) => view! { <LoadError what="Your employees" error/> }.into_any(),
        }
    };
    let figures = move || match data.with(|data| data.figures.clone()) {
        Ok(figures) if figures.is_empty() => ().into_any(),
        Ok(figures) => view! { <FigureSection figures/> }.into_any(),
        Err(error) => view! { <LoadError what="The figures" error/> }.into_any(),
    };
    let add = view! { <DialogTrigger path name="add" label="Add employee" class="btn btn-primary"/> };
    view! {
        <PageHead title="Employees" lead/>
        <Section id="employees-heading" title="All employees" action=add.into_any()>
            <FormError errors={FormErrors::of(LoadSampleEmployees::url())}/>
            {content}
        </Section>
        <BelowTheFold>{figures}</BelowTheFold>
    }
}

/// What the forms of the list share.
#[derive(Clone)]
struct ListForm {
    path: String,
    /// The slug of the team.
    team: Option<String>,
}

impl ListForm {
    /// Returns the hidden fields that every form has.
    fn fields(&self) -> impl IntoView + use<> {
        let team = self.team.clone().map(|slug| view! { <input type="hidden" name="team" value=slug/> });
        view! {
            <PageUser/>
            {team}
        }
    }
}
