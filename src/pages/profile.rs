//! `/profile`

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use serde::{Deserialize, Serialize};

use super::audit_table::EventTable;
use super::keys::KeySection;
use super::reauth::Reauth;
use crate::error::AppError;
use crate::model::audit::AuditEntry;
use crate::model::keys::KeyList;
use crate::model::users::{PASSWORD_MIN, SessionFacts, User};
use crate::ui::browser;
use crate::ui::feedback::{ActionErrors, FormError, LoadError, StatusMessage};
use crate::ui::field::{Field, PageUser};
use crate::ui::layout::{PageHead, Section};
use crate::ui::refetch::refetching_signal;
use crate::ui::table::{Cell, Table};
use crate::ui::time::Time;

/// Sets the display name.
#[server(prefix = "/fn", endpoint = "save_name")]
pub async fn save_name(name: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::users::rename(&state.db, &session, &name, state.now()).await
}

/// Changes the password and ends the other sessions.
#[server(prefix = "/fn", endpoint = "change_password")]
pub async fn change_password(current: String, new: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::login::change_password(&state, &session, current.into(), new.into()).await
}

/// Returns the active sessions of the signed-in user, newest first.
#[server(prefix = "/fn", endpoint = "list_sessions")]
pub async fn list_sessions() -> Result<Vec<SessionFacts>, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::sessions::list(&state.db, &session, state.now()).await
}

/// Ends a session of the signed-in user. An ended session is not found.
#[server(prefix = "/fn", endpoint = "end_session")]
pub async fn end_session(id: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::require_recent_auth().await?;
    crate::server::auth::sessions::end_own(&state.db, &session, &id, state.now()).await
}

/// Ends the other sessions of the signed-in user.
#[server(prefix = "/fn", endpoint = "end_other_sessions")]
pub async fn end_other_sessions() -> Result<u64, AppError> {
    let (state, session) = crate::server::auth::require_recent_auth().await?;
    crate::server::auth::sessions::end_others(&state.db, &session, state.now()).await
}

/// Returns the audit events of the signed-in user, newest first.
#[server(prefix = "/fn", endpoint = "list_activity")]
pub async fn list_activity() -> Result<Vec<AuditEntry>, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::audit::of_user(&state.db, &session.user, crate::server::audit::ON_PROFILE).await
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileData {
    pub user: User,
    pub keys: Result<KeyList, AppError>,
    pub sessions: Result<Vec<SessionFacts>, AppError>,
    pub activity: Result<Vec<AuditEntry>, AppError>,
}

/// `/profile`
#[component]
pub fn ProfilePage(data: ProfileData) -> impl IntoView {
    let ProfileData { user, keys, sessions, activity } = data;
    let email = user.email.clone();
    let activity = match activity {
        Ok(entries) => view! { <EventTable entries/> }.into_any(),
        Err(error) => view! { <LoadError what="Your activity" error/> }.into_any(),
    };
    view! {
        <PageHead title="Profile" lead="Your API keys, your account, and where you're signed in."/>
        <KeySection keys/>
        <NameSection user/>
        <PasswordSection email/>
        <SessionSection sessions/>
        <Section id="activity-heading" title="Recent activity">{activity}</Section>
    }
}

#[component]
fn NameSection(user: User) -> impl IntoView {
    let action = ServerAction::<SaveName>::new();
    let errors = ActionErrors::of(action);
    let saved = move || matches!(action.value().get(), Some(Ok(()))).then(|| "Saved.".to_owned());
    view! {
        <Section id="account-heading" title="Account">
            <p class="quiet">"You sign in with " <bdi>{user.email}</bdi> "."</p>
            <ActionForm action attr:class="form">
                <PageUser/>
                <FormError errors/>
                <Field
                    id="display-name"
                    name="name"
                    label="Display name"
                    value=user.name
                    autocomplete="name"
                    required=false
                    hint="The name that this site shows for you. If it's empty, your email address is shown."
                    error=errors.at("name")
                />
                <div class="form-foot">
                    <button class="btn" disabled=move || action.pending().get()>"Save"</button>
                    <StatusMessage text=Signal::derive(saved)/>
                </div>
            </ActionForm>
        </Section>
    }
}

