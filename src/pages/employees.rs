//! The employees page: the list, and the dialogs that add, change and remove one.

use leptos::prelude::*;

use super::{QueryParams, refetching_signal};
use crate::error::AppError;
use crate::model::employees::{Department, Employee, EmployeeForm, EmployeeList};
use crate::ui::dialog::{Cancel, Dialog, Opener};
use crate::ui::field::{Choice, Field, PageUser};
use crate::ui::layout::{PageHead, Section};
use crate::ui::notice::{FormProblem, LoadProblem, Problems};
use crate::ui::table::{Cell, Table};

/// Returns a page of the employees of the signed-in user or of their team, by name, and the one that a dialog is about, by its
/// id. A page past the end is the last one.
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

/// Changes an employee.
#[server(prefix = "/fn", endpoint = "edit_employee")]
pub async fn edit_employee(team: Option<String>, id: String, form: EmployeeForm) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::edit(&state, &tenant, &id, &form).await?;
    crate::server::redirect_if_no_js(&employees_path(team.as_deref()));
    Ok(())
}

/// Removes an employee.
#[server(prefix = "/fn", endpoint = "delete_employee")]
pub async fn delete_employee(team: Option<String>, id: String) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    let id = crate::model::employees::EmployeeId::parse(&id).ok_or(AppError::NotFound)?;
    crate::server::redirect_if_no_js(&employees_path(team.as_deref()));
    crate::server::employees::delete(&state, &tenant, &id).await
}

/// Adds made-up employees where there are none.
#[server(prefix = "/fn", endpoint = "load_sample_employees")]
pub async fn load_sample_employees(team: Option<String>) -> Result<(), AppError> {
    let (state, tenant) = crate::server::auth::signed_in_for(team.as_deref()).await?;
    crate::server::employees::load_samples(&state, &tenant).await
}

/// The path of the page: of one's own employees, or of a team's by its slug.
fn employees_path(team: Option<&str>) -> String {
    team.map_or_else(|| "/employees".to_owned(), |slug| format!("/a/{slug}/employees"))
}

/// `/employees`, and `/a/{team}/employees`
#[component]
pub fn EmployeesPage(list: Result<EmployeeList, AppError>, team: Option<String>) -> impl IntoView {
    let lead = match team {
        Some(_) => "Example data of the team. The API reads and changes the same list.",
        None => "Example data of your own. The API reads and changes the same list.",
    };
    view! {
        <PageHead title="Employees" lead/>
        <EmployeeSection list team/>
    }
}

/// Which dialog is open.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Add,
    Edit(String),
    Delete(String),
}

