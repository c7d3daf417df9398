//! Signing up, in and out.

use leptos::prelude::*;

use super::{Entrance, QueryParams};
use crate::error::AppError;
use crate::model::link::link;
use crate::model::users::PASSWORD_MIN;
use crate::ui::field::Field;
use crate::ui::notice::{FormProblem, Problems};

/// Makes an account and signs it in.
#[server(prefix = "/fn", endpoint = "sign_up")]
pub async fn sign_up(email: String, password: String, next: Option<String>) -> Result<(), AppError> {
    // public: this is how one becomes somebody.
    crate::server::auth::login::sign_up(email, password.into(), next).await
}

/// Signs in.
#[server(prefix = "/fn", endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String, next: Option<String>) -> Result<(), AppError> {
    // public: this is how one becomes somebody.
    crate::server::auth::login::sign_in(email, password.into(), next).await
}

/// Ends the session of the browser that asks.
#[server(prefix = "/fn", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    // public: a session that has ended already may be signed out of, too.
    crate::server::auth::login::sign_out().await
}

/// `/sign-in`
#[component]
pub fn SignInPage(entrance: Entrance) -> impl IntoView {
    let action = ServerAction::<SignIn>::new();
    let problems = Problems::of(action);
    view! {
        <div class="narrow">
            <h1>"Sign in"</h1>
            <PlainHttp origin=entrance.secure_origin/>
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
            {entrance.sign_up.then(|| {
                view! { <p class="quiet">"No account yet? " <a href=with_next("/sign-up")>"Sign up"</a></p> }
            })}
        </div>
    }
}

/// Says where to sign in, on a page that was opened over http though people reach the server by https.
#[component]
fn PlainHttp(origin: Option<String>) -> impl IntoView {
    origin.map(|origin| {
        let address = format!("{origin}{}", with_next("/sign-in"));
        view! {
            <div role="alert" class="notice">
                <p>
                    "This page was opened over http, where your browser drops the cookie that keeps you signed in. Sign in at "
                    <a href=address>{origin}</a> "."
                </p>
            </div>
        }
    })
}

/// A link to the other of the two pages, from which one goes on to the same place.
fn with_next(path: &str) -> String {
    link(path, [("next", typed("next").as_str())])
}

/// `/sign-up`
#[component]
pub fn SignUpPage(entrance: Entrance) -> impl IntoView {
    let other = view! { <p class="quiet">"You have an account? " <a href=with_next("/sign-in")>"Sign in"</a></p> };
    let form = if entrance.sign_up {
        view! { <SignUpForm/> }.into_any()
    } else {
        view! { <p>"You can't sign up here yourself. Ask an administrator for an account."</p> }.into_any()
    };
    view! {
        <div class="narrow">
            <h1>"Sign up"</h1>
            <PlainHttp origin=entrance.secure_origin/>
            {form}
            {other}
        </div>
    }
}

#[component]
fn SignUpForm() -> impl IntoView {
    let action = ServerAction::<SignUp>::new();
    let problems = Problems::of(action);
    view! {
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
    QueryParams::here().get(name).unwrap_or_default()
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
