//! The section "API keys" of the profile page: create, see once, list, rotate, revoke.

pub mod create;
pub mod reveal;
pub mod table;

use leptos::prelude::*;

use self::create::CreateDialog;
use self::reveal::NewKeyDialog;
use self::table::{KeyTable, RevokeDialog, RotateDialog, UsageDialog};
use super::admin::NextPage;
use super::reauth::Waiting;
use super::{QueryParams, refetching_signal};
use crate::error::AppError;
use crate::model::keys::{KeyEntry, KeyForm, KeyList, KeySlice, NewKey, RotateForm};
use crate::ui::dialog::Opener;
use crate::ui::layout::Section;
use crate::ui::notice::{Done, LoadProblem, Problems};

/// Returns a page of the signed-in user's keys, with or without the revoked ones, and the key that a dialog is about, by its id.
#[server(prefix = "/fn", endpoint = "list_keys")]
pub async fn list_keys(revoked: bool, after: Option<String>, about: Option<String>) -> Result<KeyList, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let (after, about) = (after.as_deref().unwrap_or_default(), about.as_deref().unwrap_or_default());
    let query = crate::server::keys::OwnQuery { revoked, after, about };
    crate::server::keys::page(&state, &session, query).await
}

/// Makes a key, and shows it this once.
#[server(prefix = "/fn", endpoint = "create_key")]
pub async fn create_key(form: KeyForm) -> Result<NewKey, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::create_from_form(&state, &session, &form).await
}

/// Gives a key a new secret, and shows it this once.
#[server(prefix = "/fn", endpoint = "rotate_key")]
pub async fn rotate_key(form: RotateForm) -> Result<NewKey, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::rotation::rotate_own(&state, &session, &form).await
}

/// Revokes a key. One that was revoked already is no error.
#[server(prefix = "/fn", endpoint = "revoke_key")]
pub async fn revoke_key(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::redirect_if_no_js("/profile");
    crate::server::keys::revoke_own(&state, &session, &id).await
}

/// Which dialog is open, and about which key, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    Nothing,
    Create,
    Rotate(String),
    Revoke(String),
    Usage(String),
}

impl Open {
    /// The id of the key that it is about.
    fn about(self) -> Option<String> {
        match self {
            Self::Nothing | Self::Create => None,
            Self::Rotate(id) | Self::Revoke(id) | Self::Usage(id) => Some(id),
        }
    }

    /// What the address asks for.
    fn asked(asked: &QueryParams) -> Self {
        let one_of = [("rotate", Self::Rotate as fn(String) -> Self), ("revoke", Self::Revoke), ("usage", Self::Usage)];
        let about = one_of.into_iter().find_map(|(name, open)| asked.get(name).map(open));
        about.unwrap_or_else(|| asked.get("create").map_or(Self::Nothing, |_| Self::Create))
    }
}

/// What the section remembers.
#[derive(Clone, Copy)]
struct Memory {
    open: RwSignal<Open>,
    /// The key that was just made, as long as it is shown: the only place that holds it.
    new_key: RwSignal<Option<NewKey>>,
    revoked_shown: RwSignal<bool>,
    /// Where the page before this one ended.
    after: StoredValue<Option<String>>,
    create: ServerAction<CreateKey>,
    rotate: ServerAction<RotateKey>,
    revoke: ServerAction<RevokeKey>,
}