impl Open {
    /// The id of the employee that it is about.
    fn about(self) -> Option<String> {
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
    /// The team whose employees they are, by its slug.
    team: StoredValue<Option<String>>,
}

impl Actions {
    fn path(self) -> String {
        self.team.with_value(|team| employees_path(team.as_deref()))
    }
}

/// The team in a form; nothing for one's own.
#[component]
fn TeamInput(actions: Actions) -> impl IntoView {
    actions.team.get_value().map(|slug| view! { <input type="hidden" name="team" value=slug/> })
}

#[component]
fn EmployeeSection(list: Result<EmployeeList, AppError>, team: Option<String>) -> impl IntoView {
    let asked = QueryParams::here();
    let open = RwSignal::new(match (asked.get("add"), asked.get("edit"), asked.get("delete")) {
        (Some(_), ..) => Open::Add,
        (_, Some(id), _) => Open::Edit(id),
        (.., Some(id)) => Open::Delete(id),
        _ => Open::Nothing,
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
        list_employees(actions.team.get_value(), page, open.get_untracked().about())
    });
    let succeeded = move || {
        [actions.add.value().get(), actions.edit.value().get(), actions.delete.value().get()].contains(&Some(Ok(())))
    };
    Effect::new(move |_| {
        if succeeded() {
            open.set(Open::Nothing);
        }
    });
    let start = move |wanted: Open| {
        actions.add.clear();
        actions.edit.clear();
        actions.delete.clear();
        open.set(wanted);
    };
    let start = Callback::new(start);
    let on_open = Callback::new(move |()| start.run(Open::Add));
    view! {
        <Section
            id="employees-heading"
            title="All employees"
            action=view! { <Opener path=actions.path() name="add" label="Add employee" class="btn btn-primary" on_open/> }.into_any()
        >
            <FormProblem problems=Problems::of(actions.load)/>
            {move || match employees.get() {
                Ok(list) => view! { <EmployeeListView list open start actions/> }.into_any(),
                Err(error) => view! { <LoadProblem what="Your employees" error/> }.into_any(),
            }}
        </Section>
        <Show when=move || open.get() == Open::Add>
            <AddDialog open actions/>
        </Show>
    }
}

#[component]
fn EmployeeListView(
    list: EmployeeList,
    open: RwSignal<Open>,
    start: Callback<Open>,
    actions: Actions,
) -> impl IntoView {
    let EmployeeList { employees, page, pages, count, about } = list;
    let all: Vec<_> = employees.iter().cloned().chain(about).collect();
    let all = StoredValue::new(all);
    let find = move |wanted: &str| all.with_value(|all| all.iter().find(|one| one.id.as_str() == wanted).cloned());
    let dialog = move || match open.get() {
        Open::Edit(id) => find(&id).map(|employee| view! { <EditDialog employee open actions/> }.into_any()),
        Open::Delete(id) => find(&id).map(|employee| view! { <DeleteDialog employee open actions/> }.into_any()),
        Open::Add | Open::Nothing => None,
    };
    let table = if count == 0 {
        view! {
            <div class="empty">
                <p>"There are no employees yet. Add one, or begin with twelve made-up ones."</p>
                <ActionForm action=actions.load>
                    <PageUser/>
                    <TeamInput actions/>
                    <button class="btn" disabled=move || actions.load.pending().get()>"Load sample employees"</button>
                </ActionForm>
            </div>
        }
        .into_any()
    } else {
        view! { <EmployeeTable employees start actions/> }.into_any()
    };
    view! {
        {table}
        <Pages page pages count path=actions.path()/>
        {dialog}
    }
}

#[component]
fn EmployeeTable(employees: Vec<Employee>, start: Callback<Open>, actions: Actions) -> impl IntoView {
    let row = move |employee: Employee| {
        let (id, name_id) = (employee.id.to_string(), format!("employee-{}", employee.id));
        let (edited, deleted) = (id.clone(), id.clone());
        let edit = Callback::new(move |()| start.run(Open::Edit(edited.clone())));
        let delete = Callback::new(move |()| start.run(Open::Delete(deleted.clone())));
        let class = "btn btn-sm";
        view! {
            <tr role="row">
                <td role="cell" data-label="Name" class="wide"><bdi id=name_id.clone()>{employee.name.as_str().to_owned()}</bdi></td>
                <Cell label="Department">{employee.department.label()}</Cell>
                <Cell label="Salary" class="number">{employee.salary.to_string()}</Cell>
                <Cell label="" class="actions">
                    <Opener path=actions.path() name="edit" value=id.clone() label="Edit" class describes=name_id.clone() on_open=edit/>
                    <Opener path=actions.path() name="delete" value=id label="Delete" class describes=name_id on_open=delete/>
                </Cell>
            </tr>
        }
    };
    view! {
        <Table label="Employees" columns=vec!["Name", "Department", "Salary", ""]>
            {employees.into_iter().map(row).collect_view()}
        </Table>
    }
}

/// The way to the other pages of a list, where there are some.
#[component]
fn Pages(page: u32, pages: u32, count: i64, path: String) -> impl IntoView {
    let link =
        |to: u32, label: &'static str| view! { <a class="btn btn-sm" href=format!("{path}?page={to}")>{label}</a> };
    (pages > 1).then(|| {
        view! {
            <nav class="pages" aria-label="Pages">
                {(page > 1).then(|| link(page - 1, "Previous"))}
                <span>{format!("Page {page} of {pages}, {count} employees")}</span>
                {(page < pages).then(|| link(page + 1, "Next"))}
            </nav>
        }
    })
}

#[component]
fn AddDialog(open: RwSignal<Open>, actions: Actions) -> impl IntoView {
    let action = actions.add;
    let close = Callback::new(move |()| open.set(Open::Nothing));
    view! {
        <Dialog id="add-employee" title="Add employee" on_dismiss=close>
            <ActionForm action attr:class="form" attr:id="employee-form">
                <PageUser/>
                <TeamInput actions/>
                <EmployeeFields problems=Problems::of(action) employee=None/>
            </ActionForm>
            <DialogFoot back=actions.path() pending=action.pending() label="Add" close/>
        </Dialog>
    }
}

#[component]
fn EditDialog(employee: Employee, open: RwSignal<Open>, actions: Actions) -> impl IntoView {
    let action = actions.edit;
    let close = Callback::new(move |()| open.set(Open::Nothing));
    view! {
        <Dialog id="edit-employee" title="Edit employee" on_dismiss=close>
            <ActionForm action attr:class="form" attr:id="employee-form">
                <PageUser/>
                <TeamInput actions/>
                <input type="hidden" name="id" value=employee.id.to_string()/>
                <EmployeeFields problems=Problems::of(action) employee=Some(employee)/>
            </ActionForm>
            <DialogFoot back=actions.path() pending=action.pending() label="Save" close/>
        </Dialog>
    }
}

#[component]
fn DeleteDialog(employee: Employee, open: RwSignal<Open>, actions: Actions) -> impl IntoView {
    let action = actions.delete;
    let close = Callback::new(move |()| open.set(Open::Nothing));
    view! {
        <Dialog id="delete-employee" title="Delete this employee?" alert=true on_dismiss=close>
            <p><strong><bdi>{employee.name.as_str().to_owned()}</bdi></strong> " is removed from the list. This cannot be undone."</p>
            <FormProblem problems=Problems::of(action)/>
            <div class="dialog-foot">
                <Cancel back=actions.path() autofocus=true on_cancel=close/>
                <ActionForm action>
                    <PageUser/>
                    <TeamInput actions/>
                    <input type="hidden" name="id" value=employee.id.to_string()/>
                    <button class="btn btn-error" disabled=move || action.pending().get()>"Delete employee"</button>
                </ActionForm>
            </div>
        </Dialog>
    }
}

#[component]
fn EmployeeFields(problems: Problems, employee: Option<Employee>) -> impl IntoView {
    let departments = Department::ALL.map(|one| (one.as_str().to_owned(), one.label().to_owned()));
    let (name, department, salary) = employee.map_or_else(
        || (String::new(), Department::Hr, String::new()),
        |one| (one.name.as_str().to_owned(), one.department, one.salary.amount().to_string()),
    );
    view! {
        <FormProblem problems/>
        <Field
            id="employee-name"
            name="form[name]"
            label="Name"
            value=name
            autofocus=true
            error=problems.at("name")
        />
        <Choice
            id="employee-department"
            name="form[department]"
            label="Department"
            options=departments.to_vec()
            selected=department.as_str()
            error=problems.at("department")
        />
        <Field
            id="employee-salary"
            name="form[salary]"
            label="Salary"
            kind="number"
            value=salary
            hint="A year's, in whole units of your currency."
            error=problems.at("salary")
        />
    }
}

#[component]
fn DialogFoot(
    back: String,
    #[prop(into)] pending: Signal<bool>,
    label: &'static str,
    close: Callback<()>,
) -> impl IntoView {
    view! {
        <div class="dialog-foot">
            <Cancel back on_cancel=close/>
            <button class="btn btn-primary" form="employee-form" disabled=move || pending.get()>{label}</button>
        </div>
    }
}
