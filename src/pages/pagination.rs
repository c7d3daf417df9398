//! Links to the other pages of a list.

use leptos::prelude::*;

use super::QueryParams;
use crate::ui::field::Hidden;

/// Buttons to the next page of a list and back to the first. `cursor` is the parameter that says where a page begins.
#[component]
pub fn NextPage(
    #[prop(into)] path: String,
    /// The parameters that every page of the list keeps.
    #[prop(optional)]
    filter: Vec<(&'static str, String)>,
    #[prop(default = "after")] cursor: &'static str,
    next: Option<String>,
) -> impl IntoView {
    let is_later_page = QueryParams::from_context().with_untracked(|query| !query.text(cursor).is_empty());
    let (first_filter, first_path) = (filter.clone(), path.clone());
    let first = is_later_page.then(|| {
        view! {
            <form method="get" action=first_path>
                <Hidden fields=first_filter/>
                <button class="btn btn-sm">"First page"</button>
            </form>
        }
    });
    let next = next.map(|next| {
        view! {
            <form method="get" action=path>
                <Hidden fields=filter/>
                <input type="hidden" name=cursor value=next/>
                <button class="btn btn-sm">"Next page"</button>
            </form>
        }
    });
    view! { <nav class="pages" aria-label="Pages">{first}{next}</nav> }
}
