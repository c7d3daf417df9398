//! The home page, and the documents for errors.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;
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
    let call =
        format!("curl {origin}/pegasus/employees/api/employees/ \\\n  -H \"Authorization: Api-Key <your-api-key>\"");
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
            <pre class="code" tabindex="0" role="region" aria-label="A call of the API"><code>{call}</code></pre>
        </div>
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
