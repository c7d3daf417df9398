//! `/admin/apis`

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::AdminNav;
use crate::error::AppError;
use crate::model::apis::{AffectedKeys, Api, ApiForm, ApiId, ApiPage, ApiScope, ApiUsage};
use crate::model::link::link;
use crate::model::usage::DayUsage;
use crate::pages::QueryParams;
use crate::pages::usage::{UsageDialog, UsageSummary};
use crate::ui::dialog::{Cancel, Dialog, DialogTrigger, DialogTriggers, close_to};
use crate::ui::feedback::{FormError, FormErrors, LoadError};
use crate::ui::field::{Field, PageUser, Select, SelectOption};
use crate::ui::layout::{PageHead, Section};
use crate::ui::table::{Cell, Table};

const PATH: &str = "/admin/apis";

/// Registers an API.
#[server(prefix = "/admin/fn", endpoint = "add_api")]
pub async fn add_api(form: ApiForm) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::apis::add_as_superuser(&state, &session, &form).await?;
    crate::server::redirect("/admin/apis?done=api-added");
    Ok(())
}

/// Changes the name, description and limit of an API.
#[server(prefix = "/admin/fn", endpoint = "edit_api")]
pub async fn edit_api(id: String, form: ApiForm) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::apis::edit(&state, &session, &id, &form).await?;
    crate::server::redirect("/admin/apis?done=saved");
    Ok(())
}

/// Removes an API with its scopes.
#[server(prefix = "/admin/fn", endpoint = "remove_api")]
pub async fn remove_api(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::apis::remove_as_superuser(&state, &session, &id).await?;
    crate::server::redirect("/admin/apis?done=api-removed");
    Ok(())
}

/// Adds a scope to an API, by its id.
#[server(prefix = "/admin/fn", endpoint = "add_scope")]
pub async fn add_scope(api: String, name: String, kind: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::apis::add_scope(&state, &session, &api, &name, &kind).await?;
    crate::server::redirect(&format!("/admin/apis?scopes={api}&done=scope-added"));
    Ok(())
}

/// Removes a scope.
#[server(prefix = "/admin/fn", endpoint = "remove_scope")]
pub async fn remove_scope(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::apis::remove_scope(&state, &session, &id).await?;
    crate::server::redirect("/admin/apis?done=scope-removed");
    Ok(())
}

#[component]
pub fn AdminApisPage(data: Memo<Result<ApiPage, AppError>>) -> impl IntoView {
    let query = QueryParams::from_context();
    let content = move || match data.get() {
        Ok(page) => view! {
            <ApiTable page=page.clone()/>
            {open_dialog(page, &query.get())}
        }
        .into_any(),
        Err(error) => view! { <LoadError what="The APIs" error/> }.into_any(),
    };
    let opener = view! { <DialogTrigger path=PATH name="add" label="Add API" class="btn btn-primary"/> };
    view! {
        <PageHead title="APIs" lead="The APIs that Keyfob protects for a proxy. Users limit their keys to them and to their scopes."/>
        <AdminNav current=PATH/>
        <Section id="apis-heading" title="Registered APIs" action=opener.into_any()>{content}</Section>
    }
}

