//! The section "API keys" of the profile page: create, see once, list, revoke.

use leptos::ev::{SubmitEvent, beforeunload};
use leptos::form::FromFormData;
use leptos::html;
use leptos::prelude::*;

use super::profile::Time;
use super::{Asked, live};
use crate::error::AppError;
use crate::model::keys::{Access, DEFAULT_DAYS, KeyFacts, KeyForm, KeyList, NewKey, PRESET_DAYS, Status, expiry};
use crate::model::time::Timestamp;
use crate::ui::browser;
use crate::ui::dialog::{Cancel, Dialog, Opener};
use crate::ui::field::{Choice, Field};
use crate::ui::layout::{PlainDocument, Section};
use crate::ui::notice::{Done, FormProblem, LoadProblem, Problems};
use crate::ui::table::{Cell, Table};

/// The keys of whoever asks, with or without the revoked ones.
#[server(prefix = "/fn", endpoint = "list_keys")]
pub async fn list_keys(revoked: bool) -> Result<KeyList, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::page(&state, &session.user.id, revoked).await
}

/// Makes a key, and shows it this once.
#[server(prefix = "/fn", endpoint = "create_key")]
pub async fn create_key(form: KeyForm) -> Result<NewKey, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::keys::create_from_form(&state, &session.user.id, &form).await
}

/// Revokes a key. One that was revoked already is no error.
#[server(prefix = "/fn", endpoint = "revoke_key")]
pub async fn revoke_key(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::land_on("/profile");
    crate::server::keys::revoke_own(&state, &session.user.id, &id).await
}

/// What the section remembers.
#[derive(Clone, Copy)]
struct Memory {
    /// Whether the form is open.
    creating: RwSignal<bool>,
    /// The key that was just made, as long as it is shown: the only place that holds it.
    new_key: RwSignal<Option<NewKey>>,
    /// The id of the key that the question is about.
    revoking: RwSignal<Option<String>>,
    revoked_shown: RwSignal<bool>,
    create: ServerAction<CreateKey>,
    revoke: ServerAction<RevokeKey>,
}

