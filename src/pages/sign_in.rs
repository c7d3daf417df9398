//! Sign-up, sign-in and sign-out.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use serde::{Deserialize, Serialize};

use super::QueryParams;
use crate::error::AppError;
use crate::model::link::link;
use crate::model::users::PASSWORD_MIN;
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::Field;

/// Creates an account and signs in.
#[server(prefix = "/fn", endpoint = "sign_up")]
pub async fn sign_up(email: String, password: String, next: Option<String>) -> Result<(), AppError> {
    // public: visitors have no session yet.
    crate::server::auth::login::sign_up(email, password.into(), next).await
}

/// Signs in.
#[server(prefix = "/fn", endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String, next: Option<String>) -> Result<(), AppError> {
    // public: visitors have no session yet.
    crate::server::auth::login::sign_in(email, password.into(), next).await
}

/// Ends the session of the browser.
#[server(prefix = "/fn", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    // public: signing out of an ended session is not an error.
    crate::server::auth::login::sign_out().await
}

/// What the sign-in and sign-up pages depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInOptions {
    /// Whether people can sign up.
    pub sign_up: bool,
    /// The https address to sign in at, where the page was opened over http and the browser would drop the session cookie.
    pub secure_origin: Option<String>,
}

/// `/sign-in`
#[component]
pub fn SignInPage(data: Memo<SignInOptions>) -> impl IntoView {
    let errors = FormErrors::of(SignIn::url());
    let data = data.get_untracked();
    view! {
        <div class="narrow">
            <h1>"Sign in"</h1>
            <PlainHttp origin=data.secure_origin/>
            <form method="post" action=SignIn::url() class="form" data-document="">
                <Next/>
                <FormError errors/>
                <EmailField errors/>
                <Field
                    id="password"
                    name="password"
                    label="Password"
                    kind="password"
                    autocomplete="current-password"
                    error=errors.at("password")
                />
                <button class="btn btn-primary">"Sign in"</button>
            </form>
            <p class="quiet"><a href=with_next("/forgot-password")>"Forgot your password?"</a></p>
            {data.sign_up.then(|| {
                view! { <p class="quiet">"Don't have an account? " <a href=with_next("/sign-up")>"Sign up"</a></p> }
            })}
        </div>
    }
}

/// A warning on a page that was opened over http although the server is reached by https.
#[component]
fn PlainHttp(origin: Option<String>) -> impl IntoView {
    origin.map(|origin| {
        let address = format!("{origin}{}", with_next("/sign-in"));
        view! {
            <div role="alert" class="notice">
                <p>
                    "You opened this page over http, so your browser won't keep you signed in. Sign in at "
                    <a href=address>{origin}</a> "."
                </p>
            </div>
        }
    })
}

/// Returns a link to a page that keeps `?next=`.
fn with_next(path: &str) -> String {
    link(path, [("next", next().as_str())])
}

/// `/forgot-password`: without mail, an administrator helps.
#[component]
pub fn ForgotPasswordPage() -> impl IntoView {
    view! {
        <div class="narrow">
            <h1>"Forgot your password?"</h1>
            <p>"This site sends no email. Ask an administrator for a one-time link, and open it to set a new password."</p>
            <p class="quiet">"The link works once, for 24 hours. Your API keys keep working."</p>
            <p><a class="btn" href=with_next("/sign-in")>"Back to sign-in"</a></p>
        </div>
    }
}

/// `/sign-up`
#[component]
pub fn SignUpPage(data: Memo<SignInOptions>) -> impl IntoView {
    let data = data.get_untracked();
    let other = view! { <p class="quiet">"Already have an account? " <a href=with_next("/sign-in")>"Sign in"</a></p> };
    let form = if data.sign_up {
        view! { <SignUpForm/> }.into_any()
    } else {
        view! { <p>"Sign-up is closed. Ask an administrator for an account."</p> }.into_any()
    };
    view! {
        <div class="narrow">
            <h1>"Sign up"</h1>
            <PlainHttp origin=data.secure_origin/>
            {form}
            {other}
        </div>
    }
}

#[component]
fn SignUpForm() -> impl IntoView {
    let errors = FormErrors::of(SignUp::url());
    view! {
            <form method="post" action=SignUp::url() class="form" data-document="">
                <Next/>
                <FormError errors/>
                <EmailField errors/>
                <Field
                    id="password"
                    name="password"
                    label="Password"
                    kind="password"
                    autocomplete="new-password"
                    min_length=PASSWORD_MIN
                    hint="At least 8 characters. Four random words are easy to remember and hard to guess."
                    error=errors.at("password")
                />
                <button class="btn btn-primary">"Sign up"</button>
            </form>
    }
}

#[component]
fn EmailField(errors: FormErrors) -> impl IntoView {
    view! {
        <Field
            id="email"
            name="email"
            label="Email"
            kind="email"
            autocomplete="username"
            error=errors.at("email")
        />
    }
}

/// The hidden field with the page to continue at. The server accepts only a path of this site.
#[component]
fn Next() -> impl IntoView {
    view! { <input type="hidden" name="next" value=next()/> }
}

/// Returns the page to continue at, from the query.
fn next() -> String {
    QueryParams::from_context().with_untracked(|query| query.text("next"))
}

/// The button "Sign out".
#[component]
pub fn SignOutButton() -> impl IntoView {
    view! {
        <form method="post" action=SignOut::url() data-document="">
            <button class="btn btn-ghost">"Sign out"</button>
        </form>
    }
}
