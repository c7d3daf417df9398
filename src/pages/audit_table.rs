//! The table of audit events, on the profile page and for administrators.

use leptos::prelude::*;

use crate::model::audit::AuditEntry;
use crate::ui::table::{Cell, Table};
use crate::ui::time::Time;

/// Audit events, newest first.
#[component]
pub fn EventTable(entries: Vec<AuditEntry>) -> impl IntoView {
    let row = |entry: AuditEntry| {
        view! {
            <tr role="row">
                <Cell label="When"><Time at=entry.at/></Cell>
                <Cell label="What">{entry.action.label().to_owned()}</Cell>
                <Cell label="To"><bdi>{entry.subject}</bdi> <bdi class="under">{entry.detail}</bdi></Cell>
                <Cell label="By" class="person"><bdi>{entry.actor}</bdi></Cell>
                <Cell label="From">{entry.ip}</Cell>
            </tr>
        }
    };
    view! {
        <Table label="Events" columns=vec!["When", "What", "To", "By", "From"]>{entries.into_iter().map(row).collect_view()}</Table>
    }
}