#[component]
fn PasswordSection(email: String) -> impl IntoView {
    let action = ServerAction::<ChangePassword>::new();
    let errors = ActionErrors::of(action);
    let done = "Password changed. Your other sessions were signed out.";
    let changed = move || matches!(action.value().get(), Some(Ok(()))).then(|| done.to_owned());
    Effect::new(move |_| {
        if changed().is_some() {
            browser::reset_form("password-form");
        }
    });
    view! {
        <Section id="password-heading" title="Change password">
            <ActionForm action attr:class="form" attr:id="password-form">
                <PageUser/>
                <FormError errors/>
                // Tells password managers whose password changes. It is not sent.
                <input type="email" autocomplete="username" value=email hidden/>
                <Field
                    id="current-password"
                    name="current"
                    label="Current password"
                    kind="password"
                    autocomplete="current-password"
                    error=errors.at("current")
                />
                <Field
                    id="new-password"
                    name="new"
                    label="New password"
                    kind="password"
                    autocomplete="new-password"
                    min_length=PASSWORD_MIN
                    hint="At least 8 characters."
                    error=errors.at("new")
                />
                <div class="form-foot">
                    <button class="btn" disabled=move || action.pending().get()>"Change password"</button>
                    <StatusMessage text=Signal::derive(changed)/>
                </div>
            </ActionForm>
        </Section>
    }
}

#[component]
fn SessionSection(sessions: Result<Vec<SessionFacts>, AppError>) -> impl IntoView {
    let end = ServerAction::<EndSession>::new();
    let end_others = ServerAction::<EndOtherSessions>::new();
    let (error, others_errors, reauth) = (ActionErrors::of(end), ActionErrors::of(end_others), Reauth::from_context());
    reauth.retry_after_reauth(error);
    reauth.retry_after_reauth(others_errors);
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        reauth.send(move || drop(end_others.dispatch(EndOtherSessions {})));
    };
    let changes = move || (end.version().get(), end_others.version().get());
    let sessions = refetching_signal(sessions, changes, |_| list_sessions());
    let ended = move || match end_others.value().get()? {
        Ok(0) => Some("You have no other sessions.".to_owned()),
        Ok(1) => Some("1 other session was signed out.".to_owned()),
        Ok(n) => Some(format!("{n} other sessions were signed out.")),
        Err(_) => None,
    };
    view! {
        <Section
            id="sessions-heading"
            title="Sessions"
            action=view! {
                <form method="post" action=EndOtherSessions::url() on:submit=send>
                    <PageUser/>
                    <button class="btn">"Sign out everywhere else"</button>
                </form>
            }
            .into_any()
        >
            <FormError errors=others_errors/>
            <FormError errors=error/>
            <StatusMessage text=Signal::derive(ended)/>
            {move || match sessions.get() {
                Ok(sessions) => view! { <SessionTable sessions end/> }.into_any(),
                Err(error) => view! { <LoadError what="Your sessions" error/> }.into_any(),
            }}
        </Section>
    }
}

#[component]
fn SessionTable(sessions: Vec<SessionFacts>, end: ServerAction<EndSession>) -> impl IntoView {
    let reauth = Reauth::from_context();
    let row = move |session: SessionFacts| {
        let action = if session.current {
            view! { <span class="quiet">"This session"</span> }.into_any()
        } else {
            let id = session.id.to_string();
            let sent = id.clone();
            let send = move |event: SubmitEvent| {
                event.prevent_default();
                let id = sent.clone();
                reauth.send(move || drop(end.dispatch(EndSession { id: id.clone() })));
            };
            view! {
                <form method="post" action=EndSession::url() on:submit=send>
                    <PageUser/>
                    <input type="hidden" name="id" value=id.clone()/>
                    <button class="btn btn-sm">"End session"</button>
                </form>
            }
            .into_any()
        };
        view! {
            <tr role="row">
                <Cell label="Browser" class="wide">{session.browser}</Cell>
                <Cell label="Signed in"><Time at=session.created_at/></Cell>
                <Cell label="Last seen"><Time at=session.seen_at/></Cell>
                <Cell label="" class="actions">{action}</Cell>
            </tr>
        }
    };
    view! {
        <Table label="Sessions" columns=vec!["Browser", "Signed in", "Last seen", ""]>
            {sessions.into_iter().map(row).collect_view()}
        </Table>
    }
}
