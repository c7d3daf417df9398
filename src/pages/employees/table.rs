//! The list of employees.

use leptos::prelude::*;

use super::dialogs::{DeleteDialog, EditDialog};
use super::{Actions, OpenDialog, TeamInput};
use crate::model::employees::{Employee, EmployeeList};
use crate::ui::dialog::DialogTrigger;
use crate::ui::feedback::{ActionErrors, FormError};
use crate::ui::field::PageUser;
use crate::ui::table::{Cell, Table};

#[component]
pub fn EmployeeListView(
    list: EmployeeList,
    open: RwSignal<OpenDialog>,
    open_dialog: Callback<OpenDialog>,
    actions: Actions,
) -> impl IntoView {
    let EmployeeList { employees, page, pages, count, about } = list;
    let all: Vec<_> = employees.iter().cloned().chain(about).collect();
    let all = StoredValue::new(all);
    let find = move |id: &str| all.with_value(|all| all.iter().find(|known| known.id.as_str() == id).cloned());
    // Where the employee is gone, the error of the action shows in place of its dialog.
    let dialog = move || match open.get() {
        OpenDialog::Edit(id) => match find(&id) {
            Some(employee) => view! { <EditDialog employee open actions/> }.into_any(),
            None => view! { <FormError errors=ActionErrors::of(actions.edit)/> }.into_any(),
        },
        OpenDialog::Delete(id) => match find(&id) {
            Some(employee) => view! { <DeleteDialog employee open actions/> }.into_any(),
            None => view! { <FormError errors=ActionErrors::of(actions.delete)/> }.into_any(),
        },
        OpenDialog::Add | OpenDialog::Nothing => ().into_any(),
    };
    let table = if count == 0 {
        view! {
            <div class="empty">
                <p>"There are no employees yet. Add one, or load twelve made-up employees."</p>
                <ActionForm action=actions.load>
                    <PageUser/>
                    <TeamInput actions/>
                    <button class="btn" disabled=move || actions.load.pending().get()>"Load sample employees"</button>
                </ActionForm>
            </div>
        }
        .into_any()
    } else {
        view! { <EmployeeTable employees open_dialog actions/> }.into_any()
    };
    view! {
        {table}
        <Pages page pages count path=actions.path()/>
        {dialog}
    }
}

#[component]
fn EmployeeTable(employees: Vec<Employee>, open_dialog: Callback<OpenDialog>, actions: Actions) -> impl IntoView {
    let row = move |employee: Employee| {
        let (id, name_id) = (employee.id.to_string(), format!("employee-{}", employee.id));
        let (edited, deleted) = (id.clone(), id.clone());
        let edit = Callback::new(move |()| open_dialog.run(OpenDialog::Edit(edited.clone())));
        let delete = Callback::new(move |()| open_dialog.run(OpenDialog::Delete(deleted.clone())));
        let class = "btn btn-sm";
        view! {
            <tr role="row">
                <td role="cell" data-label="Name" class="wide"><bdi id=name_id.clone()>{employee.name.as_str().to_owned()}</bdi></td>
                <Cell label="Department">{employee.department.label()}</Cell>
                <Cell label="Salary" class="number">{employee.salary.to_string()}</Cell>
                <Cell label="" class="actions">
                    <DialogTrigger path=actions.path() name="edit" value=id.clone() label="Edit" class describes=name_id.clone() on_open=edit/>
                    <DialogTrigger path=actions.path() name="delete" value=id label="Delete" class describes=name_id on_open=delete/>
                </Cell>
            </tr>
        }
    };
    view! {
        <Table label="Employees" columns=vec!["Name", "Department", "Salary", ""] numbers=&["Salary"]>
            {employees.into_iter().map(row).collect_view()}
        </Table>
    }
}

/// Links to the previous and the next page.
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
