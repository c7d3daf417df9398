//! Instants, in UTC.

use leptos::prelude::*;

use crate::model::time::Timestamp;

/// An instant, to the minute.
#[component]
pub fn Time(at: Timestamp) -> impl IntoView {
    view! { <time datetime=at.rfc3339()>{at.minute()}</time> }
}

/// A day. Its title has the minute.
#[component]
pub fn Day(at: Timestamp) -> impl IntoView {
    view! { <time datetime=at.rfc3339() title=at.minute()>{at.day()}</time> }
}
