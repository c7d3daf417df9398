//! The page of one team: its members and its keys.

use leptos::ev::SubmitEvent;
use leptos::form::FromFormData;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::done;
use super::invitations::SentSection;
use crate::error::AppError;
use crate::model::keys::{KeyEntry, KeySlice, Status};
use crate::model::teams::{Member, Role, Team, TeamPage};
use crate::model::time::Timestamp;
use crate::pages::QueryParams;
use crate::pages::admin::NextPage;
use crate::pages::keys::table::Cells;
use crate::pages::profile::Time;
use crate::pages::reauth::Waiting;
use crate::ui::browser;
use crate::ui::dialog::{Cancel, Dialog, Opener};
use crate::ui::field::{Choice, Field, PageUser};
use crate::ui::layout::Section;
use crate::ui::notice::{Done, FormProblem, Problems};
use crate::ui::table::{Cell, Table};

/// Returns a team of the signed-in user by its slug, with a page of its keys and the key that a dialog is about, by its id.
#[server(prefix = "/fn", endpoint = "load_team")]
pub async fn load_team(team: String, after: Option<String>, about: Option<String>) -> Result<TeamPage, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let (after, about) = (after.unwrap_or_default(), about.unwrap_or_default());
    crate::server::teams::page(&state, &session, &team, &after, &about).await
}

/// Invites an email address to a team.
#[server(prefix = "/fn", endpoint = "add_member")]
pub async fn add_member(team: String, email: String, role: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let form = crate::model::teams::InvitationForm { email, role };
    crate::server::teams::invitations::send(&state, &session, &team, &form).await?;
    crate::server::redirect(&format!("/a/{team}?done=invited"));
    Ok(())
}

/// Gives a member another role.
#[server(prefix = "/fn", endpoint = "set_role")]
pub async fn set_role(team: String, user: String, role: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_auth().await?;
    crate::server::teams::set_role(&state, &session, &team, &user, &role).await?;
    crate::server::redirect(&format!("/a/{team}?done=role"));
    Ok(())
}

/// Removes a member; or leaves, where it is whoever asks.
#[server(prefix = "/fn", endpoint = "remove_member")]
pub async fn remove_member(team: String, user: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::remove(&state, &session, &team, &user).await?;
    let left = user == session.user.id.as_str();
    crate::server::redirect(&if left { "/teams?done=left".to_owned() } else { format!("/a/{team}?done=removed") });
    Ok(())
}

/// Revokes a key that is limited to the team.
#[server(prefix = "/fn", endpoint = "revoke_team_key")]
pub async fn revoke_team_key(team: String, id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::revoke_key(&state, &session, &team, &id).await?;
    crate::server::redirect(&format!("/a/{team}?done=revoked"));
    Ok(())
}

/// `/a/{team}`
#[component]
pub fn OneTeamPage(page: TeamPage) -> impl IntoView {
    let TeamPage { team, role, me, members, invitations, keys, now } = page;
    let is_admin = role == Role::Admin;
    let employees = format!("{}/employees", team.path());
    let shown = team.clone();
    let row = {
        let (team, me) = (team.clone(), me.clone());
        move |member: Member| {
            let removable = member.user_id != me;
            let actions = is_admin.then(|| {
                let (team, member) = (team.clone(), member.clone());
                view! { <MemberActions team member removable/> }
            });
            view! { <MemberRow member actions=actions.into_any()/> }
        }
    };
    view! {
        <div class="page-head">
            <h1><bdi>{team.name.clone()}</bdi></h1>
            <p>"Data of this team is at " <code>{team.path()}</code> ", for its members and for keys that are theirs."</p>
        </div>
        <Done text=done()/>
        <FormProblem problems={Problems::told::<SetRole>()}/>
        <FormProblem problems={Problems::told::<RemoveMember>()}/>
        <Section id="employees-heading" title="Employees">
            <p><a class="btn" href=employees>"Employees of the team"</a></p>
        </Section>
        <Section id="members-heading" title="Members">
            <Table label="Members" columns=vec!["Email", "Name", "Role", "Since", ""]>{members.into_iter().map(row).collect_view()}</Table>
        </Section>
        {is_admin.then(|| view! { <AddSection team=team.clone()/> <SentSection team=team.clone() invitations/> })}
        {is_admin.then(|| view! { <TeamKeySection team=shown keys now/> })}
        <LeaveSection team me=me.to_string()/>
    }
}

