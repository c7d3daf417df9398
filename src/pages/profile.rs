//! `/profile`

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use serde::{Deserialize, Serialize};

use super::audit_table::EventTable;
use super::keys::KeySection;
use crate::error::AppError;
use crate::model::audit::AuditEntry;
use crate::model::keys::KeyList;
use crate::model::users::{PASSWORD_MIN, SessionFacts, User};
use crate::ui::feedback::{FieldState, FormError, FormErrors, LoadError};
use crate::ui::field::{Field, PageUser};
use crate::ui::layout::{BelowTheFold, PageHead, Section};
use crate::ui::table::{Cell, Table};
use crate::ui::time::Time;

/// Sets the display name.
#[server(prefix = "/fn", endpoint = "save_name")]
pub async fn save_name(name: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::users::rename(&state.db, &session, &name, state.now()).await?;
    crate::server::redirect("/profile?done=saved");
    Ok(())
}

/// Changes the email address and ends the other sessions.
#[server(prefix = "/fn", endpoint = "change_email")]
pub async fn change_email(email: String, password: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::own_account::change_email(&state, &session, &email, password.into()).await?;
    crate::server::redirect("/profile?done=email");
    Ok(())
}

/// Deletes the account with everything that is its own.
#[server(prefix = "/fn", endpoint = "delete_account")]
pub async fn delete_account(password: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::own_account::delete(&state, &session, password.into()).await?;
    crate::server::redirect("/?done=account-deleted");
    Ok(())
}

/// Changes the password and ends the other sessions.
#[server(prefix = "/fn", endpoint = "change_password")]
pub async fn change_password(current: String, new: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::login::change_password(&state, &session, current.into(), new.into()).await?;
    crate::server::redirect("/profile?done=password");
    Ok(())
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
    crate::server::auth::sessions::end_own(&state.db, &session, &id, state.now()).await?;
    crate::server::redirect("/profile?done=session");
    Ok(())
}

/// Ends the other sessions of the signed-in user.
#[server(prefix = "/fn", endpoint = "end_other_sessions")]
pub async fn end_other_sessions() -> Result<u64, AppError> {
    let (state, session) = crate::server::auth::require_recent_auth().await?;
    let ended = crate::server::auth::sessions::end_others(&state.db, &session, state.now()).await?;
    crate::server::redirect(&format!("/profile?done=signed-out&n={ended}"));
    Ok(ended)
}

/// Returns the audit events of the signed-in user, newest first.
#[server(prefix = "/fn", endpoint = "list_activity")]
pub async fn list_activity() -> Result<Vec<AuditEntry>, AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::audit::of_user(&state.db, &session.user, crate::server::audit::ON_PROFILE).await
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileData {
    pub user: User,
    pub keys: Result<KeyList, AppError>,
    pub sessions: Result<Vec<SessionFacts>, AppError>,
    pub activity: Result<Vec<AuditEntry>, AppError>,
}

/// The ids of the headings on the page, and the links to them.
const SECTIONS: [(&str, &str); 7] = [
    ("keys-heading", "API keys"),
    ("account-heading", "Account"),
    ("password-heading", "Password"),
    ("email-heading", "Email"),
    ("sessions-heading", "Sessions"),
    ("activity-heading", "Recent activity"),
    ("delete-heading", "Delete account"),
];

/// `/profile`
#[component]
pub fn ProfilePage(data: Memo<ProfileData>) -> impl IntoView {
    // Each section follows its own part: what is typed in one stays when another changes.
    let user = Memo::new(move |_| data.with(|data| data.user.clone()));
    let keys = Memo::new(move |_| data.with(|data| data.keys.clone()));
    let sessions = Memo::new(move |_| data.with(|data| data.sessions.clone()));
    let activity = Memo::new(move |_| data.with(|data| data.activity.clone()));
    let activity = move || match activity.get() {
        Ok(entries) => view! { <EventTable entries/> }.into_any(),
        Err(error) => view! { <LoadError what="Your activity" error/> }.into_any(),
    };
    view! {
        <PageHead title="Profile" lead="Your API keys, your account, and where you're signed in."/>
        <nav aria-label="On this page" class="tabs">
            {SECTIONS.map(|(id, label)| view! { <a class="tab" href=format!("#{id}")>{label}</a> }).collect_view()}
        </nav>
        <KeySection keys/>
        {move || view! { <NameSection user=user.get()/> }}
        <BelowTheFold>
            <PasswordSection email=user.get_untracked().email/>
            <EmailSection email=user.get_untracked().email/>
            <SessionSection sessions/>
            <Section id="activity-heading" title="Recent activity">{activity}</Section>
            <DeleteSection email=user.get_untracked().email/>
        </BelowTheFold>
    }
}

