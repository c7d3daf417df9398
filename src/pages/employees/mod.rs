//! `/employees` and `/a/{team}/employees`: the list, and the dialogs that add, edit and delete an employee.

mod dialogs;
mod table;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use self::dialogs::AddDialog;
use self::table::EmployeeListView;
use super::QueryParams;
use crate::error::AppError;
use crate::model::employees::{EmployeeForm, EmployeeList};
use crate::ui::dialog::DialogTrigger;
use crate::ui::feedback::{ActionErrors, FormError, LoadError};
use crate::ui::layout::{PageHead, Section};
use crate::ui::refetch::refetching_signal;

/// Returns a page of the employees of the signed-in user or of their team, and the one that a dialog is about, by its id. A
/// page past the end is the last page.
#[server(prefix = "/fn", endpoint = "list_employees")]
pub async fn list_employees(team: Option<String>, page: u32, about: Option<String>) -> Result<EmployeeList, AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::page(&state, &tenant, page, about.as_deref()).await
}

/// Adds an employee.
#[server(prefix = "/fn", endpoint = "add_employee")]
pub async fn add_employee(team: Option<String>, form: EmployeeForm) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::create(&state, &tenant, form.parse()?).await?;
    crate::server::redirect_if_no_js(&employees_path(team.as_deref()));
    Ok(())
}

/// Edits an employee.
#[server(prefix = "/fn", endpoint = "edit_employee")]
pub async fn edit_employee(team: Option<String>, id: String, form: EmployeeForm) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::edit(&state, &tenant, &id, &form).await?;
    crate::server::redirect_if_no_js(&employees_path(team.as_deref()));
    Ok(())
}

/// Deletes an employee.
#[server(prefix = "/fn", endpoint = "delete_employee")]
pub async fn delete_employee(team: Option<String>, id: String) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    let id = crate::model::employees::EmployeeId::parse(&id).ok_or(AppError::NotFound)?;
    crate::server::employees::delete(&state, &tenant, &id).await?;
    crate::server::redirect_if_no_js(&employees_path(team.as_deref()));
    Ok(())
}

/// Adds sample employees to an empty list.
#[server(prefix = "/fn", endpoint = "load_sample_employees")]
pub async fn load_sample_employees(team: Option<String>) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::load_samples(&state, &tenant).await
}

/// Returns the path of the page, for a team by its slug.
fn employees_path(team: Option<&str>) -> String {
    team.map_or_else(|| "/employees".to_owned(), |slug| format!("/a/{slug}/employees"))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmployeesData {
    pub list: Result<EmployeeList, AppError>,
    /// The slug of the team; `None` for the user's own employees.
    pub team: Option<String>,
}

/// `/employees` and `/a/{team}/employees`
#[component]
pub fn EmployeesPage(data: EmployeesData) -> impl IntoView {
    let EmployeesData { list, team } = data;
    let lead = match team {
        Some(_) => "The team's example data. The API reads and changes the same list.",
        None => "Your example data. The API reads and changes the same list.",
    };
    view! {
        <PageHead title="Employees" lead/>
        <EmployeeSection list team/>
    }
}

/// The open dialog, with the id of its employee.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OpenDialog {
    Nothing,
    Add,
    Edit(String),
    Delete(String),
}

impl OpenDialog {
    fn employee_id(self) -> Option<String> {
        match self {
            Self::Nothing | Self::Add => None,
            Self::Edit(id) | Self::Delete(id) => Some(id),
        }
    }
}

#[derive(Clone, Copy)]
struct Actions {
    add: ServerAction<AddEmployee>,
    edit: ServerAction<EditEmployee>,
    delete: ServerAction<DeleteEmployee>,
    load: ServerAction<LoadSampleEmployees>,
    /// The slug of the team.
    team: StoredValue<Option<String>>,
}

impl Actions {
    fn path(self) -> String {
        self.team.with_value(|team| employees_path(team.as_deref()))
    }
}

/// The hidden field with the team.
#[component]
fn TeamInput(actions: Actions) -> impl IntoView {
    actions.team.get_value().map(|slug| view! { <input type="hidden" name="team" value=slug/> })
}

#[component]
fn EmployeeSection(list: Result<EmployeeList, AppError>, team: Option<String>) -> impl IntoView {
    let query = QueryParams::from_context();
    let open = RwSignal::new(match (query.get("add"), query.get("edit"), query.get("delete")) {
        (Some(_), ..) => OpenDialog::Add,
        (_, Some(id), _) => OpenDialog::Edit(id),
        (.., Some(id)) => OpenDialog::Delete(id),
        _ => OpenDialog::Nothing,
    });
    let page = list.as_ref().map_or(1, |list| list.page);
    let actions = Actions {
        add: ServerAction::new(),
        edit: ServerAction::new(),
        delete: ServerAction::new(),
        load: ServerAction::new(),
        team: StoredValue::new(team),
    };
    let changes = move || {
        let changed = (actions.add.version().get(), actions.edit.version().get());
        (changed, actions.delete.version().get(), actions.load.version().get())
    };
    let employees = refetching_signal(list, changes, move |_| {
        list_employees(actions.team.get_value(), page, open.get_untracked().employee_id())
    });
    let succeeded = move || {
        [actions.add.value().get(), actions.edit.value().get(), actions.delete.value().get()].contains(&Some(Ok(())))
    };
    Effect::new(move |_| {
        if succeeded() {
            open.set(OpenDialog::Nothing);
        }
    });
    let open_dialog = move |dialog: OpenDialog| {
        actions.add.clear();
        actions.edit.clear();
        actions.delete.clear();
        open.set(dialog);
    };
    let open_dialog = Callback::new(open_dialog);
    let on_open = Callback::new(move |()| open_dialog.run(OpenDialog::Add));
    view! {
        <Section
            id="employees-heading"
            title="All employees"
            action=view! { <DialogTrigger path=actions.path() name="add" label="Add employee" class="btn btn-primary" on_open/> }.into_any()
        >
            <FormError errors=ActionErrors::of(actions.load)/>
            {move || match employees.get() {
                Ok(list) => view! { <EmployeeListView list open open_dialog actions/> }.into_any(),
                Err(error) => view! { <LoadError what="Your employees" error/> }.into_any(),
            }}
        </Section>
        <Show when=move || open.get() == OpenDialog::Add>
            <AddDialog open actions/>
        </Show>
    }
}
