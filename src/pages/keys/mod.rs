//! The section "API keys" of the profile page.

pub mod create;
mod dialogs;
pub mod reveal;
pub mod table;

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use self::create::CreateDialog;
use self::dialogs::{RevokeDialog, RotateDialog};
use self::reveal::{NewKeyDialog, NewKeyShown, page_with};
use self::table::KeyTable;
use super::QueryParams;
use super::pagination::NextPage;
use super::usage::UsageDialog;
use crate::error::AppError;
use crate::model::keys::{
    KeyEntry, KeyFacts, KeyForm, KeyList, KeySlice, NewKey, OwnKeyQuery, RotateForm, StateFilter,
};
use crate::ui::dialog::DialogTrigger;
use crate::ui::feedback::{FormError, FormErrors, LoadError};
use crate::ui::field::{Field, Select, SelectOption};
use crate::ui::layout::Section;

/// Returns a page of the signed-in user's keys, and the key that a dialog is about, by its id.
#[server(prefix = "/fn", endpoint = "list_keys")]
pub async fn list_keys(query: OwnKeyQuery) -> Result<KeyList, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::page(&state, &session, query).await
}

/// Creates a key and returns it, this once.
#[server(prefix = "/fn", endpoint = "create_key")]
pub async fn create_key(form: KeyForm) -> Result<NewKey, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::create_from_form(&state, &session, &form).await
}

/// Rotates a key and returns the new secret, this once.
#[server(prefix = "/fn", endpoint = "rotate_key")]
pub async fn rotate_key(form: RotateForm) -> Result<NewKey, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::rotation::rotate_own(&state, &session, &form).await
}

/// Revokes a key. Revoking a revoked key is not an error.
#[server(prefix = "/fn", endpoint = "revoke_key")]
pub async fn revoke_key(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::revoke_own(&state, &session, &id).await?;
    crate::server::redirect("/profile?done=revoked");
    Ok(())
}

/// The address that the form "Create API key" is sent to.
pub const CREATE_PATH: &str = "/profile/keys";
/// The address that the form "Rotate" is sent to.
pub const ROTATE_PATH: &str = "/profile/keys/rotate";

/// The dialog that the URL selects, with the id of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OpenDialog {
    Nothing,
    Create,
    Rotate(String),
    Revoke(String),
    Usage(String),
}

impl OpenDialog {
    fn from_query(query: &QueryParams) -> Self {
        match (query.get("create"), query.get("rotate"), query.get("revoke"), query.get("usage")) {
            (Some(_), ..) => Self::Create,
            (_, Some(id), ..) => Self::Rotate(id),
            (_, _, Some(id), _) => Self::Revoke(id),
            (.., Some(id)) => Self::Usage(id),
            _ => Self::Nothing,
        }
    }
}

#[component]
pub fn KeySection(keys: Memo<Result<KeyList, AppError>>) -> impl IntoView {
    let query = QueryParams::from_context();
    let NewKeyShown(new_key) = NewKeyShown::from_context();
    let dialogs = move || {
        let list = keys.get();
        match (new_key.get(), list) {
            (Some(new), Ok(list)) => {
                let back = page_with(&new, "/profile");
                view! { <NewKeyDialog new origin=list.origin back/> }.into_any()
            }
            (None, Ok(list)) => view! { <Dialogs list query=query.get()/> }.into_any(),
            (_, Err(_)) => ().into_any(),
        }
    };
    let opener = view! { <DialogTrigger path="/profile" name="create" label="Create key" class="btn btn-primary"/> };
    view! {
        <Section id="keys-heading" title="API keys" action=opener.into_any()>
            <p class="quiet">"A key lets a program call the API as you. Treat it like a password."</p>
            {move || match keys.get() {
                Ok(list) => view! { <KeyListView list/> }.into_any(),
                Err(error) => view! { <LoadError what="Your keys" error/> }.into_any(),
            }}
            {dialogs}
        </Section>
    }
}

/// Lists of more keys than this have a search.
const SEARCH_FROM: usize = 10;

