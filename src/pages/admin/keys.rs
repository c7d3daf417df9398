//! `/admin/keys`

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::AdminNav;
use crate::error::AppError;
use crate::model::keys::{EditForm, KeyEntry, KeyPage, KeyQuery, Sort, StateFilter, Status};
use crate::model::link::{Parameters, link};
use crate::model::text::isolated;
use crate::model::time::Timestamp;
use crate::pages::QueryParams;
use crate::pages::keys::create::{CreateDialog, ExpiryFields};
use crate::pages::keys::reveal::{NewKeyDialog, NewKeyShown};
use crate::pages::keys::table::{OWNED_KEY_COLUMNS, OwnedKeyRow, name_id};
use crate::pages::pagination::NextPage;
use crate::ui::dialog::{Cancel, Dialog, DialogTrigger, close_to};
use crate::ui::feedback::{FormError, FormErrors, LoadError};
use crate::ui::field::{Field, Hidden, PageUser, Select, SelectOption};
use crate::ui::layout::{PageHead, Section};
use crate::ui::table::Table;

const PATH: &str = "/admin/keys";

/// Returns the keys that match a search.
#[server(prefix = "/admin/fn", endpoint = "find_keys")]
pub async fn find_keys(query: KeyQuery) -> Result<KeyPage, AppError> {
    let (state, _) = crate::server::auth::superuser().await?;
    crate::server::keys::admin::page(&state, query).await
}

/// Changes the name, expiry and rate limit of a key.
#[server(prefix = "/admin/fn", endpoint = "edit_key")]
pub async fn edit_key(form: EditForm) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::keys::admin::edit(&state, &session, &form).await?;
    crate::server::redirect("/admin/keys?done=saved");
    Ok(())
}

/// Revokes keys. Revoked keys stay as they are.
#[server(prefix = "/admin/fn", endpoint = "revoke_keys")]
pub async fn revoke_keys(ids: Vec<String>) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::superuser().await?;
    let revoked = crate::server::keys::admin::revoke_all(&state, &session, &ids).await?;
    crate::server::redirect(&format!("/admin/keys?done=revoked&n={revoked}"));
    Ok(())
}

#[component]
pub fn AdminKeysPage(data: Memo<Result<KeyPage, AppError>>) -> impl IntoView {
    let query = QueryParams::from_context();
    let NewKeyShown(new_key) = NewKeyShown::from_context();
    let content = move || match data.get() {
        Ok(page) => view! { <KeyList page address=query.get()/> }.into_any(),
        Err(error) => view! { <LoadError what="The keys" error/> }.into_any(),
    };
    let create = move || {
        let page = data.get().ok()?;
        Some(match new_key.get() {
            Some(new) => view! { <NewKeyDialog new origin=page.origin back=PATH/> }.into_any(),
            None => query
                .get()
                .get("create")
                .map(|_| {
                    let (now, form_id, apis) = (page.now, page.form_id, page.apis);
                    view! { <CreateDialog now form_id teams=Vec::new() apis kept=Vec::new() for_user=true/> }
                })
                .into_any(),
        })
    };
    let opener = view! { <DialogTrigger path=PATH name="create" label="Create key" class="btn btn-primary"/> };
    view! {
        <PageHead title="Keys" lead="Every user's keys. A revoked key stops working with the next request."/>
        <AdminNav current=PATH/>
        <Section id="keys-heading" title="All keys" action=opener.into_any()>{content}</Section>
        {create}
    }
}

