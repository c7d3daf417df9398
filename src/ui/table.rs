//! Tables that become a list of cards on a small screen. The roles are spelled out, for a table that is not laid out as
//! one is no table to some screen readers.

use leptos::prelude::*;

/// A table. `columns` are the headings; an empty last one is that of the actions.
#[component]
pub fn Table(label: &'static str, columns: Vec<&'static str>, children: Children) -> impl IntoView {
    let heading = |text: &'static str| match text {
        "" => view! { <th role="columnheader" scope="col"><span class="sr-only">"Actions"</span></th> }.into_any(),
        "Salary" | "Let through" | "Refused" => {
            view! { <th role="columnheader" scope="col" class="number">{text}</th> }.into_any()
        }
        _ => view! { <th role="columnheader" scope="col">{text}</th> }.into_any(),
    };
    let class = if columns.len() > 6 { "stack stack-wide" } else { "stack" };
    view! {
        <table class=class role="table" aria-label=label>
            <thead role="rowgroup">
                <tr role="row">{columns.into_iter().map(heading).collect_view()}</tr>
            </thead>
            <tbody role="rowgroup">{children()}</tbody>
        </table>
    }
}

/// A cell. `label` stands before it where the row is a card.
#[component]
pub fn Cell(label: &'static str, #[prop(optional)] class: &'static str, children: Children) -> impl IntoView {
    view! {
        <td role="cell" class=class data-label=label>
            {children()}
        </td>
    }
}