#[component]
fn KeyListView(list: KeyList) -> impl IntoView {
    let KeyList { keys, next, query, leaked, more_leaked, now, .. } = list;
    let is_long = keys.len() > SEARCH_FROM || next.is_some() || query.is_filtered() || !query.after.is_empty();
    let new = QueryParams::from_context().with_untracked(|address| address.text("new"));
    let (filter, kept) = (query.filter(), query.parameters());
    let table = match (keys.is_empty(), query.is_filtered()) {
        (false, _) => view! { <KeyTable keys now kept new/> }.into_any(),
        (true, true) => view! {
            <div class="empty">
                <p>"No keys match your search."</p>
                <a class="btn btn-sm" href="/profile">"Clear the search"</a>
            </div>
        }
        .into_any(),
        (true, false) => {
            view! { <p class="empty">"You have no keys yet. Create one to call the API from a program."</p> }.into_any()
        }
    };
    view! {
        <LeakNotices leaked more_leaked/>
        {is_long.then(|| view! { <SearchForm query/> })}
        {table}
        <NextPage path="/profile" filter next/>
    }
}

/// The search of the list. It is sent as a body so that a pasted key never gets into an address: its prefix does.
#[component]
fn SearchForm(query: OwnKeyQuery) -> impl IntoView {
    let states = StateFilter::ALL.map(|state| SelectOption::new(state.as_str(), state.label()));
    view! {
        <form method="post" action="/profile" class="form-row" role="search">
            <Field id="search" name="search" label="Search" kind="search" value=query.search required=false hint="Part of a name, or a key."/>
            <Select id="state" name="state" label="Status" options=states.into() selected=query.state.as_str()/>
            <button class="btn">"Search"</button>
        </form>
    }
}

/// The open dialog. Where its key is gone, the error of its form shows in its place.
#[component]
fn Dialogs(list: KeyList, query: QueryParams) -> impl IntoView {
    let KeyList { keys, about, teams, apis, now, form_id, query: search, .. } = list;
    let keys = KeySlice { keys, next: None, about: about.map(|about| *about) };
    let find_usable = |id: &str| keys.find(id).filter(|entry| entry.key.revoked_at.is_none()).cloned();
    let kept = search.parameters();
    match OpenDialog::from_query(&query) {
        OpenDialog::Nothing => ().into_any(),
        OpenDialog::Create => view! { <CreateDialog now form_id teams apis kept/> }.into_any(),
        OpenDialog::Rotate(id) => find_usable(&id).map(|entry| view! { <RotateDialog entry now kept/> }).into_any(),
        OpenDialog::Revoke(id) => match find_usable(&id) {
            Some(entry) => view! { <RevokeDialog entry now kept/> }.into_any(),
            None => view! { <FormError errors=FormErrors::of(RevokeKey::url())/> }.into_any(),
        },
        OpenDialog::Usage(id) => {
            let dialog = |entry: &KeyEntry| {
                let (days, name) = (entry.usage(now), entry.key.name.as_str().to_owned());
                view! { <UsageDialog days subject="The key" name path="/profile" kept/> }
            };
            keys.find(&id).map(dialog).into_any()
        }
    }
}

/// Alerts for keys that were reported as leaked.
#[component]
fn LeakNotices(leaked: Vec<KeyFacts>, more_leaked: bool) -> impl IntoView {
    let notice = |key: KeyFacts| {
        view! {
            <div class="notice" role="alert">
                <p>
                    "The key " <strong><bdi>{key.name.as_str().to_owned()}</bdi></strong> " (" <code>{key.prefix} "…"</code>
                    ") was reported as leaked, so it was revoked. If you still need it, create a new key."
                </p>
            </div>
        }
    };
    let more = more_leaked.then(|| {
        view! { <p>"More of your keys were reported as leaked. Search for the status \"Revoked\" to see them."</p> }
    });
    view! {
        {leaked.into_iter().map(notice).collect_view()}
        {more}
    }
}
