//! The administrators' pages: keys, users and the audit log. Anyone else gets 404. Each change is a plain form that ends in a new
//! page.

pub mod audit;
pub mod keys;
pub mod users;

use leptos::prelude::*;

use super::QueryParams;

/// Returns the status message of the action that led to this page.
fn done() -> Signal<Option<String>> {
    let query = QueryParams::from_context();
    // Anyone can craft a link, so the query only selects a message and a number.
    let number = query.get("n").and_then(|n| n.parse::<u16>().ok());
    let sentence = match (query.get("done").as_deref(), number) {
        (Some("revoked"), Some(1)) => "1 key was revoked.".to_owned(),
        (Some("revoked"), Some(n)) => format!("{n} keys were revoked."),
        (Some("saved"), _) => "Key saved.".to_owned(),
        (Some("disable"), _) => "User disabled. Their sessions ended and their keys are rejected.".to_owned(),
        (Some("enable"), _) => "User enabled.".to_owned(),
        (Some("promote"), _) => "User is now a superuser.".to_owned(),
        (Some("demote"), _) => "User is no longer a superuser.".to_owned(),
        _ => return Signal::stored(None),
    };
    Signal::stored(Some(sentence))
}

/// Links between the administrators' pages.
#[component]
fn AdminNav(current: &'static str) -> impl IntoView {
    let link = |(href, label): (&'static str, &'static str)| {
        view! { <a href=href class="tab" aria-current=(href == current).then_some("page")>{label}</a> }
    };
    let pages = [("/admin/keys", "Keys"), ("/admin/users", "Users"), ("/admin/audit", "Audit")];
    view! { <nav class="tabs" aria-label="Administration">{pages.map(link).collect_view()}</nav> }
}
