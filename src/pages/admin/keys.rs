//! `/admin/keys`: every key with its owner.

use leptos::ev::SubmitEvent;
use leptos::form::FromFormData;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{AdminNav, NextPage, done};
use crate::error::AppError;
use crate::model::keys::{EditForm, KeyEntry, KeyPage, KeyQuery, NewKey, Sort, Status};
use crate::model::link::link;
use crate::model::text::isolated;
use crate::model::time::Timestamp;
use crate::pages::QueryParams;
use crate::pages::keys::CreateKey;
use crate::pages::keys::create::{CreateDialog, ExpiryFields};
use crate::pages::keys::reveal::NewKeyDialog;
use crate::pages::keys::table::Cells;
use crate::pages::reauth::Waiting;
use crate::ui::browser;
use crate::ui::dialog::{Cancel, Dialog, Opener};
use crate::ui::field::{Choice, Field, Hidden, PageUser};
use crate::ui::layout::{PageHead, Section};
use crate::ui::notice::{Done, FormProblem, LoadProblem, Problems};
use crate::ui::table::{Cell, Table};

const PATH: &str = "/admin/keys";

/// The keys that an administrator looks for.
#[server(prefix = "/admin/fn", endpoint = "find_keys")]
pub async fn find_keys(query: KeyQuery) -> Result<KeyPage, AppError> {
    let (state, _) = crate::server::auth::superuser().await?;
    crate::server::keys::admin::page(&state, query).await
}

/// Changes a key's name, expiry and limit.
#[server(prefix = "/admin/fn", endpoint = "edit_key")]
pub async fn edit_key(form: EditForm) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::keys::admin::edit(&state, &session, &form).await?;
    crate::server::redirect("/admin/keys?done=saved");
    Ok(())
}

/// Revokes keys. Those that were revoked already stay as they are.
#[server(prefix = "/admin/fn", endpoint = "revoke_keys")]
pub async fn revoke_keys(ids: Vec<String>) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::superuser().await?;
    let revoked = crate::server::keys::admin::revoke_all(&state, &session, &ids).await?;
    crate::server::redirect(&format!("/admin/keys?done=revoked&n={revoked}"));
    Ok(())
}

#[component]
pub fn AdminKeysPage(page: Result<KeyPage, AppError>) -> impl IntoView {
    let asked = QueryParams::here();
    let create = ServerAction::<CreateKey>::new();
    Waiting::here().retry_after_reauth(Problems::of(create));
    let (creating, new_key) = (RwSignal::new(asked.get("create").is_some()), RwSignal::new(None::<NewKey>));
    Effect::new(move |_| {
        if let Some(Ok(new)) = create.value().get() {
            create.clear();
            creating.set(false);
            new_key.set(Some(new));
        }
    });
    let on_open = Callback::new(move |()| creating.set(true));
    let on_seen = Callback::new(move |()| browser::go(PATH));
    let opener = view! { <Opener path=PATH name="create" id="open-create-key" label="Create key" class="btn btn-primary" on_open/> };
    let content = match page {
        Err(error) => view! { <LoadProblem what="The keys" error/> }.into_any(),
        Ok(page) => {
            let (now, form_id, origin) = (page.now, page.form_id.clone(), page.origin.clone());
            let close = Callback::new(move |()| creating.set(false));
            let create_dialog = move || {
                let (form_id, teams) = (form_id.clone(), Vec::new());
                creating.get().then(|| view! { <CreateDialog now form_id teams for_user=true create close/> })
            };
            let new_dialog =
                move || new_key.get().map(|new| view! { <NewKeyDialog new origin=origin.clone() on_seen/> });
            view! {
                <KeyList page asked/>
                {create_dialog}
                {new_dialog}
            }
            .into_any()
        }
    };
    view! {
        <PageHead title="Keys" lead="Every key of every user. What is revoked here is refused from the next request on."/>
        <AdminNav current=PATH/>
        <Done text=done()/>
        <Section id="keys-heading" title="All keys" action=opener.into_any()>{content}</Section>
    }
}

