//! Tables that become a list of cards on a small screen. Some screen readers ignore a table with another layout, so the
//! roles are explicit.

use leptos::prelude::*;

/// A table. An empty column is the column of actions.
#[component]
pub fn Table(
    label: &'static str,
    columns: Vec<&'static str>,
    /// The columns with right-aligned numbers.
    #[prop(optional)]
    numbers: &'static [&'static str],
    children: Children,
) -> impl IntoView {
    let heading = move |text: &'static str| match text {
        "" => view! { <th role="columnheader" scope="col"><span class="sr-only">"Actions"</span></th> }.into_any(),
        _ if numbers.contains(&text) => {
            view! { <th role="columnheader" scope="col" class="number">{text}</th> }.into_any()
        }
        _ => view! { <th role="columnheader" scope="col">{text}</th> }.into_any(),
    };
    let class = if columns.len() > 5 { "stack stack-wide" } else { "stack" };
    view! {
        <table class=class role="table" aria-label=label>
            <thead role="rowgroup">
                <tr role="row">{columns.into_iter().map(heading).collect_view()}</tr>
            </thead>
            <tbody role="rowgroup">{children()}</tbody>
        </table>
    }
}

/// A cell. In a card, its label is shown before it.
#[component]
pub fn Cell(label: &'static str, #[prop(optional)] class: &'static str, children: Children) -> impl IntoView {
    view! {
        <td role="cell" class=(!class.is_empty()).then_some(class) data-label=label>
            {children()}
        </td>
    }
}
