//! `/admin/users`

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::AdminNav;
use crate::error::AppError;
use crate::model::link::{Parameters, link};
use crate::model::users::{Account, AccountPage};
use crate::pages::QueryParams;
use crate::pages::pagination::NextPage;
use crate::ui::dialog::{Cancel, Dialog, close_to};
use crate::ui::feedback::{FormError, FormErrors, LoadError};
use crate::ui::field::{Field, PageUser};
use crate::ui::layout::{PageHead, Section};
use crate::ui::table::{Cell, Table};
use crate::ui::time::Time;

const PATH: &str = "/admin/users";

/// Returns the accounts that match a search, and the one that a dialog is about, by its id.
#[server(prefix = "/admin/fn", endpoint = "find_users")]
pub async fn find_users(search: String, after: String, about: Option<String>) -> Result<AccountPage, AppError> {
    let (state, session) = crate::server::auth::superuser().await?;
    crate::server::users::page_with_dialog(&state.db, &session, &search, &after, about.as_deref()).await
}

/// Disables, enables, promotes or demotes an account.
#[server(prefix = "/admin/fn", endpoint = "change_user")]
pub async fn change_user(id: String, change: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::users::change_as_superuser(&state, &session, &id, &change).await?;
    crate::server::redirect(&format!("/admin/users?done={change}"));
    Ok(())
}

/// Deletes an account.
#[server(prefix = "/admin/fn", endpoint = "delete_user")]
pub async fn delete_user(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_superuser_auth().await?;
    crate::server::users::delete_as_superuser(&state, &session, &id).await?;
    crate::server::redirect("/admin/users?done=delete-user");
    Ok(())
}

#[component]
pub fn AdminUsersPage(data: Memo<Result<AccountPage, AppError>>) -> impl IntoView {
    let query = QueryParams::from_context();
    // Which dialog is open is in the address only.
    let deletes = Memo::new(move |_| query.with(|query| query.get("delete").is_some()));
    let content = move || match data.get() {
        Ok(page) => view! { <UserList page deletes=deletes.get()/> }.into_any(),
        Err(error) => view! { <LoadError what="The users" error/> }.into_any(),
    };
    view! {
        <PageHead title="Users" lead="Every user. A disabled user is signed out everywhere, and their keys are rejected."/>
        <AdminNav current=PATH/>
        <FormError errors={FormErrors::of(ChangeUser::url())}/>
        <FormError errors={FormErrors::of(DeleteUser::url())}/>
        <Section id="users-heading" title="All users">{content}</Section>
    }
}

#[component]
fn UserList(page: AccountPage, deletes: bool) -> impl IntoView {
    let AccountPage { accounts, next, search, me, about } = page;
    let dialog = about.filter(|account| deletes || account.disabled_at.is_none());
    let again = vec![("search", search.clone())];
    let kept = vec![
        ("search", search.clone()),
        ("after", QueryParams::from_context().with_untracked(|query| query.text("after"))),
    ];
    let row = {
        let kept = kept.clone();
        move |account: Account| {
            let is_me = account.user.id == me;
            view! { <UserRow account is_me kept=kept.clone()/> }
        }
    };
    let table = if accounts.is_empty() {
        view! { <p class="empty">"No users match your search."</p> }.into_any()
    } else {
        view! {
            <Table label="Users" columns=vec!["Email", "Name", "Role", "State", "Created", ""]>
                {accounts.into_iter().map(row).collect_view()}
            </Table>
        }
        .into_any()
    };
    view! {
        <form method="post" action=PATH class="form-row" role="search">
            <Field
                id="search"
                name="search"
                label="Search"
                kind="search"
                value=search
                required=false
                hint="Part of an email address or name."
            />
            <button class="btn">"Search"</button>
        </form>
        {table}
        <NextPage path=PATH filter=again next/>
        {dialog.map(|account| view! { <AccountDialog account deletes kept/> })}
    }
}

#[component]
fn UserRow(account: Account, is_me: bool, kept: Parameters) -> impl IntoView {
    let (id, name_id) = (account.user.id.to_string(), format!("user-{}", account.user.id));
    let button = |what: &'static str, label: &'static str| {
        let (id, about) = (id.clone(), name_id.clone());
        view! {
            <form method="post" action=ChangeUser::url()>
                <PageUser/>
                <input type="hidden" name="id" value=id/>
                <input type="hidden" name="change" value=what/>
                <button class="btn btn-sm" aria-describedby=about>{label}</button>
            </form>
        }
        .into_any()
    };
    let disabled = account.disabled_at.is_some();
    let dialog = |name: &'static str, label: &'static str| {
        let kept = kept.iter().map(|(name, value)| (*name, value.as_str()));
        let href = link(PATH, kept.chain([(name, id.as_str())]));
        let about = name_id.clone();
        view! { <a class="btn btn-sm" href=href aria-describedby=about>{label}</a> }.into_any()
    };
    let able = if disabled { button("enable", "Enable") } else { dialog("disable", "Disable") };
    let reset = (!disabled).then(|| {
        let (id, about) = (id.clone(), name_id.clone());
        view! {
            <form method="post" action="/admin/users/reset-link">
                <PageUser/>
                <input type="hidden" name="id" value=id/>
                <button class="btn btn-sm" aria-describedby=about>"Reset link"</button>
            </form>
        }
    });
    let delete = (!is_me).then(|| dialog("delete", "Delete"));
    let role = if account.user.superuser { button("demote", "Demote") } else { button("promote", "Promote") };
    view! {
        <tr role="row" class=if disabled { "dim" } else { "" }>
            <td role="cell" data-label="Email" class="wide">
                <bdi id=name_id.clone()>{account.user.email.clone()}</bdi>
                {is_me.then(|| view! { <span class="under">"This is you"</span> })}
            </td>
            <Cell label="Name"><bdi>{account.user.name.clone()}</bdi></Cell>
            <Cell label="Role">{if account.user.superuser { "Superuser" } else { "User" }}</Cell>
            <Cell label="State">{if disabled { "Disabled" } else { "Active" }}</Cell>
            <Cell label="Created"><Time at=account.created_at/></Cell>
            <Cell label="" class="actions">{able}{role}{reset}{delete}</Cell>
        </tr>
    }
}

#[component]
fn AccountDialog(account: Account, deletes: bool, kept: Parameters) -> impl IntoView {
    let close = close_to(PATH, &kept);
    let (title, effect, advice, label, action) = if deletes {
        (
            "Delete this account?",
            " loses the account with its keys, sessions and employees, and teams in which nobody else is. This can't be undone.",
            "The audit keeps what happened, without their names and addresses.",
            "Delete account",
            DeleteUser::url(),
        )
    } else {
        (
            "Disable this account?",
            " will be signed out everywhere, and their keys stop working with the next request. You can enable the account again.",
            "If they're the only active admin of a team, make another member an admin first.",
            "Disable account",
            ChangeUser::url(),
        )
    };
    view! {
        <Dialog id="change-account" title alert=true on_dismiss=close>
            <p><strong><bdi>{account.user.email}</bdi></strong>{effect}</p>
            <p>{advice}</p>
            <div class="dialog-foot">
                <Cancel back=PATH kept autofocus=true/>
                <form method="post" action=action>
                    <PageUser/>
                    <input type="hidden" name="id" value=account.user.id.to_string()/>
                    {(!deletes).then(|| view! { <input type="hidden" name="change" value="disable"/> })}
                    <button class="btn btn-error">{label}</button>
                </form>
            </div>
        </Dialog>
    }
}
