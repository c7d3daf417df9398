//! `/admin/audit`: what happened, to what, by whom, from where.

use leptos::prelude::*;

use super::{AdminNav, NextPage};
use crate::error::AppError;
use crate::model::audit::{Action, AuditEntry, AuditPage, AuditQuery, label};
use crate::model::fields::FieldErrors;
use crate::pages::QueryParams;
use crate::pages::profile::Time;
use crate::ui::field::{Choice, Field, Hidden};
use crate::ui::layout::{PageHead, Section};
use crate::ui::notice::LoadProblem;
use crate::ui::table::{Cell, Table};

const PATH: &str = "/admin/audit";

/// The events that an administrator looks for, the latest first.
#[server(prefix = "/admin/fn", endpoint = "find_events")]
pub async fn find_events(query: AuditQuery) -> Result<AuditPage, AppError> {
    let (state, _) = crate::server::auth::superuser().await?;
    crate::server::audit::page(&state.db, &query).await
}

#[component]
pub fn AdminAuditPage(page: Result<AuditPage, AppError>) -> impl IntoView {
    let asked = || QueryParams::here().audit_query();
    let query = page.as_ref().map_or_else(|_| asked(), |page| page.query.clone());
    let wrong = page.as_ref().err().and_then(AppError::fields).cloned();
    let content = match page {
        Ok(page) => view! { <EventList page/> }.into_any(),
        // It stands at the field.
        Err(_) if wrong.is_some() => ().into_any(),
        Err(error) => view! { <LoadProblem what="The audit" error/> }.into_any(),
    };
    view! {
        <PageHead title="Audit" lead="Who did what to which key, account or team, when, and from where. Nothing here can be changed."/>
        <AdminNav current=PATH/>
        <Section id="audit-heading" title="Events">
            <SearchForm query wrong/>
            {content}
        </Section>
    }
}

/// The form of the search. An error at a day stands at its field.
#[component]
fn SearchForm(query: AuditQuery, wrong: Option<FieldErrors>) -> impl IntoView {
    let actions = [("", "All")].into_iter().chain(Action::ALL.iter().copied());
    let actions = actions.map(|(value, label)| (value.to_owned(), label.to_owned())).collect();
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
                hint="An email address, a key's prefix, or a team's address, whole."
            />
            <Choice id="action" name="action" label="Event" options=actions selected=query.action/>
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
        view! { <p class="empty">"No event matches."</p> }.into_any()
    } else {
        view! { <EventTable entries/> }.into_any()
    };
    view! {
        {list}
        <NextPage path=PATH asked=query.parameters() name="before" next/>
        <form method="get" action="/admin/audit.csv">
            <Hidden fields=query.parameters()/>
            <button class="btn btn-sm">"Download as CSV"</button>
        </form>
    }
}

/// Events, the latest first.
#[component]
pub fn EventTable(entries: Vec<AuditEntry>) -> impl IntoView {
    let row = |entry: AuditEntry| {
        view! {
            <tr role="row">
                <Cell label="When"><Time at=entry.at/></Cell>
                <Cell label="What">{label(&entry.action).to_owned()}</Cell>
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