#[component]
fn MemberRow(member: Member, actions: AnyView) -> impl IntoView {
    view! {
        <tr role="row">
            <td role="cell" data-label="Email" class="wide">
                <bdi id=format!("member-{}", member.user_id)>{member.email}</bdi>
            </td>
            <Cell label="Name"><bdi>{member.name}</bdi></Cell>
            <Cell label="Role">{member.role.label()}</Cell>
            <Cell label="Since"><Time at=member.created_at/></Cell>
            <Cell label="" class="actions">{actions}</Cell>
        </tr>
    }
}

/// What an admin can do with a member.
#[component]
fn MemberActions(team: Team, member: Member, removable: bool) -> impl IntoView {
    let (id, name_id) = (member.user_id.to_string(), format!("member-{}", member.user_id));
    let (role, label) = match member.role {
        Role::Admin => (Role::Member, "Make member"),
        Role::Member => (Role::Admin, "Make admin"),
    };
    let remove = removable.then(|| {
        let (slug, id, about) = (team.slug.clone(), id.clone(), name_id.clone());
        view! {
            <form method="post" action=RemoveMember::url()>
                <PageUser/>
                <input type="hidden" name="team" value=slug/>
                <input type="hidden" name="user" value=id/>
                <button class="btn btn-sm" aria-describedby=about>"Remove"</button>
            </form>
        }
    });
    view! {
        <form method="post" action=SetRole::url()>
            <PageUser/>
            <input type="hidden" name="team" value=team.slug/>
            <input type="hidden" name="user" value=id.clone()/>
            <input type="hidden" name="role" value=role.as_str()/>
            <button class="btn btn-sm" aria-describedby=name_id.clone()>{label}</button>
        </form>
        {remove}
    }
}

#[component]
fn AddSection(team: Team) -> impl IntoView {
    let add = ServerAction::<AddMember>::new();
    let (problems, waiting) = (Problems::of(add), Waiting::here());
    waiting.retry_after_reauth(problems);
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if let (false, Ok(call)) = (add.pending().get_untracked(), AddMember::from_event(&event)) {
            waiting.send(move || drop(add.dispatch(call.clone())));
        }
    };
    let roles = Role::ALL.map(|role| (role.as_str().to_owned(), role.label().to_owned()));
    view! {
        <Section id="add-heading" title="Add member">
            <form method="post" action=AddMember::url() class="form" on:submit=send>
                <PageUser/>
                <input type="hidden" name="team" value=team.slug/>
                <FormProblem problems/>
                <Field
                    id="member-email"
                    name="email"
                    label="Email"
                    kind="email"
                    hint="They're invited, with or without an account here, and accept on their Teams page."
                    error=problems.at("email")
                />
                <Choice
                    id="member-role"
                    name="role"
                    label="Role"
                    options=roles.to_vec()
                    selected="member"
                    hint="Members use the team's data. Admins also manage its members and keys."
                    error=problems.at("role")
                />
                <div class="form-foot"><button class="btn" disabled=move || add.pending().get()>"Add member"</button></div>
            </form>
        </Section>
    }
}

#[component]
fn TeamKeySection(team: Team, keys: KeySlice, now: Timestamp) -> impl IntoView {
    let asked = QueryParams::here().get("revoke");
    let dialog = asked.and_then(|id| keys.find(&id).cloned());
    let KeySlice { keys, next, .. } = keys;
    let dialog = dialog.filter(|entry| entry.key.revoked_at.is_none());
    let path = team.path();
    let row = {
        let path = path.clone();
        move |entry: KeyEntry| view! { <TeamKeyRow path=path.clone() entry now/> }
    };
    let table = if keys.is_empty() {
        view! { <p class="empty">"No key is limited to this team. Members create such keys on their profile page."</p> }
            .into_any()
    } else {
        let columns = vec!["Name", "Owner", "Key", "Access", "Last used", "Expires", "Status", ""];
        view! { <Table label="API keys" columns>{keys.into_iter().map(row).collect_view()}</Table> }.into_any()
    };
    view! {
        <Section id="keys-heading" title="API keys">
            {table}
            <NextPage path asked=Vec::new() name="after" next/>
        </Section>
        {dialog.map(|entry| view! { <RevokeTeamKeyDialog team entry/> })}
    }
}

