//! What each error of the API means, and how to mend it.

use leptos::prelude::*;

use crate::error::{ERROR_CODES, ErrorCode};
use crate::ui::layout::PageHead;

/// `/docs/errors`
#[component]
pub fn ErrorsPage() -> impl IntoView {
    let entry = |error: &'static ErrorCode| {
        view! {
            <section class="error-entry" id=error.code aria-labelledby=format!("{}-title", error.code)>
                <h2 id=format!("{}-title", error.code)>
                    <code>{error.code}</code>
                    <span class="error-status">{error.status}</span>
                </h2>
                <p>{error.title}</p>
                <p class="quiet">{error.fix}</p>
            </section>
        }
    };
    view! {
        <PageHead title="Errors" lead="The API answers a refusal with problem details (RFC 9457): a code to match on, a sentence to read, and the \
             address of an entry here."/>
        {ERROR_CODES.iter().map(entry).collect_view()}
    }
}
