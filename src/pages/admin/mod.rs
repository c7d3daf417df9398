//! The administrators' pages: all keys, all users, the audit. For everybody else nothing is there. What is looked for stands in
//! the address; each change is a form, and ends in a new page.

pub mod audit;
pub mod keys;
pub mod users;

use leptos::prelude::*;

use super::QueryParams;
use crate::ui::field::Hidden;

/// What the page before did, told on this one.
fn done() -> Signal<Option<String>> {
    let asked = QueryParams::here();
    // Anybody can write a link: all that is taken from one is which sentence, and a number.
    let number = asked.get("n").and_then(|n| n.parse::<u16>().ok());
    let sentence = match (asked.get("done").as_deref(), number) {
        (Some("revoked"), Some(1)) => "One key is revoked.".to_owned(),
        (Some("revoked"), Some(n)) => format!("{n} keys are revoked."),
        (Some("saved"), _) => "The key is changed.".to_owned(),
        (Some("disable"), _) => "The account is disabled: its sessions have ended and its keys are refused.".to_owned(),
        (Some("enable"), _) => "The account is enabled again.".to_owned(),
        (Some("promote"), _) => "They are a superuser now.".to_owned(),
        (Some("demote"), _) => "They are a superuser no more.".to_owned(),
        _ => return Signal::stored(None),
    };
    Signal::stored(Some(sentence))
}

/// The three pages, for one to lead to the others.
#[component]
fn AdminNav(current: &'static str) -> impl IntoView {
    let link = |(href, label): (&'static str, &'static str)| {
        view! { <a href=href class="tab" aria-current=(href == current).then_some("page")>{label}</a> }
    };
    let pages = [("/admin/keys", "Keys"), ("/admin/users", "Users"), ("/admin/audit", "Audit")];
    view! { <nav class="tabs" aria-label="Administration">{pages.map(link).collect_view()}</nav> }
}

/// The way to the rows that follow, and back to the first.
#[component]
pub fn NextPage(
    #[prop(into)] path: String,
    asked: Vec<(&'static str, String)>,
    name: &'static str,
    next: Option<String>,
) -> impl IntoView {
    let later = QueryParams::here().get(name).filter(|value| !value.is_empty());
    let (kept, action) = (asked.clone(), path.clone());
    let first = later.map(|_| {
        view! { <form method="get" action=action><Hidden fields=kept/><button class="btn btn-sm">"First page"</button></form> }
    });
    let next = next.map(|next| {
        view! {
            <form method="get" action=path>
                <Hidden fields=asked/>
                <input type="hidden" name=name value=next/>
                <button class="btn btn-sm">"Next page"</button>
            </form>
        }
    });
    view! { <nav class="pages" aria-label="Pages">{first}{next}</nav> }
}
