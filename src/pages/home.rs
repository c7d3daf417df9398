//! The home page, and the documents for errors.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::theme::ShownTheme;
use crate::error::AppError;
use crate::model::theme::Theme;
use crate::ui::layout::PlainDocument;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeData {
    /// The public address of the server.
    pub origin: String,
    /// Whether people can sign up.
    pub sign_up: bool,
    pub signed_in: bool,
}

/// `/`
#[component]
pub fn HomePage(data: Memo<HomeData>) -> impl IntoView {
    let HomeData { origin, sign_up, signed_in } = data.get_untracked();
    let links: &[_] = match (signed_in, sign_up) {
        (true, _) => &[("/profile", "Go to your keys", "btn btn-primary")],
        (false, true) => &[("/sign-up", "Sign up", "btn btn-primary"), ("/sign-in", "Sign in", "btn")],
        (false, false) => &[("/sign-in", "Sign in", "btn btn-primary")],
    };
    let link = |(href, label, class): &(&'static str, &'static str, &'static str)| view! { <a href=*href class=*class>{*label}</a> };
    view! {
        <div class="hero">
            <h1>"API keys you can hand out and take back"</h1>
            <p class="lead">
                "Create a key, copy it once, and call the API with it. See when each key was used, and revoke it at any time."
            </p>
            <p class="hero-actions">{links.iter().map(link).collect_view()}</p>
        </div>
        <ProfilePicture/>
        <ul class="facts">
            <li>
                <h2>"Shown once"</h2>
                <p>"The server stores only a hash of the key. Nobody can look it up later, not even an administrator."</p>
            </li>
            <li>
                <h2>"Yours to limit"</h2>
                <p>"Give a key an expiry date and limit what it can do. A key can't change your account or your other keys."</p>
            </li>
            <li>
                <h2>"Gone when revoked"</h2>
                <p>"A revoked key stops working with the next request, and the error says why."</p>
            </li>
        </ul>
        <section class="section" aria-labelledby="try-heading">
            <div class="section-head"><h2 id="try-heading">"Try it"</h2></div>
            <Example label="A call of the API" text=format!("curl {origin}{CALL}")/>
            <p class="quiet">"A request without a valid key gets 401 and a sentence that says why. With a key, it gets your data:"</p>
            <Example label="The answer of the API" text=ANSWER.to_owned()/>
            <p class="hero-actions">
                <a class="btn" href="/docs">"Docs"</a>
                <a class="btn" href="/api/docs">"API docs"</a>
                <a class="btn" href="/docs/errors">"Errors"</a>
            </p>
        </section>
        <section class="section" aria-labelledby="run-heading">
            <div class="section-head"><h2 id="run-heading">"Run your own"</h2></div>
            <p class="quiet">"One Rust binary with SQLite inside, or on PostgreSQL. In a clone of the repository:"</p>
            <Example label="Commands for a server of your own" text=COMMANDS.to_owned()/>
        </section>
    }
}

const CALL: &str = "/pegasus/employees/api/employees/ \\\n  -H \"Authorization: Api-Key <your-api-key>\"";
const ANSWER: &str = "{\"count\": 12, \"next\": null, \"previous\": null, \"results\": [\n  \
    {\"id\": \"01981a…\", \"name\": \"Grace Hopper\", \"department\": \"engineering\", \"salary\": 134000, …}, …]}";
const COMMANDS: &str = "make run     # builds and serves http://localhost:8000\nmake test    # runs every check";

#[component]
fn Example(label: &'static str, text: String) -> impl IntoView {
    view! { <pre class="code" tabindex="0" role="region" aria-label=label><code>{text}</code></pre> }
}

/// A picture of the profile page in the reader's theme and layout; `make screenshots` takes it.
#[component]
fn ProfilePicture() -> impl IntoView {
    const LIGHT: &str = "/profile-light.webp";
    const DARK: &str = "/profile-dark.webp";
    const PHONE_LIGHT: &str = "/profile-phone-light.webp";
    const PHONE_DARK: &str = "/profile-phone-dark.webp";
    let theme = ShownTheme::from_context();
    let pick = move |light, dark| if theme.get() == Theme::Dark { dark } else { light };
    let phone = move |srcset, media| view! { <source srcset=srcset media=media width="375" height="480"/> };
    let by_system = move || {
        (theme.get() == Theme::System).then(|| {
            view! {
                {phone(PHONE_DARK, "(prefers-color-scheme: dark) and (max-width: 30rem)")}
                <source srcset=DARK media="(prefers-color-scheme: dark)"/>
            }
        })
    };
    view! {
        <picture class="picture">
            {by_system}
            {move || phone(pick(PHONE_LIGHT, PHONE_DARK), "(max-width: 30rem)")}
            <img src=move || pick(LIGHT, DARK) width="1280" height="720" fetchpriority="high" alt="The profile page: API keys with their last use, expiry and status, and the buttons Rotate and Revoke."/>
        </picture>
    }
}

/// The page of every path without another page.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    view! {
        <div class="hero">
            <h1>"Page not found"</h1>
            <p class="lead">"Check the address. The page may have moved or been deleted."</p>
            <p class="hero-actions"><a href="/" class="btn">"Go to the home page"</a></p>
        </div>
    }
}

/// The document in place of a page that cannot be rendered. For an internal error it shows the request id, under which the log has
/// the cause. `back` is the page of the failed form.
#[expect(non_snake_case, reason = "a view")]
pub fn FailureDocument(error: AppError, request_id: String, stylesheet: String, back: Option<String>) -> impl IntoView {
    let title = match error {
        AppError::AccountChanged => "Nothing was changed",
        _ => "This page couldn't be loaded",
    };
    let (href, label) = back.map_or(("/".to_owned(), "Go to the home page"), |page| (page, "Reload the page"));
    let id = (error == AppError::Internal).then(|| view! { <p>"request_id: "<code>{request_id}</code></p> });
    view! {
        <PlainDocument title stylesheet>
            <div role="alert" class="notice"><p>{error.detail()}</p></div>
            {id}
            <p class="hero-actions"><a class="btn" href=href>{label}</a></p>
        </PlainDocument>
    }
}
