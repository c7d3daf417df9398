//! `/admin/audit`

use leptos::prelude::*;

use super::AdminNav;
use crate::error::AppError;
use crate::model::audit::{Action, AuditPage, AuditQuery};
use crate::model::fields::FieldErrors;
use crate::pages::QueryParams;
use crate::pages::audit_table::EventTable;
use crate::pages::pagination::NextPage;
use crate::ui::feedback::LoadError;
use crate::ui::field::{Field, Hidden, Select, SelectOption};
use crate::ui::layout::{PageHead, Section};

const PATH: &str = "/admin/audit";

/// Returns the events that match a search, newest first.
#[server(prefix = "/admin/fn", endpoint = "find_events")]
pub async fn find_events(query: AuditQuery) -> Result<AuditPage, AppError> {
    let (state, _) = crate::server::auth::superuser().await?;
    crate::server::audit::page(&state.db, &query).await
}

#[component]
pub fn AdminAuditPage(data: Memo<Result<AuditPage, AppError>>) -> impl IntoView {
    let query = QueryParams::from_context();
    let content = move || match data.get() {
        Ok(page) => {
            let query = page.query.clone();
            view! {
                <SearchForm query wrong=None/>
                <EventList page/>
            }
            .into_any()
        }
        Err(error) => {
            let (query, wrong) = (query.with_untracked(QueryParams::audit_query), error.fields().cloned());
            // Errors of fields are shown at the fields.
            let other = wrong.is_none().then(|| view! { <LoadError what="The audit log" error/> });
            view! {
                <SearchForm query wrong/>
                {other}
            }
            .into_any()
        }
    };
    view! {
        <PageHead title="Audit" lead="Who did what, when and from where. Entries can't be changed; a deleted account takes its names and addresses along."/>
        <AdminNav current=PATH/>
        <Section id="audit-heading" title="Events">{content}</Section>
    }
}

/// The search form, with the errors of its fields.
#[component]
fn SearchForm(query: AuditQuery, wrong: Option<FieldErrors>) -> impl IntoView {
    let actions = Action::ALL.iter().map(|action| (action.as_str(), action.label()));
    let actions = [("", "All")].into_iter().chain(actions);
    let actions = actions.map(|(value, label)| SelectOption::new(value, label)).collect();
    let error = |field| Signal::stored(wrong.as_ref().and_then(|wrong| wrong.first(field)).map(ToOwned::to_owned));
    let (from, to) = (error("from"), error("to"));
    view! {
        <form method="post" action=PATH class="form-row" role="search">
            <Field
                id="who"
                name="who"
                label="Who or what"
                kind="search"
                value=query.who
                required=false
                hint="A whole email address, key prefix, or team address."
            />
            <Select id="action" name="action" label="Event" options=actions selected=query.action/>
            <Field id="from" name="from" label="From" kind="date" value=query.from required=false hint="The first day, in UTC." error=from/>
            <Field id="to" name="to" label="To" kind="date" value=query.to required=false hint="The last day, in UTC." error=to/>
            <button class="btn">"Search"</button>
        </form>
    }
}

#[component]
fn EventList(page: AuditPage) -> impl IntoView {
    let AuditPage { entries, next, query } = page;
    let list = if entries.is_empty() {
        view! { <p class="empty">"No events match your search."</p> }.into_any()
    } else {
        view! { <EventTable entries/> }.into_any()
    };
    view! {
        {list}
        <NextPage path=PATH filter=query.parameters() cursor="before" next/>
        <form method="get" action="/admin/audit.csv">
            <Hidden fields=query.parameters()/>
            <button class="btn btn-sm">"Download as CSV"</button>
        </form>
    }
}
