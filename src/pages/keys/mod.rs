//! The section "API keys" of the profile page.

pub mod create;
mod dialogs;
pub mod reveal;
pub mod table;

use leptos::prelude::*;

use self::create::CreateDialog;
use self::dialogs::{RevokeDialog, RotateDialog, UsageDialog};
use self::reveal::NewKeyDialog;
use self::table::KeyTable;
use super::QueryParams;
use super::pagination::NextPage;
use super::reauth::Reauth;
use crate::error::AppError;
use crate::model::keys::{KeyEntry, KeyFacts, KeyForm, KeyList, KeySlice, NewKey, RotateForm};
use crate::model::teams::Membership;
use crate::model::time::Timestamp;
use crate::ui::dialog::DialogTrigger;
use crate::ui::feedback::{ActionErrors, FormError, LoadError, StatusMessage};
use crate::ui::layout::Section;
use crate::ui::refetch::refetching_signal;

/// Returns a page of the signed-in user's keys, and the key that a dialog is about, by its id.
#[server(prefix = "/fn", endpoint = "list_keys")]
pub async fn list_keys(revoked: bool, after: Option<String>, about: Option<String>) -> Result<KeyList, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let (after, about) = (after.as_deref().unwrap_or_default(), about.as_deref().unwrap_or_default());
    let query = crate::server::keys::OwnQuery { revoked, after, about };
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
    crate::server::redirect_if_no_js("/profile");
    Ok(())
}

/// The open dialog, with the id of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenDialog {
    Nothing,
    Create,
    Rotate(String),
    Revoke(String),
    Usage(String),
}

impl OpenDialog {
    fn key_id(self) -> Option<String> {
        match self {
            Self::Nothing | Self::Create => None,
            Self::Rotate(id) | Self::Revoke(id) | Self::Usage(id) => Some(id),
        }
    }

    fn from_query(query: &QueryParams) -> Self {
        let one_of = [("rotate", Self::Rotate as fn(String) -> Self), ("revoke", Self::Revoke), ("usage", Self::Usage)];
        let about = one_of.into_iter().find_map(|(name, open)| query.get(name).map(open));
        about.unwrap_or_else(|| query.get("create").map_or(Self::Nothing, |_| Self::Create))
    }
}

/// The state of the section.
#[derive(Clone, Copy)]
struct SectionState {
    open: RwSignal<OpenDialog>,
    /// The new key while it is shown. Nothing else holds it.
    new_key: RwSignal<Option<NewKey>>,
    revoked_shown: RwSignal<bool>,
    /// The cursor of this page of the list.
    after: StoredValue<Option<String>>,
    create: ServerAction<CreateKey>,
    rotate: ServerAction<RotateKey>,
    revoke: ServerAction<RevokeKey>,
}

#[component]
pub fn KeySection(keys: Result<KeyList, AppError>) -> impl IntoView {
    let query = QueryParams::from_context();
    let section = SectionState {
        open: RwSignal::new(OpenDialog::from_query(&query)),
        new_key: RwSignal::new(None),
        revoked_shown: RwSignal::new(query.get("revoked").is_some()),
        after: StoredValue::new(query.get("after")),
        create: ServerAction::new(),
        rotate: ServerAction::new(),
        revoke: ServerAction::new(),
    };
    let reauth = Reauth::from_context();
    reauth.retry_after_reauth(ActionErrors::of(section.create));
    reauth.retry_after_reauth(ActionErrors::of(section.rotate));
    let seen_count = RwSignal::new(0);
    // Refetch after a revocation, and after a new key was seen. Its dialog is part of the list, so not earlier.
    let changes = move || (section.revoked_shown.get(), section.revoke.version().get(), seen_count.get());
    let keys = refetching_signal(keys, changes, move |(revoked, ..)| {
        list_keys(revoked, section.after.get_value(), section.open.get_untracked().key_id())
    });
    // Move the key out of the action, so that only the dialog holds it.
    Effect::new(move |_| {
        if let Some(Ok(new)) = section.create.value().get().or_else(|| section.rotate.value().get()) {
            section.create.clear();
            section.rotate.clear();
            section.open.set(OpenDialog::Nothing);
            section.new_key.set(Some(new));
        }
    });
    let revoked = move || matches!(section.revoke.value().get(), Some(Ok(())));
    Effect::new(move |_| {
        if revoked() {
            section.open.set(OpenDialog::Nothing);
        }
    });
    let status = move || revoked().then(|| "Key revoked.".to_owned());
    let on_seen = Callback::new(move |()| {
        section.new_key.set(None);
        seen_count.update(|n| *n += 1);
    });
    let on_open = Callback::new(move |()| {
        section.create.clear();
        section.open.set(OpenDialog::Create);
    });
    let class = "btn btn-primary";
    let opener =
        view! { <DialogTrigger path="/profile" name="create" id="open-create-key" label="Create key" class on_open/> };
    view! {
        <Section id="keys-heading" title="API keys" action=opener.into_any()>
            <p class="quiet">"A key lets a program call the API as you. Treat it like a password."</p>
            <StatusMessage text=Signal::derive(status)/>
            {move || match keys.get() {
                Ok(list) => view! { <KeyListView list section on_seen/> }.into_any(),
                Err(error) => view! { <LoadError what="Your keys" error/> }.into_any(),
            }}
        </Section>
    }
}