#[component]
fn ApiTable(page: ApiPage) -> impl IntoView {
    if page.apis.is_empty() {
        return view! { <p class="empty">"There are no APIs yet. Add one to protect it with keys."</p> }.into_any();
    }
    let ApiPage { apis, usage, .. } = page;
    let row = move |api: Api| {
        let (id, name_id) = (api.id.to_string(), format!("api-{}", api.id));
        let action = |name: &'static str, label: &'static str| {
            let (href, about) = (link(PATH, [(name, id.as_str())]), name_id.clone());
            view! { <a class="btn btn-sm" href=href aria-describedby=about>{label}</a> }
        };
        let actions = [action("scopes", "Scopes"), action("edit", "Edit"), action("remove", "Remove")];
        let usage = view! {
            <UsageSummary days=days_of(&usage, &api.id) id=id.clone() describes=name_id.clone()/>
        };
        let scopes = api.scopes.iter().map(|scope| scope.name.as_str()).collect::<Vec<_>>().join(", ");
        view! {
            <tr role="row">
                <td role="cell" data-label="Name" class="wide">
                    <bdi id=name_id.clone()>{api.name}</bdi>
                    <span class="under"><bdi>{api.description}</bdi></span>
                </td>
                <Cell label="Slug"><code>{api.slug}</code></Cell>
                <Cell label="Scopes">{if scopes.is_empty() { "None".to_owned() } else { scopes }}</Cell>
                <Cell label="Limit">{api.rate.map_or_else(|| "None".to_owned(), |rate| format!("{rate} per minute"))}</Cell>
                <Cell label="Requests">{usage}</Cell>
                <Cell label="" class="actions">{actions}</Cell>
            </tr>
        }
    };
    let columns = vec!["Name", "Slug", "Scopes", "Limit", "Requests", ""];
    view! {
        <DialogTriggers path=PATH kept=Vec::new()>
            <Table label="APIs" columns>{apis.into_iter().map(row).collect_view()}</Table>
        </DialogTriggers>
    }
    .into_any()
}

fn days_of(usage: &[ApiUsage], api: &ApiId) -> Vec<DayUsage> {
    usage.iter().find(|usage| usage.api == *api).map_or_else(Vec::new, |usage| usage.days.clone())
}

/// The dialog that the URL selects. Where its API or scope is gone, the error of its form shows in its place.
fn open_dialog(page: ApiPage, query: &QueryParams) -> AnyView {
    let affected = page.affected.unwrap_or_default();
    let find = |name: &str| page.apis.iter().find(|api| query.get(name).as_deref() == Some(api.id.as_str())).cloned();
    let scope = query
        .get("remove-scope")
        .and_then(|id| page.apis.iter().flat_map(|api| &api.scopes).find(|scope| scope.id.as_str() == id).cloned());
    if query.get("add").is_some() {
        return api_dialog(None);
    }
    if let Some(api) = find("usage") {
        return view! { <UsageDialog days=days_of(&page.usage, &api.id) subject="The API" name=api.name path=PATH/> }
            .into_any();
    }
    if let Some(api) = find("edit") {
        return api_dialog(Some(api));
    }
    if let Some(api) = find("scopes") {
        return scopes_dialog(api);
    }
    if let Some(api) = find("remove") {
        let text =
            "Keys that are limited to this API stop working with the next request, and other keys lose its scopes.";
        return removal_dialog(RemoveApi::url(), "Remove API", api.id.to_string(), api.name, text, affected);
    }
    if let Some(ApiScope { id, name, .. }) = scope {
        let text = "Keys lose this scope with the next request.";
        return removal_dialog(RemoveScope::url(), "Remove scope", id.to_string(), name, text, affected);
    }
    [EditApi::url(), RemoveApi::url(), AddScope::url(), RemoveScope::url()]
        .map(|action| view! { <FormError errors=FormErrors::of(action)/> })
        .into_any()
}

/// The form for a new API, or for an existing one.
fn api_dialog(api: Option<Api>) -> AnyView {
    let (action, title, label) = match api {
        None => (AddApi::url(), "Add API", "Add"),
        Some(_) => (EditApi::url(), "Edit API", "Save"),
    };
    let errors = FormErrors::of(action);
    let slug = api.is_none().then(|| {
        view! {
            <Field
                id="api-slug"
                name="form[slug]"
                label="Slug"
                hint="The first part of its scopes, for example billing. You can't change it later."
                error=errors.at("slug")
            />
        }
    });
    let id = api.as_ref().map(|api| view! { <input type="hidden" name="id" value=api.id.to_string()/> });
    let (name, description, rate) =
        api.map_or_else(Default::default, |api| (api.name, api.description, api.rate.map(|rate| rate.to_string())));
    view! {
        <Dialog id="api-dialog" title on_dismiss=close_to(PATH, &[])>
            <form method="post" action=action class="form" id="api-form">
                <PageUser/>
                {id}
                <FormError errors/>
                <Field id="api-name" name="form[name]" label="Name" value=name autofocus=true error=errors.at("name")/>
                {slug}
                <Field
                    id="api-description"
                    name="form[description]"
                    label="Description"
                    value=description
                    required=false
                    error=errors.at("description")
                />
                <Field
                    id="api-rate"
                    name="form[rate]"
                    label="Requests per minute"
                    kind="number"
                    value=rate.unwrap_or_default()
                    required=false
                    hint="Of each key. Leave empty for no limit."
                    error=errors.at("rate")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back=PATH/>
                <button class="btn btn-primary" form="api-form">{label}</button>
            </div>
        </Dialog>
    }
    .into_any()
}

