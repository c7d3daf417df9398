//! The list of teams, and the page of one team. Each change is a plain form that ends in a new page.

pub mod invitations;
mod team;
mod team_keys;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use self::invitations::InvitationSection;
pub use self::team::OneTeamPage;
use super::QueryParams;
use crate::error::AppError;
use crate::model::teams::{Invitation, Membership, TeamForm};
use crate::ui::feedback::{ActionErrors, FormError, LoadError, StatusMessage};
use crate::ui::field::{Field, PageUser};
use crate::ui::layout::{PageHead, Section};
use crate::ui::table::{Cell, Table};

/// Returns the teams of the signed-in user, by name.
#[server(prefix = "/fn", endpoint = "list_teams")]
pub async fn list_teams() -> Result<Vec<Membership>, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::list(&state.db, &session.user.id).await
}

/// Creates a team, with the signed-in user as its admin.
#[server(prefix = "/fn", endpoint = "create_team")]
pub async fn create_team(form: TeamForm) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    let team = crate::server::teams::create(&state.db, &session, &form, state.now()).await?;
    crate::server::redirect(&team.path());
    Ok(())
}

/// Returns the status message of the action that led to this page.
fn done() -> Signal<Option<String>> {
    let sentence = match QueryParams::from_context().get("done").as_deref() {
        Some("left") => "You left the team.",
        Some("invited") => {
            "Invitation created. It's open for 14 days. No email is sent, so ask them to accept it on their Teams page."
        }
        Some("cancelled") => "Invitation cancelled.",
        Some("joined") => "You joined the team.",
        Some("declined") => "Invitation declined.",
        Some("role") => "Role changed.",
        Some("removed") => "Member removed. Their keys for this team were revoked.",
        Some("revoked") => "Key revoked.",
        _ => return Signal::stored(None),
    };
    Signal::stored(Some(sentence.to_owned()))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TeamsData {
    pub teams: Result<Vec<Membership>, AppError>,
    pub invitations: Result<Vec<Invitation>, AppError>,
}

/// `/teams`
#[component]
pub fn TeamsPage(data: TeamsData) -> impl IntoView {
    let TeamsData { teams, invitations } = data;
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
            view! { <p class="empty">"You're not in a team yet. Create one, or ask a team admin to add you."</p> }.into_any()
        }
        Ok(teams) => view! {
            <Table label="Teams" columns=vec!["Name", "Address", "Your role"]>{teams.into_iter().map(row).collect_view()}</Table>
        }
        .into_any(),
        Err(error) => view! { <LoadError what="Your teams" error/> }.into_any(),
    };
    let create = ServerAction::<CreateTeam>::new();
    let errors = ActionErrors::of(create);
    view! {
        <PageHead title="Teams" lead="People who share data. A key can be limited to one team."/>
        <StatusMessage text=done()/>
        <InvitationSection invitations/>
        <Section id="teams-heading" title="Your teams">{list}</Section>
        <Section id="create-team-heading" title="Create team">
            <ActionForm action=create attr:class="form">
                <PageUser/>
                <FormError errors/>
                <Field id="team-name" name="form[name]" label="Name" error=errors.at("name")/>
                <Field
                    id="team-slug"
                    name="form[slug]"
                    label="Address"
                    min_length=2
                    hint="Part of the team's address, for example red-team. You can't change it later."
                    error=errors.at("slug")
                />
                <div class="form-foot"><button class="btn" disabled=move || create.pending().get()>"Create team"</button></div>
            </ActionForm>
        </Section>
    }
}