#[component]
fn NameSection(user: User) -> impl IntoView {
    let errors = FormErrors::of(SaveName::url());
    view! {
        <Section id="account-heading" title="Account">
            <p class="quiet">"You sign in with " <bdi>{user.email}</bdi> "."</p>
            <form method="post" action=SaveName::url() class="form">
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
                <div class="form-foot"><button class="btn">"Save"</button></div>
            </form>
            <p class="form-foot"><a href="/profile/export.json" download="">"Download your data as JSON"</a></p>
        </Section>
    }
}

/// A change loads a document, because the page holds the old address in more places.
#[component]
fn EmailSection(email: String) -> impl IntoView {
    let errors = FormErrors::of(ChangeEmail::url());
    view! {
        <Section id="email-heading" title="Change email">
            <form method="post" action=ChangeEmail::url() class="form" data-document="">
                <PageUser/>
                <FormError errors/>
                <Field
                    id="new-email"
                    name="email"
                    label="New email address"
                    kind="email"
                    autocomplete="off"
                    hint="Open invitations stay with your present address."
                    error=errors.at("email")
                />
                <OwnPassword id="email-password" email error=errors.at("password")/>
                <div class="form-foot"><button class="btn">"Change email"</button></div>
            </form>
        </Section>
    }
}

/// The field that confirms a change with the password.
#[component]
fn OwnPassword(id: &'static str, email: String, error: FieldState) -> impl IntoView {
    view! {
        // Tells password managers whose password it is. It is not sent.
        <input type="email" autocomplete="username" value=email hidden/>
        <Field id name="password" label="Your password" kind="password" autocomplete="current-password" error/>
    }
}

#[component]
fn DeleteSection(email: String) -> impl IntoView {
    let errors = FormErrors::of(DeleteAccount::url());
    view! {
        <Section id="delete-heading" title="Delete account">
            <p>
                "Your keys stop working at once. Your account, sessions and employees are deleted, and so are teams in which nobody \
                 else is. This can't be undone."
            </p>
            <form method="post" action=DeleteAccount::url() class="form" data-document="">
                <PageUser/>
                <FormError errors/>
                <OwnPassword id="delete-password" email error=errors.at("password")/>
                <div class="form-foot"><button class="btn btn-error">"Delete account"</button></div>
            </form>
        </Section>
    }
}

#[component]
fn PasswordSection(email: String) -> impl IntoView {
    let errors = FormErrors::of(ChangePassword::url());
    view! {
        <Section id="password-heading" title="Change password">
            <form method="post" action=ChangePassword::url() class="form">
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
                <div class="form-foot"><button class="btn">"Change password"</button></div>
            </form>
        </Section>
    }
}

#[component]
fn SessionSection(sessions: Memo<Result<Vec<SessionFacts>, AppError>>) -> impl IntoView {
    let action = view! {
        <form method="post" action=EndOtherSessions::url()>
            <PageUser/>
            <button class="btn">"Sign out everywhere else"</button>
        </form>
    };
    view! {
        <Section id="sessions-heading" title="Sessions" action=action.into_any()>
            <FormError errors={FormErrors::of(EndOtherSessions::url())}/>
            <FormError errors={FormErrors::of(EndSession::url())}/>
            {move || match sessions.get() {
                Ok(sessions) => view! { <SessionTable sessions/> }.into_any(),
                Err(error) => view! { <LoadError what="Your sessions" error/> }.into_any(),
            }}
        </Section>
    }
}

#[component]
fn SessionTable(sessions: Vec<SessionFacts>) -> impl IntoView {
    let row = |session: SessionFacts| {
        let action = if session.current {
            view! { <span class="quiet">"This session"</span> }.into_any()
        } else {
            view! {
                <form method="post" action=EndSession::url()>
                    <PageUser/>
                    <input type="hidden" name="id" value=session.id.to_string()/>
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