/// The scopes of an API, and the form for a new one.
fn scopes_dialog(api: Api) -> AnyView {
    let errors = FormErrors::of(AddScope::url());
    let row = |scope: ApiScope| {
        let (href, kind) = (link(PATH, [("remove-scope", scope.id.as_str())]), scope.kind());
        let name_id = format!("scope-{}", scope.id);
        let about = name_id.clone();
        view! {
            <tr role="row">
                <Cell label="Scope"><code id=name_id>{scope.name}</code></Cell>
                <Cell label="Kind">{kind}</Cell>
                <Cell label="" class="actions"><a class="btn btn-sm" href=href aria-describedby=about>"Remove"</a></Cell>
            </tr>
        }
    };
    let kinds = vec![SelectOption::new("read", "Read"), SelectOption::new("write", "Write")];
    view! {
        <Dialog id="api-scopes" title="Scopes" on_dismiss=close_to(PATH, &[])>
            <p>"The API " <strong><bdi>{api.name}</bdi></strong></p>
            <Table label="Scopes" columns=vec!["Scope", "Kind", ""]>{api.scopes.into_iter().map(row).collect_view()}</Table>
            <form method="post" action=AddScope::url() class="form" id="scope-form">
                <PageUser/>
                <input type="hidden" name="api" value=api.id.to_string()/>
                <FormError errors/>
                <Field
                    id="scope-name"
                    name="name"
                    label="Name"
                    autofocus=true
                    hint="The part after the colon, for example invoices."
                    error=errors.at("name")
                />
                <Select
                    id="scope-kind"
                    name="kind"
                    label="Kind"
                    options=kinds
                    selected="read"
                    hint="Read-only keys have every scope that reads, and none that writes."
                    error=errors.at("kind")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back=PATH label="Close"/>
                <button class="btn btn-primary" form="scope-form">"Add scope"</button>
            </div>
        </Dialog>
    }
    .into_any()
}

/// Asks before a removal, and says which keys it affects.
fn removal_dialog(
    action: &'static str,
    label: &'static str,
    id: String,
    name: String,
    text: &'static str,
    affected: AffectedKeys,
) -> AnyView {
    let number = affected.number();
    let more = affected.count > AffectedKeys::MAX_NAMED;
    let keys = affected.first.into_iter().map(|key| {
        view! { <li><bdi>{key.name}</bdi> " (" <code>{key.prefix} "…"</code> ") of " <bdi>{key.owner}</bdi></li> }
    });
    view! {
        <Dialog id="remove-api" title=format!("{label}?") alert=true on_dismiss=close_to(PATH, &[])>
            <p><strong><bdi>{name}</bdi></strong> ": " {text} " You can't undo this."</p>
            <p>"Affected: " {number} {if more { ", such as:" } else { "." }}</p>
            <ul>{keys.collect_view()}</ul>
            <FormError errors=FormErrors::of(action)/>
            <div class="dialog-foot">
                <Cancel back=PATH autofocus=true/>
                <form method="post" action=action>
                    <PageUser/>
                    <input type="hidden" name="id" value=id/>
                    <button class="btn btn-error">{label}</button>
                </form>
            </div>
        </Dialog>
    }
    .into_any()
}
