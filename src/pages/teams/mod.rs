//! The pages of teams: the list here, and one team. Each change is a form, and ends in a new page.

pub mod invitations;
mod team;

use leptos::prelude::*;

use self::invitations::InvitationSection;
pub use self::team::{OneTeamPage, load_team};
use super::QueryParams;
use crate::error::AppError;
use crate::model::teams::{Invitation, Membership, TeamForm};
use crate::ui::field::{Field, PageUser};
use crate::ui::layout::{PageHead, Section};
use crate::ui::notice::{Done, FormProblem, LoadProblem, Problems};
use crate::ui::table::{Cell, Table};

/// The teams of whoever asks, by name.
#[server(prefix = "/fn", endpoint = "list_teams")]
pub async fn list_teams() -> Result<Vec<Membership>, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::list(&state.db, &session.user.id).await
}

/// Makes a team, with whoever asks as its admin.
#[server(prefix = "/fn", endpoint = "create_team")]
pub async fn create_team(form: TeamForm) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let team = crate::server::teams::create(&state.db, &session, &form, state.now()).await?;
    crate::server::redirect(&team.path());
    Ok(())
}

/// What the page before did, told on this one.
fn done() -> Signal<Option<String>> {
    let sentence = match QueryParams::here().get("done").as_deref() {
        Some("left") => "You have left the team.",
        Some("invited") => {
            "The invitation is open for 14 days. No email is sent: ask them to accept it on their Teams page."
        }
        Some("cancelled") => "The invitation is cancelled.",
        Some("joined") => "You're in the team now.",
        Some("declined") => "The invitation is declined.",
        Some("role") => "The role is changed.",
        Some("removed") => "They are no longer in the team. Their keys for it are revoked.",
        Some("revoked") => "The key is revoked.",
        _ => return Signal::stored(None),
    };
    Signal::stored(Some(sentence.to_owned()))
}

/// `/teams`
#[component]
pub fn TeamsPage(
    teams: Result<Vec<Membership>, AppError>,
    invitations: Result<Vec<Invitation>, AppError>,
) -> impl IntoView {
    let row = |Membership { team, role }: Membership| {
        view! {
            <tr role="row">
                <td role="cell" data-label="Name" class="wide"><a href=team.path()><bdi>{team.name.clone()}</bdi></a></td>
                <Cell label="Address"><code>{team.path()}</code></Cell>
                <Cell label="Your role">{role.label()}</Cell>
            </tr>
        }
    };
    let list = match teams {
        Ok(teams) if teams.is_empty() => {
            view! { <p class="empty">"You're not in a team yet. Create one, or ask a team admin to invite you."</p> }.into_any()
        }
        Ok(teams) => view! {
            <Table label="Teams" columns=vec!["Name", "Address", "Your role"]>{teams.into_iter().map(row).collect_view()}</Table>
        }
        .into_any(),
        Err(error) => view! { <LoadProblem what="Your teams" error/> }.into_any(),
    };
    let create = ServerAction::<CreateTeam>::new();
    let problems = Problems::of(create);
    view! {
        <PageHead title="Teams" lead="People who share data. A key can be limited to one team."/>
        <Done text=done()/>
        <InvitationSection invitations/>
        <Section id="teams-heading" title="Your teams">{list}</Section>
        <Section id="create-team-heading" title="Create team">
            <ActionForm action=create attr:class="form">
                <PageUser/>
                <FormProblem problems/>
                <Field id="team-name" name="form[name]" label="Name" error=problems.at("name")/>
                <Field
                    id="team-slug"
                    name="form[slug]"
                    label="Address"
                    least=2
                    hint="Its part of addresses, such as: red-team. It cannot be changed later."
                    error=problems.at("slug")
                />
                <div class="form-foot"><button class="btn" disabled=move || create.pending().get()>"Create team"</button></div>
            </ActionForm>
        </Section>
    }
}
