//! The list of teams, and the page of one team.

pub mod invitations;
mod team;
mod team_keys;

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use serde::{Deserialize, Serialize};

use self::invitations::InvitationSection;
pub use self::team::OneTeamPage;
use crate::error::AppError;
use crate::model::teams::{Invitation, Membership, TeamForm};
use crate::ui::feedback::{FormError, FormErrors, LoadError};
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamsData {
    pub teams: Result<Vec<Membership>, AppError>,
    pub invitations: Result<Vec<Invitation>, AppError>,
}

/// `/teams`
#[component]
pub fn TeamsPage(data: Memo<TeamsData>) -> impl IntoView {
    let row = |Membership { team, role }: Membership| {
        view! {
            <tr role="row">
                <td role="cell" data-label="Name" class="wide"><a href=team.path()><bdi>{team.name.clone()}</bdi></a></td>
                <Cell label="Address"><code>{team.path()}</code></Cell>
                <Cell label="Your role">{role.label()}</Cell>
            </tr>
        }
    };
    let list = move || {
        match data.with(|data| data.teams.clone()) {
        Ok(teams) if teams.is_empty() => {
            view! { <p class="empty">"You're not in a team yet. Create one, or ask a team admin to add you."</p> }.into_any()
        }
        Ok(teams) => view! {
            <Table label="Teams" columns=vec!["Name", "Address", "Your role"]>{teams.into_iter().map(row).collect_view()}</Table>
        }
        .into_any(),
        Err(error) => view! { <LoadError what="Your teams" error/> }.into_any(),
    }
    };
    let errors = FormErrors::of(CreateTeam::url());
    view! {
        <PageHead title="Teams" lead="People who share data. A key can be limited to one team."/>
        {move || view! { <InvitationSection invitations=data.with(|data| data.invitations.clone())/> }}
        <Section id="teams-heading" title="Your teams">{list}</Section>
        <Section id="create-team-heading" title="Create team">
            <form method="post" action=CreateTeam::url() class="form">
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
                <div class="form-foot"><button class="btn">"Create team"</button></div>
            </form>
        </Section>
    }
}