#[component]
fn KeyListView(list: KeyList, section: SectionState, on_seen: Callback<()>) -> impl IntoView {
    let filter = if list.revoked { vec![("revoked", "1".to_owned())] } else { Vec::new() };
    let KeyList { keys, next, about, teams, has_revoked, leaked, more_leaked, now, form_id, origin, .. } = list;
    let table = match (keys.is_empty(), has_revoked) {
        (false, _) => view! { <KeyTable keys=keys.clone() now open=section.open/> }.into_any(),
        (true, true) => view! { <p class="empty">"You have no active keys. Revoked keys are hidden."</p> }.into_any(),
        (true, false) => {
            view! { <p class="empty">"You have no keys yet. Create one to call the API from a program."</p> }.into_any()
        }
    };
    let dialogs =
        DialogData { keys: KeySlice { keys, next: None, about: about.map(|about| *about) }, teams, now, form_id };
    let new_key = section.new_key;
    let new_dialog = move || new_key.get().map(|new| view! { <NewKeyDialog new origin=origin.clone() on_seen/> });
    view! {
        <LeakNotices leaked more_leaked/>
        {table}
        <NextPage path="/profile" filter next/>
        {has_revoked.then(|| view! { <RevokedToggle section/> })}
        <Dialogs data=dialogs section/>
        {new_dialog}
    }
}

/// What the dialogs of the section are rendered from.
struct DialogData {
    keys: KeySlice,
    teams: Vec<Membership>,
    now: Timestamp,
    form_id: String,
}

/// The open dialog. Where its key is gone, the error of its action shows in its place.
#[component]
fn Dialogs(data: DialogData, section: SectionState) -> impl IntoView {
    let SectionState { open, create, rotate, revoke, .. } = section;
    let close = Callback::new(move |()| open.set(OpenDialog::Nothing));
    let now = data.now;
    let data = StoredValue::new(data);
    let find = move |id: &str| -> Option<KeyEntry> { data.with_value(|data| data.keys.find(id).cloned()) };
    let find_usable = move |id: &str| find(id).filter(|entry| entry.key.revoked_at.is_none());
    move || match open.get() {
        OpenDialog::Nothing => ().into_any(),
        OpenDialog::Create => {
            let (form_id, teams) = data.with_value(|data| (data.form_id.clone(), data.teams.clone()));
            view! { <CreateDialog now form_id teams create close/> }.into_any()
        }
        OpenDialog::Rotate(id) => {
            find_usable(&id).map(|entry| view! { <RotateDialog entry now rotate close/> }).into_any()
        }
        OpenDialog::Revoke(id) => match find_usable(&id) {
            Some(entry) => view! { <RevokeDialog entry now revoke close/> }.into_any(),
            None => view! { <FormError errors=ActionErrors::of(revoke)/> }.into_any(),
        },
        OpenDialog::Usage(id) => find(&id).map(|entry| view! { <UsageDialog entry now close/> }).into_any(),
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
        view! { <p>"More of your keys were reported as leaked. Show revoked keys to see them."</p> }
    });
    view! {
        {leaked.into_iter().map(notice).collect_view()}
        {more}
    }
}

/// The button that shows or hides revoked keys.
#[component]
fn RevokedToggle(section: SectionState) -> impl IntoView {
    let SectionState { revoked_shown, after, .. } = section;
    let shown = revoked_shown.get_untracked();
    let (label, name) = if shown { ("Hide revoked keys", "all") } else { ("Show revoked keys", "revoked") };
    let on_open = Callback::new(move |()| {
        after.set_value(None);
        revoked_shown.set(!shown);
    });
    view! { <DialogTrigger path="/profile" name label class="btn btn-ghost" on_open/> }
}