/// What the address says of the list below a dialog.
type Kept = Vec<(&'static str, String)>;

/// The address of the list, with one more parameter.
fn list(kept: &Kept, more: (&str, &str)) -> String {
    link(PATH, kept.iter().map(|(name, value)| (*name, value.as_str())).chain([more]))
}

#[component]
fn KeyList(page: KeyPage, asked: QueryParams) -> impl IntoView {
    let KeyPage { keys, next, query, about, pasted, now, .. } = page;
    let sort = Sort::ALL.iter().find(|(sort, ..)| *sort == query.sort).map_or("", |(_, name, _)| name).to_owned();
    let again = vec![("search", query.search.clone()), ("state", query.state.clone()), ("sort", sort)];
    let kept: Kept = again.iter().cloned().chain([("after", query.after.clone())]).collect();
    // What is revoked already cannot be changed, nor revoked again.
    let about: Vec<_> = about.into_iter().filter(|entry| entry.key.revoked_at.is_none()).collect();
    let (edit, revoke) = match (asked.get("edit"), about.first().cloned()) {
        (Some(_), Some(entry)) => (Some(view! { <EditDialog entry now kept=kept.clone()/> }), None),
        (None, Some(_)) => (None, Some(view! { <RevokeDialog keys=about kept=kept.clone()/> })),
        _ => (None, None),
    };
    let is_filtered = pasted || !query.search.is_empty() || !query.state.is_empty();
    let found = pasted.then(|| view! { <p class="quiet" role="status">"Found by the key that was pasted."</p> });
    let table = if keys.is_empty() {
        let text = if is_filtered { "No key matches." } else { "There are no keys yet." };
        view! { <p class="empty">{text}</p> }.into_any()
    } else {
        let columns = vec!["Name", "Owner", "Key", "Access", "Last used", "Expires", "Status", ""];
        let form = kept.clone();
        let row = move |entry: KeyEntry| view! { <KeyRow entry now kept=kept.clone()/> };
        view! {
            <form method="get" action=PATH id="chosen"><Hidden fields=form/></form>
            <Table label="API keys" columns>{keys.into_iter().map(row).collect_view()}</Table>
            <p><button class="btn" form="chosen">"Revoke chosen"</button></p>
        }
        .into_any()
    };
    view! {
        <SearchForm query/>
        {found}
        {table}
        <NextPage path=PATH asked=again name="after" next/>
        {edit}
        {revoke}
    }
}

/// What to look for. A pasted key is sent in a body, for what stands in an address is kept in many places.
#[component]
fn SearchForm(query: KeyQuery) -> impl IntoView {
    let states = [("", "All"), ("active", "Active"), ("expired", "Expired"), ("revoked", "Revoked")];
    let states = states.map(|(value, label)| (value.to_owned(), label.to_owned()));
    let sorts = Sort::ALL.map(|(_, name, label)| (name.to_owned(), label.to_owned()));
    let sort = Sort::ALL.iter().find(|(sort, ..)| *sort == query.sort).map_or("", |(_, name, _)| name);
    view! {
        <form method="post" action="/admin/keys" class="form-row" role="search">
            <Field
                id="search"
                name="search"
                label="Search"
                kind="search"
                value=query.search
                required=false
                autocomplete="off"
                hint="A name, a prefix, an email address, or a whole key."
            />
            <Choice id="state" name="state" label="State" options=states.to_vec() selected=query.state/>
            <Choice id="sort" name="sort" label="Order" options=sorts.to_vec() selected=sort/>
            <button class="btn">"Search"</button>
        </form>
    }
}

#[component]
fn KeyRow(entry: KeyEntry, now: Timestamp, kept: Kept) -> impl IntoView {
    let (status, name_id, id) = (entry.key.status(now), format!("key-{}", entry.key.id), entry.key.id.to_string());
    let usable = status != Status::Revoked;
    let tick = usable.then(|| {
        let label = format!("Choose {}", isolated(entry.key.name.as_str()));
        view! { <input type="checkbox" form="chosen" name="revoke" value=id.clone() aria-label=label/> }
    });
    let links = usable.then(|| {
        let link = |name: &str, label: &'static str| {
            let (href, about) = (list(&kept, (name, &id)), name_id.clone());
            view! { <a class="btn btn-sm" href=href aria-describedby=about>{label}</a> }
        };
        view! {
            {link("edit", "Edit")}
            {link("revoke", "Revoke")}
        }
    });
    let Cells { key, access, used, expires, state, .. } = Cells::of(&entry, now);
    view! {
        <tr role="row" class=if matches!(status, Status::Expired | Status::Revoked) { "dim" } else { "" }>
            <td role="cell" data-label="Name" class="wide"><span>{tick} " " <bdi id=name_id>{entry.key.name.as_str().to_owned()}</bdi></span></td>
            <Cell label="Owner" class="person"><bdi>{entry.owner}</bdi></Cell>
            <Cell label="Key">{key}</Cell>
            <Cell label="Access">{access}</Cell>
            <Cell label="Last used">{used}</Cell>
            <Cell label="Expires">{expires}</Cell>
            <Cell label="Status">{state}</Cell>
            <Cell label="" class="actions">{links}</Cell>
        </tr>
    }
}