/// Returns the address of the list with one more parameter.
fn list(kept: &[(&'static str, String)], more: (&str, &str)) -> String {
    link(PATH, kept.iter().map(|(name, value)| (*name, value.as_str())).chain([more]))
}

#[component]
fn KeyList(page: KeyPage, address: QueryParams) -> impl IntoView {
    let KeyPage { keys, next, query, about, pasted, now, .. } = page;
    let (state, sort) = (query.state.as_str().to_owned(), query.sort.as_str().to_owned());
    let again = vec![("search", query.search.clone()), ("state", state), ("sort", sort)];
    let kept: Parameters = again.iter().cloned().chain([("after", query.after.clone())]).collect();
    // A revoked key cannot be changed or revoked again.
    let about: Vec<_> = about.into_iter().filter(|entry| entry.key.revoked_at.is_none()).collect();
    let (edit, revoke) = match (address.get("edit"), about.first().cloned()) {
        (Some(_), Some(entry)) => (Some(view! { <EditDialog entry now kept=kept.clone()/> }), None),
        (None, Some(_)) => (None, Some(view! { <RevokeDialog keys=about kept=kept.clone()/> })),
        _ => (None, None),
    };
    let is_filtered = pasted || !query.search.is_empty() || query.state != StateFilter::All;
    let found = pasted.then(|| view! { <p class="quiet" role="status">"Found by the pasted key."</p> });
    let table = if keys.is_empty() {
        let text = if is_filtered { "No keys match your search." } else { "There are no keys yet." };
        view! { <p class="empty">{text}</p> }.into_any()
    } else {
        let columns = OWNED_KEY_COLUMNS.to_vec();
        let form = kept.clone();
        let row = move |entry: KeyEntry| view! { <KeyRow entry now kept=kept.clone()/> };
        view! {
            <form method="get" action=PATH id="chosen"><Hidden fields=form/></form>
            <Table label="API keys" columns>{keys.into_iter().map(row).collect_view()}</Table>
            <p><button class="btn" form="chosen">"Revoke selected keys"</button></p>
        }
        .into_any()
    };
    view! {
        <SearchForm query/>
        {found}
        {table}
        <NextPage path=PATH filter=again next/>
        {edit}
        {revoke}
    }
}

/// The search form. It is sent as a body so that a pasted key never gets into an address.
#[component]
fn SearchForm(query: KeyQuery) -> impl IntoView {
    let states = StateFilter::ALL.map(|state| SelectOption::new(state.as_str(), state.label()));
    let sorts = Sort::ALL.map(|sort| SelectOption::new(sort.as_str(), sort.label()));
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
                hint="Name, key prefix, email address, or a whole key."
            />
            <Select id="state" name="state" label="Status" options=states.into() selected=query.state.as_str()/>
            <Select id="sort" name="sort" label="Order" options=sorts.into() selected=query.sort.as_str()/>
            <button class="btn">"Search"</button>
        </form>
    }
}

#[component]
fn KeyRow(entry: KeyEntry, now: Timestamp, kept: Parameters) -> impl IntoView {
    let (name_id, id) = (name_id(&entry), entry.key.id.to_string());
    let usable = entry.key.status(now) != Status::Revoked;
    let tick = usable.then(|| {
        let label = format!("Select {}", isolated(entry.key.name.as_str()));
        view! { <input type="checkbox" form="chosen" name="revoke" value=id.clone() aria-label=label/> }.into_any()
    });
    let actions = usable.then(|| {
        let link = |name: &str, label: &'static str| {
            let (href, about) = (list(&kept, (name, &id)), name_id.clone());
            view! { <a class="btn btn-sm" href=href aria-describedby=about>{label}</a> }
        };
        view! {
            {link("edit", "Edit")}
            {link("revoke", "Revoke")}
        }
        .into_any()
    });
    view! { <OwnedKeyRow entry now tick actions/> }
}

#[component]
fn EditDialog(entry: KeyEntry, now: Timestamp, kept: Parameters) -> impl IntoView {
    let errors = FormErrors::of(EditKey::url());
    let close = close_to(PATH, &kept);
    let keep = entry.key.expires_at.map_or_else(|| "never".to_owned(), Timestamp::minute);
    view! {
        <Dialog id="edit-key" title="Edit API key" on_dismiss=close>
            <p class="quiet">"The key " <code>{entry.key.prefix} "…"</code> " of " <bdi>{entry.owner}</bdi>"."</p>
            <form method="post" action=EditKey::url() class="form" id="edit-key-form">
                <PageUser/>
                <input type="hidden" name="form[id]" value=entry.key.id.to_string()/>
                <FormError errors/>
                <Field
                    id="key-name"
                    name="form[name]"
                    label="Name"
                    value=entry.key.name.as_str()
                    autofocus=true
                    error=errors.at("name")
                />
                <ExpiryFields now keep name="form[expires]" date_name="form[date]" errors/>
                <Field
                    id="key-rate"
                    name="form[rate]"
                    label="Requests per minute"
                    kind="number"
                    value=entry.rate.map(|rate| rate.to_string()).unwrap_or_default()
                    required=false
                    hint="Leave empty for the server's default. 0 means no limit."
                    error=errors.at("rate")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back=PATH kept/>
                <button class="btn btn-primary" form="edit-key-form">"Save"</button>
            </div>
        </Dialog>
    }
}

#[component]
fn RevokeDialog(keys: Vec<KeyEntry>, kept: Parameters) -> impl IntoView {
    let close = close_to(PATH, &kept);
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
            <p>"Refused from the next request on. You can't undo this."</p>
            <FormError errors={FormErrors::of(RevokeKeys::url())}/>
            <div class="dialog-foot">
                <Cancel back=PATH kept autofocus=true/>
                <form method="post" action=RevokeKeys::url()>
                    <PageUser/>
                    {ids}
                    <button class="btn btn-error">{label}</button>
                </form>
            </div>
        </Dialog>
    }
}
