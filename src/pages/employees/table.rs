//! The list of employees.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::dialogs::{AddDialog, DeleteDialog, EditDialog};
use super::{DeleteEmployee, EditEmployee, ListForm, LoadSampleEmployees};
use crate::model::employees::{Department, Employee, EmployeeList, EmployeeQuery};
use crate::model::link::{Parameters, link_to};
use crate::pages::QueryParams;
use crate::ui::dialog::{DialogTriggers, RowTrigger};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::{Field, Hidden, Select, SelectOption};
use crate::ui::table::Cell;

#[component]
pub fn EmployeeListView(list: EmployeeList, address: QueryParams, form: ListForm) -> impl IntoView {
    let EmployeeList { employees, page, pages, count, about, query } = list;
    let known = |id: &str| employees.iter().chain(&about).find(|known| known.id.as_str() == id).cloned();
    // Where the employee is gone, the error of the form shows in place of its dialog.
    let gone = |action| view! { <FormError errors=FormErrors::of(action)/> }.into_any();
    let kept = query.parameters();
    let (shared, below) = (form.clone(), kept.clone());
    let dialog = match (address.get("add"), address.get("edit"), address.get("delete")) {
        (Some(_), ..) => view! { <AddDialog form=shared kept=below/> }.into_any(),
        (_, Some(id), _) => match known(&id) {
            Some(employee) => view! { <EditDialog employee form=shared kept=below/> }.into_any(),
            None => gone(EditEmployee::url()),
        },
        (.., Some(id)) => match known(&id) {
            Some(employee) => view! { <DeleteDialog employee form=shared kept=below/> }.into_any(),
            None => gone(DeleteEmployee::url()),
        },
        _ => ().into_any(),
    };
    let path = form.path.clone();
    let is_filtered = !query.search.is_empty() || query.department.is_some();
    let table = match (count, is_filtered) {
        (0, false) => view! {
            <div class="empty">
                <p>"There are no employees yet. Add one, or load twelve made-up employees."</p>
                <form method="post" action=LoadSampleEmployees::url()>
                    {form.fields()}
                    <button class="btn">"Load sample employees"</button>
                </form>
            </div>
        }
        .into_any(),
        (0, true) => {
            let clear = path.clone();
            view! {
                <div class="empty">
                    <p>"No employees match your search."</p>
                    <a class="btn btn-sm" href=clear>"Clear the search"</a>
                </div>
            }
            .into_any()
        }
        _ => {
            let (path, query) = (path.clone(), query.clone());
            view! { <EmployeeTable employees path query/> }.into_any()
        }
    };
    let search = (count > 0 || is_filtered).then(|| {
        let (path, query) = (path.clone(), query.clone());
        view! { <SearchForm path query/> }
    });
    view! {
        {search}
        {table}
        <Pages page pages count path kept/>
        {dialog}
    }
}

#[component]
fn SearchForm(path: String, query: EmployeeQuery) -> impl IntoView {
    let all = SelectOption::new("", "All departments");
    let departments = Department::ALL.map(|department| SelectOption::new(department.as_str(), department.label()));
    let selected = query.department.map_or("", Department::as_str);
    view! {
        <form method="get" action=path class="form-row" role="search">
            <Field id="search" name="search" label="Search" kind="search" value=query.search required=false hint="Part of a name."/>
            <Select
                id="department"
                name="department"
                label="Department"
                options=[all].into_iter().chain(departments).collect()
                selected
            />
            <Hidden fields=vec![("ordering", query.ordering)]/>
            <button class="btn">"Search"</button>
        </form>
    }
}

#[component]
fn EmployeeTable(employees: Vec<Employee>, path: String, query: EmployeeQuery) -> impl IntoView {
    let kept = query.parameters();
    let columns = [("Name", "name"), ("Department", "department"), ("Salary", "salary")];
    let sort = columns.map(|(label, column)| sort_link(&path, &query, label, column));
    let ordering = if query.ordering.is_empty() { "name".to_owned() } else { query.ordering.clone() };
    let sorted = columns.map(|(_, column)| match ordering.strip_prefix('-') {
        _ if ordering == column => Some("ascending"),
        Some(descending) if descending == column => Some("descending"),
        _ => None,
    });
    let row = move |employee: Employee| {
        let (id, name_id) = (employee.id.to_string(), format!("employee-{}", employee.id));
        let trigger = |name: &'static str, label: &'static str| {
            view! { <RowTrigger name id=id.clone() describes=name_id.clone() label/> }
        };
        let (edit, delete) = (trigger("edit", "Edit"), trigger("delete", "Delete"));
        view! {
            <tr role="row">
                <td role="cell" data-label="Name" class="wide"><bdi id=name_id.clone()>{employee.name.as_str().to_owned()}</bdi></td>
                <Cell label="Department">{employee.department.label()}</Cell>
                <Cell label="Salary" class="number">{employee.salary.to_string()}</Cell>
                <Cell label="" class="actions">{edit}{delete}</Cell>
            </tr>
        }
    };
    let [by_name, by_department, by_salary] = sort;
    view! {
        <DialogTriggers path kept>
            <table class="stack" role="table" aria-label="Employees">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col" aria-sort=sorted[0]>{by_name}</th>
                        <th role="columnheader" scope="col" aria-sort=sorted[1]>{by_department}</th>
                        <th role="columnheader" scope="col" class="number" aria-sort=sorted[2]>{by_salary}</th>
                        <th role="columnheader" scope="col"><span class="sr-only">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{employees.into_iter().map(row).collect_view()}</tbody>
            </table>
        </DialogTriggers>
    }
}

/// A column heading that sorts by the column, and the other way round where the list is sorted by it.
fn sort_link(path: &str, query: &EmployeeQuery, label: &'static str, column: &'static str) -> impl IntoView + use<> {
    let is_default = column == "name" && query.ordering.is_empty();
    let (ordering, arrow) = match query.ordering.as_str() {
        current if current == column || is_default => (format!("-{column}"), " ↑"),
        current if current.strip_prefix('-') == Some(column) => (column.to_owned(), " ↓"),
        _ => (column.to_owned(), ""),
    };
    let query = EmployeeQuery { ordering, ..query.clone() };
    let href = link_to(path, &query.parameters());
    view! { <a class="sort" href=href>{label}<span aria-hidden="true">{arrow}</span></a> }
}

/// Links to the previous and the next page.
#[component]
fn Pages(page: u32, pages: u32, count: i64, path: String, kept: Parameters) -> impl IntoView {
    let to = |page: u32, label: &'static str| {
        let parameters: Vec<_> = kept.iter().cloned().chain([("page", page.to_string())]).collect();
        view! { <a class="btn btn-sm" href=link_to(&path, &parameters)>{label}</a> }
    };
    (pages > 1).then(|| {
        view! {
            <nav class="pages" aria-label="Pages">
                {(page > 1).then(|| to(page - 1, "Previous"))}
                <span>{format!("Page {page} of {pages}, {count} employees")}</span>
                {(page < pages).then(|| to(page + 1, "Next"))}
            </nav>
        }
    })
}
