//! Signing up, in and out.

use leptos::prelude::*;

use super::Asked;
use crate::error::AppError;
use crate::model::users::PASSWORD_MIN;
use crate::ui::field::Field;
use crate::ui::notice::{FormProblem, Problems};

/// Makes an account and signs it in.
#[server(prefix = "/fn", endpoint = "sign_up")]
pub async fn sign_up(email: String, password: String, next: Option<String>) -> Result<(), AppError> {
    // public: this is how one becomes somebody.
    crate::server::accounts::sign_up(email, password.into(), next).await
}

/// Signs in.
#[server(prefix = "/fn", endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String, next: Option<String>) -> Result<(), AppError> {
    // public: this is how one becomes somebody.
    crate::server::accounts::sign_in(email, password.into(), next).await
}

/// Ends the session of the browser that asks.
#[server(prefix = "/fn", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    // public: a session that has ended already may be signed out of, too.
    crate::server::accounts::sign_out().await
}

/// `/sign-in`
#[component]
pub fn SignInPage() -> impl IntoView {
    let action = ServerAction::<SignIn>::new();
    let problems = Problems::of(action);
    view! {
        <div class="narrow">
            <h1>"Sign in"</h1>
            <ActionForm action attr:class="form">
                <Next/>
                <FormProblem problems/>
                <EmailField problems/>
                <Field
                    id="password"
                    name="password"
                    label="Password"
                    kind="password"
                    autocomplete="current-password"
                    error=problems.at("password")
                />
                <button class="btn btn-primary" disabled=move || action.pending().get()>"Sign in"</button>
            </ActionForm>
            <p class="quiet">"No account yet? " <a href="/sign-up">"Sign up"</a></p>
        </div>
    }
}

/// `/sign-up`
#[component]
pub fn SignUpPage() -> impl IntoView {
    let action = ServerAction::<SignUp>::new();
    let problems = Problems::of(action);
    view! {
        <div class="narrow">
            <h1>"Sign up"</h1>
            <ActionForm action attr:class="form">
                <Next/>
                <FormProblem problems/>
                <EmailField problems/>
                <Field
                    id="password"
                    name="password"
                    label="Password"
                    kind="password"
                    autocomplete="new-password"
                    least=PASSWORD_MIN
                    hint="At least 8 characters. Any will do; four words are easy to remember and hard to guess."
                    error=problems.at("password")
                />
                <button class="btn btn-primary" disabled=move || action.pending().get()>"Sign up"</button>
            </ActionForm>
            <p class="quiet">"You have an account? " <a href="/sign-in">"Sign in"</a></p>
        </div>
    }
}

#[component]
fn EmailField(problems: Problems) -> impl IntoView {
    view! {
        <Field
            id="email"
            name="email"
            label="Email"
            kind="email"
            value=typed("email")
            autocomplete="username"
            error=problems.at("email")
        />
    }
}

/// Where to go after it, from `?next=`; the server takes only a path of this site.
#[component]
fn Next() -> impl IntoView {
    view! { <input type="hidden" name="next" value=typed("next")/> }
}

/// What the page is asked to put into a field, such as what was typed there before.
fn typed(name: &str) -> String {
    Asked::here().get(name).unwrap_or_default()
}

/// The button "Sign out".
#[component]
pub fn SignOutButton() -> impl IntoView {
    let action = ServerAction::<SignOut>::new();
    view! {
        <ActionForm action>
            <button class="btn btn-ghost">"Sign out"</button>
        </ActionForm>
    }
}
