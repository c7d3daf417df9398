//! The reference of API errors: what each one means and how to fix it.

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
        <PageHead
            title="Errors"
            lead="The API describes each error with problem details (RFC 9457): a code to match on, a sentence to read, and a \
                link to its entry on this page."
        />
        {ERROR_CODES.iter().map(entry).collect_view()}
    }
}
