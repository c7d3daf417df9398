//! Invitations: those to the user on `/teams`, and those of a team on its page.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::error::AppError;
use crate::model::teams::{Invitation, SentInvitation, Team};
use crate::ui::feedback::{FormError, FormErrors, LoadError};
use crate::ui::field::PageUser;
use crate::ui::layout::Section;
use crate::ui::table::{Cell, Table};
use crate::ui::time::Time;

/// Returns the open invitations of the signed-in user, newest first.
#[server(prefix = "/fn", endpoint = "list_invitations")]
pub async fn list_invitations() -> Result<Vec<Invitation>, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::invitations::list(&state.db, &session, state.now()).await
}

/// Accepts the invitation of a team, by its slug.
#[server(prefix = "/fn", endpoint = "accept_invitation")]
pub async fn accept_invitation(team: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let team = crate::server::teams::invitations::accept(&state, &session, &team).await?;
    crate::server::redirect(&format!("{}?done=joined", team.path()));
    Ok(())
}

/// Declines the invitation of a team, by its slug.
#[server(prefix = "/fn", endpoint = "decline_invitation")]
pub async fn decline_invitation(team: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::invitations::decline(&state, &session, &team).await?;
    crate::server::redirect("/teams?done=declined");
    Ok(())
}

/// Cancels an invitation that a team has sent to this email address.
#[server(prefix = "/fn", endpoint = "cancel_invitation")]
pub async fn cancel_invitation(team: String, email: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::invitations::cancel(&state, &session, &team, &email).await?;
    crate::server::redirect(&format!("/a/{team}?done=cancelled"));
    Ok(())
}

/// The section "Invitations" of `/teams`. Hidden without invitations.
#[component]
pub fn InvitationSection(invitations: Result<Vec<Invitation>, AppError>) -> impl IntoView {
    let content = match invitations {
        Ok(invitations) if invitations.is_empty() => None,
        Ok(invitations) => Some(view! { <InvitationTable invitations/> }.into_any()),
        Err(error) => Some(view! { <LoadError what="Your invitations" error/> }.into_any()),
    };
    let (accept, decline) = (FormErrors::of(AcceptInvitation::url()), FormErrors::of(DeclineInvitation::url()));
    view! {
        <InvitationError errors=accept/>
        <InvitationError errors=decline/>
        {content.map(|content| view! { <Section id="invitations-heading" title="Invitations">{content}</Section> })}
    }
}

/// The error of accepting or declining an invitation. A missing invitation was open when the page was loaded.
#[component]
fn InvitationError(errors: FormErrors) -> impl IntoView {
    let gone = move || {
        let sentence = "This invitation is no longer open. Ask a team admin to invite you again.";
        view! { <div role="alert" class="form-error"><p>{sentence}</p></div> }.into_any()
    };
    move || if errors.is(&AppError::NotFound) { gone() } else { view! { <FormError errors/> }.into_any() }
}

#[component]
fn InvitationTable(invitations: Vec<Invitation>) -> impl IntoView {
    let row = |Invitation { slug, name, role, inviter, expires_at }: Invitation| {
        let id = format!("invitation-{slug}");
        let button = |action: &'static str, class: &'static str, label: &'static str| {
            let (slug, about) = (slug.clone(), id.clone());
            view! {
                <form method="post" action=action>
                    <PageUser/>
                    <input type="hidden" name="team" value=slug/>
                    <button class=class aria-describedby=about>{label}</button>
                </form>
            }
        };
        let accept = button(AcceptInvitation::url(), "btn btn-sm btn-primary", "Accept");
        let decline = button(DeclineInvitation::url(), "btn btn-sm", "Decline");
        view! {
            <tr role="row">
                <td role="cell" data-label="Team" class="wide"><bdi id=id.clone()>{name}</bdi></td>
                <Cell label="Address"><code>{format!("/a/{slug}")}</code></Cell>
                <Cell label="Role">{role.label()}</Cell>
                <Cell label="Invited by" class="person"><bdi>{inviter}</bdi></Cell>
                <Cell label="Expires"><Time at=expires_at/></Cell>
                <Cell label="" class="actions">{accept} {decline}</Cell>
            </tr>
        }
    };
    view! {
        <Table label="Invitations" columns=vec!["Team", "Address", "Role", "Invited by", "Expires", ""]>
            {invitations.into_iter().map(row).collect_view()}
        </Table>
    }
}

/// The section "Invitations" on the page of a team, for its admins. Hidden without open invitations.
#[component]
pub fn SentSection(team: Team, invitations: Vec<SentInvitation>) -> impl IntoView {
    let errors = FormErrors::of(CancelInvitation::url());
    let row = move |SentInvitation { email, role, inviter, created_at, expires_at }: SentInvitation| {
        let (slug, id) = (team.slug.clone(), format!("invited-{email}"));
        view! {
            <tr role="row">
                <td role="cell" data-label="Email" class="wide"><bdi id=id.clone()>{email.clone()}</bdi></td>
                <Cell label="Role">{role.label()}</Cell>
                <Cell label="Invited by" class="person"><bdi>{inviter}</bdi></Cell>
                <Cell label="Invited"><Time at=created_at/></Cell>
                <Cell label="Expires"><Time at=expires_at/></Cell>
                <Cell label="" class="actions">
                    <form method="post" action=CancelInvitation::url()>
                        <PageUser/>
                        <input type="hidden" name="team" value=slug/>
                        <input type="hidden" name="email" value=email/>
                        <button class="btn btn-sm" aria-describedby=id>"Cancel invitation"</button>
                    </form>
                </Cell>
            </tr>
        }
    };
    let columns = vec!["Email", "Role", "Invited by", "Invited", "Expires", ""];
    let section = (!invitations.is_empty()).then(|| {
        view! {
            <Section id="invitations-heading" title="Invitations">
                <Table label="Invitations" columns>{invitations.into_iter().map(row).collect_view()}</Table>
            </Section>
        }
    });
    view! {
        <FormError errors/>
        {section}
    }
}
