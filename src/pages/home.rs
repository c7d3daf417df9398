//! The first page, and the one for what is not there.

use leptos::prelude::*;

use crate::error::AppError;
use crate::ui::layout::PlainDocument;

/// `/`
#[component]
pub fn HomePage(origin: String, sign_up: bool, signed_in: bool) -> impl IntoView {
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
                "Create a key, copy it once, call the API with it. See which keys you have, and revoke one the moment you no \
                 longer trust it."
            </p>
            <p class="hero-actions">{links.iter().map(link).collect_view()}</p>
            <pre class="code" tabindex="0" role="region" aria-label="A call of the API"><code>{call}</code></pre>
        </div>
        <ul class="facts">
            <li>
                <h2>"Shown once"</h2>
                <p>"Only a digest of the key is stored. Nobody can look it up later, not even whoever runs this server."</p>
            </li>
            <li>
                <h2>"Yours to limit"</h2>
                <p>"Give a key an expiry, and let it only read. It never reaches your account or your other keys."</p>
            </li>
            <li>
                <h2>"Gone when revoked"</h2>
                <p>"A revoked key is refused from the next request on, and the answer says why."</p>
            </li>
        </ul>
    }
}

/// For every path that is not there.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    view! {
        <div class="hero">
            <h1>"There is nothing here"</h1>
            <p class="lead">"The address may have a typing error, or what was here is gone."</p>
            <p class="hero-actions"><a href="/" class="btn">"Go to the first page"</a></p>
        </div>
    }
}

/// The whole document in place of a page that cannot be rendered. Where the fault is ours, it shows the id under which the log
/// has the cause. `back` is the page of the form that was sent in vain.
#[must_use]
#[expect(non_snake_case, reason = "a view")]
pub fn FailureDocument(error: AppError, request_id: String, stylesheet: String, back: Option<String>) -> impl IntoView {
    let title = match error {
        AppError::AccountChanged => "Nothing was changed",
        _ => "This page could not be loaded",
    };
    let (href, label) = back.map_or(("/".to_owned(), "Go to the first page"), |page| (page, "Reload the page"));
    let id = (error == AppError::Internal).then(|| view! { <p>"request_id: "<code>{request_id}</code></p> });
    view! {
        <PlainDocument title stylesheet>
            <div role="alert" class="notice"><p>{error.detail()}</p></div>
            {id}
            <p class="hero-actions"><a class="btn" href=href>{label}</a></p>
        </PlainDocument>
    }
}