#[component]
fn TeamKeyRow(path: String, entry: KeyEntry, now: Timestamp) -> impl IntoView {
    let (status, name_id, id) = (entry.key.status(now), format!("key-{}", entry.key.id), entry.key.id.to_string());
    let revoke = (status != Status::Revoked).then(|| {
        let href = format!("{path}?revoke={id}");
        view! { <a class="btn btn-sm" href=href aria-describedby=name_id.clone()>"Revoke"</a> }
    });
    let Cells { key, access, used, expires, state, .. } = Cells::of(&entry, now);
    view! {
        <tr role="row" class=if matches!(status, Status::Expired | Status::Revoked) { "dim" } else { "" }>
            <td role="cell" data-label="Name" class="wide"><bdi id=name_id>{entry.key.name.as_str().to_owned()}</bdi></td>
            <Cell label="Owner" class="person"><bdi>{entry.owner}</bdi></Cell>
            <Cell label="Key">{key}</Cell>
            <Cell label="Access">{access}</Cell>
            <Cell label="Last used">{used}</Cell>
            <Cell label="Expires">{expires}</Cell>
            <Cell label="Status">{state}</Cell>
            <Cell label="" class="actions">{revoke}</Cell>
        </tr>
    }
}

#[component]
fn RevokeTeamKeyDialog(team: Team, entry: KeyEntry) -> impl IntoView {
    let path = StoredValue::new(team.path());
    let close = Callback::new(move |()| browser::go(&path.get_value()));
    view! {
        <Dialog id="revoke-key" title="Revoke this key?" alert=true on_dismiss=close>
            <p>
                "The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong> " of " <bdi>{entry.owner}</bdi>
                " is refused from the next request on. This cannot be undone."
            </p>
            <FormProblem problems={Problems::told::<RevokeTeamKey>()}/>
            <div class="dialog-foot">
                <Cancel back=path.get_value() autofocus=true on_cancel=close/>
                <form method="post" action=RevokeTeamKey::url()>
                    <PageUser/>
                    <input type="hidden" name="team" value=team.slug/>
                    <input type="hidden" name="id" value=entry.key.id.to_string()/>
                    <button class="btn btn-error">"Revoke key"</button>
                </form>
            </div>
        </Dialog>
    }
}

#[component]
fn LeaveSection(team: Team, me: String) -> impl IntoView {
    let asking = RwSignal::new(QueryParams::here().get("leave").is_some());
    let path = StoredValue::new(team.path());
    let close = Callback::new(move |()| asking.set(false));
    let on_open = Callback::new(move |()| asking.set(true));
    let dialog = move || {
        let (slug, me) = (team.slug.clone(), me.clone());
        asking.get().then(|| {
            view! {
                <Dialog id="leave-team" title="Leave this team?" alert=true on_dismiss=close>
                    <p>"You no longer reach its data, and your keys for it are revoked. Only an admin can invite you again."</p>
                    <div class="dialog-foot">
                        <Cancel back=path.get_value() autofocus=true on_cancel=close/>
                        <form method="post" action=RemoveMember::url()>
                            <PageUser/>
                            <input type="hidden" name="team" value=slug/>
                            <input type="hidden" name="user" value=me/>
                            <button class="btn btn-error">"Leave team"</button>
                        </form>
                    </div>
                </Dialog>
            }
        })
    };
    view! {
        <Section id="leave-heading" title="Leave">
            <Opener path=path.get_value() name="leave" label="Leave this team" on_open/>
        </Section>
        {dialog}
    }
}
