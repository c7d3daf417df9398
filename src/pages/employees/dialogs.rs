//! The dialogs that add, edit and delete an employee.

use leptos::prelude::*;

use super::{Actions, OpenDialog, TeamInput};
use crate::model::employees::{Department, Employee};
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::feedback::{ActionErrors, FormError};
use crate::ui::field::{Field, PageUser, Select, SelectOption};

#[component]
pub fn AddDialog(open: RwSignal<OpenDialog>, actions: Actions) -> impl IntoView {
    let action = actions.add;
    let close = Callback::new(move |()| open.set(OpenDialog::Nothing));
    view! {
        <Dialog id="add-employee" title="Add employee" on_dismiss=close>
            <ActionForm action attr:class="form" attr:id="employee-form">
                <PageUser/>
                <TeamInput actions/>
                <EmployeeFields errors=ActionErrors::of(action) employee=None/>
            </ActionForm>
            <DialogFoot back=actions.path() pending=action.pending() label="Add" close/>
        </Dialog>
    }
}

#[component]
pub fn EditDialog(employee: Employee, open: RwSignal<OpenDialog>, actions: Actions) -> impl IntoView {
    let action = actions.edit;
    let close = Callback::new(move |()| open.set(OpenDialog::Nothing));
    view! {
        <Dialog id="edit-employee" title="Edit employee" on_dismiss=close>
            <ActionForm action attr:class="form" attr:id="employee-form">
                <PageUser/>
                <TeamInput actions/>
                <input type="hidden" name="id" value=employee.id.to_string()/>
                <EmployeeFields errors=ActionErrors::of(action) employee=Some(employee)/>
            </ActionForm>
            <DialogFoot back=actions.path() pending=action.pending() label="Save" close/>
        </Dialog>
    }
}

#[component]
pub fn DeleteDialog(employee: Employee, open: RwSignal<OpenDialog>, actions: Actions) -> impl IntoView {
    let action = actions.delete;
    let close = Callback::new(move |()| open.set(OpenDialog::Nothing));
    view! {
        <Dialog id="delete-employee" title="Delete this employee?" alert=true on_dismiss=close>
            <p><strong><bdi>{employee.name.as_str().to_owned()}</bdi></strong> " will be deleted. You can't undo this."</p>
            <FormError errors=ActionErrors::of(action)/>
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
fn EmployeeFields(errors: ActionErrors, employee: Option<Employee>) -> impl IntoView {
    let departments = Department::ALL.map(|department| SelectOption::new(department.as_str(), department.label()));
    let (name, department, salary) = employee.map_or_else(
        || (String::new(), Department::Hr, String::new()),
        |employee| (employee.name.as_str().to_owned(), employee.department, employee.salary.amount().to_string()),
    );
    view! {
        <FormError errors/>
        <Field
            id="employee-name"
            name="form[name]"
            label="Name"
            value=name
            autofocus=true
            error=errors.at("name")
        />
        <Select
            id="employee-department"
            name="form[department]"
            label="Department"
            options=departments.into()
            selected=department.as_str()
            error=errors.at("department")
        />
        <Field
            id="employee-salary"
            name="form[salary]"
            label="Salary"
            kind="number"
            value=salary
            hint="Per year, in whole units of your currency."
            error=errors.at("salary")
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
