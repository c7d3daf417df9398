//! The administrators' pages: keys, users, registered APIs and the audit log. Anyone else gets 404.

pub mod apis;
pub mod audit;
pub mod keys;
pub mod users;

use leptos::prelude::*;

/// Links between the administrators' pages.
#[component]
fn AdminNav(current: &'static str) -> impl IntoView {
    let link = |(href, label): (&'static str, &'static str)| {
        view! { <a href=href class="tab" aria-current=(href == current).then_some("page")>{label}</a> }
    };
    let pages =
        [("/admin/keys", "Keys"), ("/admin/users", "Users"), ("/admin/apis", "APIs"), ("/admin/audit", "Audit")];
    view! { <nav class="tabs" aria-label="Administration">{pages.map(link).collect_view()}</nav> }
}