#[component]
fn EditDialog(entry: KeyEntry, now: Timestamp, kept: Kept) -> impl IntoView {
    let edit = ServerAction::<EditKey>::new();
    let (problems, waiting) = (Problems::of(edit), Waiting::here());
    waiting.retry_after_reauth(problems);
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if let (false, Ok(call)) = (edit.pending().get_untracked(), EditKey::from_event(&event)) {
            waiting.send(move || drop(edit.dispatch(call.clone())));
        }
    };
    let below = list(&kept, ("", ""));
    let close = Callback::new(move |()| browser::go(&below));
    let keep = entry.key.expires_at.map_or_else(|| "never".to_owned(), Timestamp::minute);
    view! {
        <Dialog id="edit-key" title="Edit API key" on_dismiss=close>
            <p class="quiet">"The key " <code>{entry.key.prefix} "…"</code> " of " <bdi>{entry.owner}</bdi>"."</p>
            <form method="post" action=EditKey::url() class="form" id="edit-key-form" on:submit=send>
                <PageUser/>
                <input type="hidden" name="form[id]" value=entry.key.id.to_string()/>
                <FormProblem problems/>
                <Field
                    id="key-name"
                    name="form[name]"
                    label="Name"
                    value=entry.key.name.as_str()
                    autofocus=true
                    error=problems.at("name")
                />
                <ExpiryFields now keep names=("form[expires]", "form[date]") problems/>
                <Field
                    id="key-rate"
                    name="form[rate]"
                    label="Requests a minute"
                    kind="number"
                    value=entry.rate.map(|rate| rate.to_string()).unwrap_or_default()
                    required=false
                    hint="Empty for what the server allows all keys; 0 for no limit."
                    error=problems.at("rate")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back=PATH kept on_cancel=close/>
                <button class="btn btn-primary" form="edit-key-form" disabled=move || edit.pending().get()>"Save"</button>
            </div>
        </Dialog>
    }
}

#[component]
fn RevokeDialog(keys: Vec<KeyEntry>, kept: Kept) -> impl IntoView {
    let below = list(&kept, ("", ""));
    let close = Callback::new(move |()| browser::go(&below));
    let (title, label) = match keys.len() {
        1 => ("Revoke this key?".to_owned(), "Revoke key"),
        n => (format!("Revoke these {n} keys?"), "Revoke keys"),
    };
    let ids = keys
        .iter()
        .map(|entry| view! { <input type="hidden" name="ids[]" value=entry.key.id.to_string()/> })
        .collect_view();
    let item = |entry: KeyEntry| {
        view! {
            <li>
                <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong> " (" <code>{entry.key.prefix} "…"</code> ") of "
                <bdi>{entry.owner}</bdi>
            </li>
        }
    };
    view! {
        <Dialog id="revoke-keys" title alert=true on_dismiss=close>
            <ul>{keys.into_iter().map(item).collect_view()}</ul>
            <p>"Refused from the next request on. This cannot be undone."</p>
            <FormProblem problems={Problems::told::<RevokeKeys>()}/>
            <div class="dialog-foot">
                <Cancel back=PATH kept autofocus=true on_cancel=close/>
                <form method="post" action=RevokeKeys::url()>
                    <PageUser/>
                    {ids}
                    <button class="btn btn-error">{label}</button>
                </form>
            </div>
        </Dialog>
    }
}