/// The section.
#[component]
pub fn KeySection(keys: Result<KeyList, AppError>) -> impl IntoView {
    let asked = Asked::here();
    let memory = Memory {
        creating: RwSignal::new(asked.get("create").is_some()),
        new_key: RwSignal::new(None),
        revoking: RwSignal::new(asked.get("revoke")),
        revoked_shown: RwSignal::new(asked.get("revoked").is_some()),
        create: ServerAction::new(),
        revoke: ServerAction::new(),
    };
    let Memory { creating, new_key, revoking, revoked_shown, create, revoke } = memory;
    let seen = RwSignal::new(0);
    // Read anew after a key was revoked, and after a new one was seen: not before, for the dialog stands in the list.
    let changes = move || (revoked_shown.get(), revoke.version().get(), seen.get());
    let keys = live(keys, changes, |(revoked, ..)| list_keys(revoked));
    // The key leaves the action for the dialog, and the dialog for nothing.
    Effect::new(move |_| {
        if let Some(Ok(new)) = create.value().get() {
            create.clear();
            creating.set(false);
            new_key.set(Some(new));
        }
    });
    Effect::new(move |_| {
        if matches!(revoke.value().get(), Some(Ok(()))) {
            revoking.set(None);
        }
    });
    let done = move || matches!(revoke.value().get(), Some(Ok(()))).then(|| "The key is revoked.".to_owned());
    let on_seen = Callback::new(move |()| {
        new_key.set(None);
        seen.update(|n| *n += 1);
    });
    let on_open = Callback::new(move |()| {
        create.clear();
        creating.set(true);
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
    let KeyList { keys, has_revoked, now, form_id, origin } = list;
    let Memory { creating, new_key, revoking, revoked_shown, create, revoke } = memory;
    let toggle = has_revoked.then(|| {
        let shown = revoked_shown.get_untracked();
        let (label, name) = if shown { ("Hide revoked", "all") } else { ("Show revoked", "revoked") };
        let on_open = Callback::new(move |()| revoked_shown.set(!shown));
        view! { <Opener path="/profile" name label class="btn btn-ghost" on_open/> }
    });
    let all = StoredValue::new(keys.clone());
    let table = match (keys.is_empty(), has_revoked) {
        (false, _) => view! { <KeyTable keys now revoking/> }.into_any(),
        (true, true) => {
            view! { <p class="empty">"You have no keys in use. Your revoked keys are hidden."</p> }.into_any()
        }
        (true, false) => {
            view! { <p class="empty">"You have no keys yet. Create one to call the API from a program."</p> }.into_any()
        }
    };
    let revoke_dialog = move || {
        let wanted = revoking.get()?;
        let key = all.with_value(|keys| keys.iter().find(|key| key.id.as_str() == wanted).cloned())?;
        key.revoked_at.is_none().then(|| view! { <RevokeDialog key_facts=key revoking revoke/> })
    };
    let create_dialog =
        move || creating.get().then(|| view! { <CreateDialog now form_id=form_id.clone() create creating/> });
    let new_dialog = move || new_key.get().map(|new| view! { <NewKeyDialog new origin=origin.clone() on_seen/> });
    view! {
        {table}
        {toggle}
        {revoke_dialog}
        {create_dialog}
        {new_dialog}
    }
}

#[component]
fn KeyTable(keys: Vec<KeyFacts>, now: Timestamp, revoking: RwSignal<Option<String>>) -> impl IntoView {
    let row = move |key: KeyFacts| {
        let status = key.status(now);
        let (id, name_id) = (key.id.to_string(), format!("key-{}", key.id));
        let expires = match key.expires_at {
            Some(at) => view! { <Time at/> }.into_any(),
            None => "Never".into_any(),
        };
        let action = (status != Status::Revoked).then(|| {
            let wanted = id.clone();
            let on_open = Callback::new(move |()| revoking.set(Some(wanted.clone())));
            let (class, describes) = ("btn btn-sm", name_id.clone());
            view! { <Opener path="/profile" name="revoke" value=id label="Revoke" class describes on_open/> }
        });
        view! {
            <tr role="row" class=if matches!(status, Status::Expired | Status::Revoked) { "dim" } else { "" }>
                <td role="cell" data-label="Name" class="wide"><bdi id=name_id>{key.name.as_str().to_owned()}</bdi></td>
                <Cell label="Key"><code>{key.prefix} "…"</code></Cell>
                <Cell label="Access">{key.access.label()}</Cell>
                <Cell label="Created"><Time at=key.created_at/></Cell>
                <Cell label="Expires">{expires}</Cell>
                <Cell label="Status"><StatusBadge status/></Cell>
                <Cell label="" class="actions">{action}</Cell>
            </tr>
        }
    };
    view! {
        <Table label="API keys" columns=vec!["Name", "Key", "Access", "Created", "Expires", "Status", ""]>
            {keys.into_iter().map(row).collect_view()}
        </Table>
    }
}

#[component]
fn StatusBadge(status: Status) -> impl IntoView {
    let class = match status {
        Status::Active => "state state-on",
        Status::ExpiresSoon => "state state-soon",
        Status::Expired | Status::Revoked => "state",
    };
    view! { <span class=class>{status.label()}</span> }
}

#[component]
fn CreateDialog(
    now: Timestamp,
    form_id: String,
    create: ServerAction<CreateKey>,
    creating: RwSignal<bool>,
) -> impl IntoView {
    let problems = Problems::of(create);
    let close = Callback::new(move |()| creating.set(false));
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if let (false, Ok(form)) = (create.pending().get_untracked(), KeyForm::from_event(&event)) {
            create.dispatch(CreateKey { form });
        }
    };
    let access = Access::ALL.map(|access| (access.as_str().to_owned(), access.label().to_owned()));
    view! {
        <Dialog id="create-key" title="Create API key" on_dismiss=close>
            <form method="post" action="/profile/keys" class="form" id="create-key-form" on:submit=send>
                <input type="hidden" name="form_id" value=form_id/>
                <FormProblem problems/>
                <Field
                    id="key-name"
                    name="name"
                    label="Name"
                    length=(1, 100)
                    autofocus=true
                    hint="What the key is for, such as: nightly report."
                    error=problems.at("name")
                />
                <ExpiryFields now problems/>
                <Choice
                    id="key-access"
                    name="access"
                    label="Access"
                    options=access.to_vec()
                    selected=Access::default().as_str()
                    hint="A key that may only read cannot change anything, whoever gets hold of it."
                    error=problems.at("access")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back="/profile" on_cancel=close/>
                <button class="btn btn-primary" form="create-key-form" disabled=move || create.pending().get()>"Create"</button>
            </div>
        </Dialog>
    }
}

/// When the key expires: a preset, a date or never; and the date that it comes to.
#[component]
fn ExpiryFields(now: Timestamp, problems: Problems) -> impl IntoView {
    let choice = RwSignal::new(DEFAULT_DAYS.to_string());
    let date = RwSignal::new(String::new());
    let options = PRESET_DAYS
        .iter()
        .map(|days| (days.to_string(), format!("{days} days")))
        .chain([("date".to_owned(), "A date".to_owned()), ("never".to_owned(), "Never".to_owned())]);
    let comes_to = move || match expiry(&choice.get(), &date.get(), now) {
        Ok(Some(at)) => format!("It stops working on {}.", at.minute()),
        Ok(None) => "It works until you revoke it.".to_owned(),
        Err((_, sentence)) => sentence.to_owned(),
    };
    view! {
        <Choice
            id="key-expires"
            name="expires"
            label="Expires"
            options=options.collect()
            selected=DEFAULT_DAYS.to_string()
            on_change=Callback::new(move |value| choice.set(value))
            error=problems.at("expires")
        />
        <div class="field" class:needs-script=move || choice.get() != "date">
            <label for="key-date">"Date"</label>
            <input
                class="input"
                id="key-date"
                name="date"
                type="date"
                min=now.iso_date()
                max="9999-12-31"
                aria-describedby="key-date-about"
                aria-invalid=move || problems.at("date").with(Option::is_some).then_some("true")
                on:input=move |event| date.set(event_target_value(&event))
            />
            <p class="field-foot" id="key-date-about">
                {move || problems.at("date").get().map(|text| view! { <span class="field-error">{text}</span> })}
                <span class="field-hint">"The last day on which it works, in UTC. Only for the choice: A date."</span>
            </p>
        </div>
        <p class="quiet" role="status">{comes_to}</p>
    }
}

#[component]
fn NewKeyDialog(new: NewKey, origin: String, on_seen: Callback<()>) -> impl IntoView {
    let copied = RwSignal::new(false);
    let asking = RwSignal::new(false);
    let told = RwSignal::new(None::<String>);
    let input = NodeRef::<html::Input>::new();
    let leave = Callback::new(move |()| if copied.get_untracked() { on_seen.run(()) } else { asking.set(true) });
    Effect::new(move |_| {
        let warning = window_event_listener(beforeunload, move |event| {
            if !copied.get_untracked() {
                event.prevent_default();
            }
        });
        on_cleanup(move || warning.remove());
    });
    let keep = move |_| {
        asking.set(false);
        browser::give_focus(None, "copy-key");
    };
    let key = StoredValue::new(new.key.clone());
    let copy = move |_| {
        leptos::task::spawn_local(async move {
            if browser::copy(&key.get_value()).await {
                copied.set(true);
                told.set(Some("Copied.".to_owned()));
            } else if let Some(input) = input.get_untracked() {
                browser::select(&input);
                told.set(Some("The key is selected. Copy it with your keyboard.".to_owned()));
            }
        });
    };
    view! {
        <Dialog id="new-key" title="Your new API key" return_to="open-create-key" on_dismiss=leave>
            <p>
                "Copy the key " <bdi>{new.facts.name.as_str().to_owned()}</bdi>
                " now and keep it in a safe place. It will not be shown again."
            </p>
            <div class="copy-row">
                <div class="field">
                    <label for="new-key-value">"API key"</label>
                    <input
                        class="input mono"
                        id="new-key-value"
                        readonly=true
                        autocomplete="off"
                        spellcheck="false"
                        value=new.key.clone()
                        node_ref=input
                        on:copy=move |_| copied.set(true)
                    />
                </div>
                <button class="btn" id="copy-key" autofocus=true on:click=copy>"Copy"</button>
            </div>
            <Done text=told/>
            <p>"Try it:"</p>
            <pre class="code" tabindex="0" role="region" aria-label="A command to try the key with"><code>{new.curl(&origin)}</code></pre>
            <Show when=move || asking.get()>
                <div role="alert" class="notice">
                    <p>"You have not copied the key yet. Once this is closed, nobody can show it to you again."</p>
                    <div class="dialog-foot">
                        <button class="btn" on:click=keep>"Keep it open"</button>
                        <button class="btn btn-error" on:click=move |_| on_seen.run(())>"Close without copying"</button>
                    </div>
                </div>
            </Show>
            <div class="dialog-foot">
                <button class="btn btn-primary" on:click=move |_| on_seen.run(())>"Done"</button>
            </div>
        </Dialog>
    }
}

#[component]
fn RevokeDialog(
    key_facts: KeyFacts,
    revoking: RwSignal<Option<String>>,
    revoke: ServerAction<RevokeKey>,
) -> impl IntoView {
    let close = Callback::new(move |()| revoking.set(None));
    view! {
        <Dialog id="revoke-key" title="Revoke this key?" alert=true on_dismiss=close>
            <p>
                "The key " <strong><bdi>{key_facts.name.as_str().to_owned()}</bdi></strong> " (" <code>{key_facts.prefix} "…"</code>
                ") is refused from the next request on. This cannot be undone."
            </p>
            <FormProblem problems=Problems::of(revoke)/>
            <div class="dialog-foot">
                <Cancel back="/profile" autofocus=true on_cancel=close/>
                <ActionForm action=revoke>
                    <input type="hidden" name="id" value=key_facts.id.to_string()/>
                    <button class="btn btn-error" disabled=move || revoke.pending().get()>"Revoke key"</button>
                </ActionForm>
            </div>
        </Dialog>
    }
}

/// The whole document that answers the form of a browser without JavaScript: the new key, this once, or what is wrong.
#[must_use]
#[expect(non_snake_case, reason = "a view")]
pub fn NewKeyDocument(made: Result<NewKey, AppError>, origin: String, stylesheet: String) -> impl IntoView {
    let title = if made.is_ok() { "Your new API key" } else { "The key was not created" };
    let content = match made {
        Ok(new) => view! {
            <p>
                "Copy the key " <bdi>{new.facts.name.as_str().to_owned()}</bdi>
                " now and keep it in a safe place. It will not be shown again, also not when you reload this page."
            </p>
            <div class="field">
                <label for="new-key-value">"API key"</label>
                <input class="input mono" id="new-key-value" readonly=true autocomplete="off" autofocus=true value=new.key.clone()/>
            </div>
            <p>"Try it:"</p>
            <pre class="code" tabindex="0" role="region" aria-label="A command to try the key with"><code>{new.curl(&origin)}</code></pre>
            <p><a class="btn btn-primary" href="/profile">"Done"</a></p>
        }
        .into_any(),
        Err(error) => view! {
            <div role="alert" class="notice"><p>{error.detail()}</p></div>
            <p class="hero-actions">
                <a class="btn btn-primary" href="/profile?create=">"Back to the form"</a>
                <a class="btn" href="/profile">"Back to your profile"</a>
            </p>
        }
        .into_any(),
    };
    view! { <PlainDocument title stylesheet>{content}</PlainDocument> }
}
