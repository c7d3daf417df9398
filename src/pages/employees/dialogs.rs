//! The dialogs that add, edit and delete an employee.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{AddEmployee, DeleteEmployee, EditEmployee, ListForm};
use crate::model::employees::{Department, Employee};
use crate::model::link::Parameters;
use crate::ui::dialog::{Cancel, Dialog, close_to};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::{Field, Select, SelectOption};

#[component]
pub fn AddDialog(form: ListForm, kept: Parameters) -> impl IntoView {
    let close = close_to(&form.path, &kept);
    view! {
        <Dialog id="add-employee" title="Add employee" on_dismiss=close>
            <form method="post" action=AddEmployee::url() class="form" id="employee-form">
                {form.fields()}
                <EmployeeFields errors=FormErrors::of(AddEmployee::url()) employee=None/>
            </form>
            <DialogFoot back=form.path kept label="Add"/>
        </Dialog>
    }
}

#[component]
pub fn EditDialog(employee: Employee, form: ListForm, kept: Parameters) -> impl IntoView {
    let close = close_to(&form.path, &kept);
    view! {
        <Dialog id="edit-employee" title="Edit employee" on_dismiss=close>
            <form method="post" action=EditEmployee::url() class="form" id="employee-form">
                {form.fields()}
                <input type="hidden" name="id" value=employee.id.to_string()/>
                <EmployeeFields errors=FormErrors::of(EditEmployee::url()) employee=Some(employee)/>
            </form>
            <DialogFoot back=form.path kept label="Save"/>
        </Dialog>
    }
}

#[component]
pub fn DeleteDialog(employee: Employee, form: ListForm, kept: Parameters) -> impl IntoView {
    let close = close_to(&form.path, &kept);
    view! {
        <Dialog id="delete-employee" title="Delete this employee?" alert=true on_dismiss=close>
            <p><strong><bdi>{employee.name.as_str().to_owned()}</bdi></strong> " will be deleted. You can't undo this."</p>
            <FormError errors=FormErrors::of(DeleteEmployee::url())/>
            <div class="dialog-foot">
                <Cancel back=form.path.clone() kept autofocus=true/>
                <form method="post" action=DeleteEmployee::url()>
                    {form.fields()}
                    <input type="hidden" name="id" value=employee.id.to_string()/>
                    <button class="btn btn-error">"Delete employee"</button>
                </form>
            </div>
        </Dialog>
    }
}

#[component]
fn EmployeeFields(errors: FormErrors, employee: Option<Employee>) -> impl IntoView {
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
fn DialogFoot(back: String, kept: Parameters, label: &'static str) -> impl IntoView {
    view! {
        <div class="dialog-foot">
            <Cancel back kept/>
            <button class="btn btn-primary" form="employee-form">{label}</button>
        </div>
    }
}
