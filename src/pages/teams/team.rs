//! `/a/{team}`: the members of a team.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::invitations::SentSection;
use super::team_keys::TeamKeySection;
use crate::error::AppError;
use crate::model::team_page::TeamPage;
use crate::model::teams::{Member, Role, Team};
use crate::pages::QueryParams;
use crate::ui::dialog::{Cancel, Dialog, DialogTrigger, close_to};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::{Field, PageUser, Select, SelectOption};
use crate::ui::layout::Section;
use crate::ui::table::{Cell, Table};
use crate::ui::time::Time;

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

/// Changes the role of a member.
#[server(prefix = "/fn", endpoint = "set_role")]
pub async fn set_role(team: String, user: String, role: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_auth().await?;
    crate::server::teams::set_role(&state, &session, &team, &user, &role).await?;
    crate::server::redirect(&format!("/a/{team}?done=role"));
    Ok(())
}

/// Removes a member. The signed-in user leaves the team this way.
#[server(prefix = "/fn", endpoint = "remove_member")]
pub async fn remove_member(team: String, user: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::remove(&state, &session, &team, &user).await?;
    let left = user == session.user.id.as_str();
    crate::server::redirect(&if left { "/teams?done=left".to_owned() } else { format!("/a/{team}?done=removed") });
    Ok(())
}

/// `/a/{team}`
#[component]
pub fn OneTeamPage(data: Memo<Box<TeamPage>>) -> impl IntoView {
    // Each section follows its own part: what is typed in one stays when another changes.
    let team = data.with_untracked(|data| data.team.clone());
    let role = Memo::new(move |_| data.with(|data| data.role));
    let members = Memo::new(move |_| data.with(|data| (data.members.clone(), data.me.clone(), data.role)));
    let invitations = Memo::new(move |_| data.with(|data| data.invitations.clone()));
    let keys = Memo::new(move |_| data.with(|data| (data.keys.clone(), data.now)));
    let slug = StoredValue::new(team.slug.clone());
    let member_table = move || {
        let (members, me, role) = members.get();
        let row = |member: Member| {
            let removable = member.user_id != me;
            let actions = (role == Role::Admin).then(|| {
                let (slug, member) = (slug.get_value(), member.clone());
                view! { <MemberActions slug member removable/> }
            });
            view! { <MemberRow member actions=actions.into_any()/> }
        };
        let rows = members.into_iter().map(row).collect_view();
        view! { <Table label="Members" columns=vec!["Email", "Name", "Role", "Since", ""]>{rows}</Table> }
    };
    let admin = {
        let team = team.clone();
        move || {
            (role.get() == Role::Admin).then(|| {
                let (sent, with_keys) = (team.clone(), team.clone());
                view! {
                    <AddSection team=team.clone()/>
                    {move || view! { <SentSection team=sent.clone() invitations=invitations.get()/> }}
                    {move || {
                        let (keys, now) = keys.get();
                        view! { <TeamKeySection team=with_keys.clone() keys now/> }
                    }}
                }
            })
        }
    };
    let employees = format!("{}/employees", team.path());
    view! {
        <div class="page-head">
            <h1><bdi>{team.name.clone()}</bdi></h1>
            <p>"The team's data is at " <code>{team.path()}</code> ", for its members and their keys."</p>
        </div>
        <FormError errors={FormErrors::of(SetRole::url())}/>
        <FormError errors={FormErrors::of(RemoveMember::url())}/>
        <Section id="employees-heading" title="Employees">
            <p><a class="btn" href=employees>"View employees"</a></p>
        </Section>
        <Section id="members-heading" title="Members">{member_table}</Section>
        {admin}
        <LeaveSection team me=data.with_untracked(|data| data.me.to_string())/>
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

/// The actions of an admin on a member.
#[component]
fn MemberActions(slug: String, member: Member, removable: bool) -> impl IntoView {
    let (id, name_id) = (member.user_id.to_string(), format!("member-{}", member.user_id));
    let (role, label) = match member.role {
        Role::Admin => (Role::Member, "Make member"),
        Role::Member => (Role::Admin, "Make admin"),
    };
    let remove = removable.then(|| {
        let (slug, id, about) = (slug.clone(), id.clone(), name_id.clone());
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
            <input type="hidden" name="team" value=slug/>
            <input type="hidden" name="user" value=id.clone()/>
            <input type="hidden" name="role" value=role.as_str()/>
            <button class="btn btn-sm" aria-describedby=name_id.clone()>{label}</button>
        </form>
        {remove}
    }
}

#[component]
fn AddSection(team: Team) -> impl IntoView {
    let errors = FormErrors::of(AddMember::url());
    let roles = Role::ALL.map(|role| SelectOption::new(role.as_str(), role.label()));
    view! {
        <Section id="add-heading" title="Add member">
            <form method="post" action=AddMember::url() class="form">
                <PageUser/>
                <input type="hidden" name="team" value=team.slug/>
                <FormError errors/>
                <Field
                    id="member-email"
                    name="email"
                    label="Email"
                    kind="email"
                    hint="They accept the invitation on their Teams page. They can sign up later."
                    error=errors.at("email")
                />
                <Select
                    id="member-role"
                    name="role"
                    label="Role"
                    options=roles.into()
                    selected="member"
                    hint="Members use the team's data. Admins also manage its members and keys."
                    error=errors.at("role")
                />
                <div class="form-foot"><button class="btn">"Add member"</button></div>
            </form>
        </Section>
    }
}

#[component]
fn LeaveSection(team: Team, me: String) -> impl IntoView {
    let (query, path) = (QueryParams::from_context(), team.path());
    let below = path.clone();
    let dialog = move || {
        let (slug, me, back) = (team.slug.clone(), me.clone(), below.clone());
        query.with(|query| query.get("leave")).map(|_| {
            view! {
                <Dialog id="leave-team" title="Leave this team?" alert=true on_dismiss=close_to(&back, &[])>
                    <p>"You lose access to the team's data, and your keys for it are revoked. Only an admin can invite you again."</p>
                    <div class="dialog-foot">
                        <Cancel back autofocus=true/>
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
            <DialogTrigger path name="leave" label="Leave this team"/>
        </Section>
        {dialog}
    }
}