/// The section.
#[component]
pub fn KeySection(keys: Result<KeyList, AppError>) -> impl IntoView {
    let asked = QueryParams::here();
    let memory = Memory {
        open: RwSignal::new(Open::asked(&asked)),
        new_key: RwSignal::new(None),
        revoked_shown: RwSignal::new(asked.get("revoked").is_some()),
        after: StoredValue::new(asked.get("after")),
        create: ServerAction::new(),
        rotate: ServerAction::new(),
        revoke: ServerAction::new(),
    };
    let waiting = Waiting::here();
    waiting.retry_after_reauth(Problems::of(memory.create));
    waiting.retry_after_reauth(Problems::of(memory.rotate));
    let seen = RwSignal::new(0);
    // Read anew after a key was revoked, and after a new one was seen: not before, for the dialog stands in the list.
    let changes = move || (memory.revoked_shown.get(), memory.revoke.version().get(), seen.get());
    let keys = refetching_signal(keys, changes, move |(revoked, ..)| {
        list_keys(revoked, memory.after.get_value(), memory.open.get_untracked().about())
    });
    // The key leaves the action for the dialog, and the dialog for nothing.
    Effect::new(move |_| {
        if let Some(Ok(new)) = memory.create.value().get().or_else(|| memory.rotate.value().get()) {
            memory.create.clear();
            memory.rotate.clear();
            memory.open.set(Open::Nothing);
            memory.new_key.set(Some(new));
        }
    });
    let revoked = move || matches!(memory.revoke.value().get(), Some(Ok(())));
    Effect::new(move |_| {
        if revoked() {
            memory.open.set(Open::Nothing);
        }
    });
    let done = move || revoked().then(|| "The key is revoked.".to_owned());
    let on_seen = Callback::new(move |()| {
        memory.new_key.set(None);
        seen.update(|n| *n += 1);
    });
    let on_open = Callback::new(move |()| {
        memory.create.clear();
        memory.open.set(Open::Create);
    });
    let class = "btn btn-primary";
    let opener =
        view! { <Opener path="/profile" name="create" id="open-create-key" label="Create key" class on_open/> };
    view! {
        <Section id="keys-heading" title="API keys" action=opener.into_any()>
            <p class="quiet">"A key lets a program call the API in your name. Treat it like a password."</p>
            <Done text=Signal::derive(done)/>
            {move || match keys.get() {
                Ok(list) => view! { <KeyListView list memory on_seen/> }.into_any(),
                Err(error) => view! { <LoadProblem what="Your keys" error/> }.into_any(),
            }}
        </Section>
    }
}

#[component]
fn KeyListView(list: KeyList, memory: Memory, on_seen: Callback<()>) -> impl IntoView {
    let filter = if list.revoked { vec![("revoked", "1".to_owned())] } else { Vec::new() };
    let KeyList { keys, next, about, teams, has_revoked, leaked, more_leaked, now, form_id, origin, .. } = list;
    let Memory { open, new_key, revoked_shown, after, create, rotate, revoke } = memory;
    let leaks = leaked.into_iter().map(|key| {
        view! {
            <div class="notice" role="alert">
                <p>
                    "Somebody reported that they hold the key " <strong><bdi>{key.name.as_str().to_owned()}</bdi></strong> " ("
                    <code>{key.prefix} "…"</code> "). It was revoked at once. Create another where it is still needed."
                </p>
            </div>
        }
    });
    let more_leaks = more_leaked.then(|| {
        view! { <p>"More of your keys were reported. They are in the list of revoked keys."</p> }
    });
    let toggle = has_revoked.then(|| {
        let shown = revoked_shown.get_untracked();
        let (label, name) = if shown { ("Hide revoked", "all") } else { ("Show revoked", "revoked") };
        let on_open = Callback::new(move |()| {
            after.set_value(None);
            revoked_shown.set(!shown);
        });
        view! { <Opener path="/profile" name label class="btn btn-ghost" on_open/> }
    });
    let slice = KeySlice { keys, next, about: about.map(|about| *about) };
    let all = StoredValue::new(slice.clone());
    let find = move |id: &str| -> Option<KeyEntry> { all.with_value(|slice| slice.find(id).cloned()) };
    let KeySlice { keys, next, .. } = slice;
    let usable = move |id: &str| find(id).filter(|entry| entry.key.revoked_at.is_none());
    let table = match (keys.is_empty(), has_revoked) {
        (false, _) => view! { <KeyTable keys now open/> }.into_any(),
        (true, true) => {
            view! { <p class="empty">"You have no keys in use. Your revoked keys are hidden."</p> }.into_any()
        }
        (true, false) => {
            view! { <p class="empty">"You have no keys yet. Create one to call the API from a program."</p> }.into_any()
        }
    };
    let close = Callback::new(move |()| open.set(Open::Nothing));
    let teams = StoredValue::new(teams);
    let dialog = move || match open.get() {
        Open::Nothing => None,
        Open::Create => {
            let teams = teams.get_value();
            Some(view! { <CreateDialog now form_id=form_id.clone() teams create close/> }.into_any())
        }
        Open::Rotate(id) => usable(&id).map(|entry| view! { <RotateDialog entry now rotate close/> }.into_any()),
        Open::Revoke(id) => usable(&id).map(|entry| view! { <RevokeDialog entry now revoke close/> }.into_any()),
        Open::Usage(id) => find(&id).map(|entry| view! { <UsageDialog entry now close/> }.into_any()),
    };
    let new_dialog = move || new_key.get().map(|new| view! { <NewKeyDialog new origin=origin.clone() on_seen/> });
    view! {
        {leaks.collect_view()}
        {more_leaks}
        {table}
        <NextPage path="/profile" asked=filter name="after" next/>
        {toggle}
        {dialog}
        {new_dialog}
    }
}
