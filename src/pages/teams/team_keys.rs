//! The keys of a team, for its admins.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::error::AppError;
use crate::model::keys::{KeyEntry, KeySlice, Status};
use crate::model::teams::Team;
use crate::model::time::Timestamp;
use crate::pages::QueryParams;
use crate::pages::keys::table::{OWNED_KEY_COLUMNS, OwnedKeyRow, name_id};
use crate::pages::pagination::NextPage;
use crate::ui::dialog::{Cancel, Dialog, close_to};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::PageUser;
use crate::ui::layout::Section;
use crate::ui::table::Table;

/// Revokes a key that is limited to the team.
#[server(prefix = "/fn", endpoint = "revoke_team_key")]
pub async fn revoke_team_key(team: String, id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::teams::revoke_key(&state, &session, &team, &id).await?;
    crate::server::redirect(&format!("/a/{team}?done=revoked"));
    Ok(())
}

#[component]
pub fn TeamKeySection(team: Team, keys: KeySlice, now: Timestamp) -> impl IntoView {
    let query = QueryParams::from_context();
    let KeySlice { keys, next, about } = keys;
    let known: Vec<_> = keys.iter().cloned().chain(about).collect();
    let path = team.path();
    let row = {
        let path = path.clone();
        move |entry: KeyEntry| view! { <TeamKeyRow path=path.clone() entry now/> }
    };
    let table = if keys.is_empty() {
        view! { <p class="empty">"No keys are limited to this team. Members create them on their profile page."</p> }
            .into_any()
    } else {
        let columns = OWNED_KEY_COLUMNS.to_vec();
        view! { <Table label="API keys" columns>{keys.into_iter().map(row).collect_view()}</Table> }.into_any()
    };
    view! {
        <Section id="keys-heading" title="API keys">
            {table}
            <NextPage path next/>
        </Section>
        {move || {
            let id = query.with(|query| query.get("revoke"))?;
            let found = known.iter().find(|entry| entry.key.id.as_str() == id && entry.key.revoked_at.is_none());
            found.cloned().map(|entry| view! { <RevokeTeamKeyDialog team=team.clone() entry/> })
        }}
    }
}

#[component]
fn TeamKeyRow(path: String, entry: KeyEntry, now: Timestamp) -> impl IntoView {
    let actions = (entry.key.status(now) != Status::Revoked).then(|| {
        let href = format!("{path}?revoke={}", entry.key.id);
        view! { <a class="btn btn-sm" href=href aria-describedby=name_id(&entry)>"Revoke"</a> }.into_any()
    });
    view! { <OwnedKeyRow entry now tick=None actions/> }
}

#[component]
fn RevokeTeamKeyDialog(team: Team, entry: KeyEntry) -> impl IntoView {
    let path = team.path();
    let close = close_to(&path, &[]);
    view! {
        <Dialog id="revoke-key" title="Revoke this key?" alert=true on_dismiss=close>
            <p>
                "The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong> " of " <bdi>{entry.owner}</bdi>
                " stops working with the next request. You can't undo this."
            </p>
            <FormError errors={FormErrors::of(RevokeTeamKey::url())}/>
            <div class="dialog-foot">
                <Cancel back=path autofocus=true/>
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
