//! The table "API keys", and the cells that every table of keys shares.

use leptos::prelude::*;

use crate::model::keys::{KeyEntry, KeyRejection, Status};
use crate::model::link::Parameters;
use crate::model::time::Timestamp;
use crate::pages::usage::UsageSummary;
use crate::ui::dialog::{DialogTriggers, RowTrigger};
use crate::ui::table::{Cell, Table};
use crate::ui::time::{Format, Time};

#[component]
pub fn KeyTable(
    keys: Vec<KeyEntry>,
    now: Timestamp,
    kept: Parameters,
    /// The id of the key that was just created or rotated.
    new: String,
) -> impl IntoView {
    let columns = vec!["Name", "Key", "Access", "Last used", "Created", "Expires", "Status", ""];
    let row = move |entry: KeyEntry| {
        let is_new = entry.key.id.as_str() == new;
        view! { <KeyRow entry now is_new/> }
    };
    view! {
        <DialogTriggers path="/profile" kept>
            <Table label="API keys" columns>{keys.into_iter().map(row).collect_view()}</Table>
        </DialogTriggers>
    }
}

#[component]
fn KeyRow(entry: KeyEntry, now: Timestamp, is_new: bool) -> impl IntoView {
    let (id, name_id) = (entry.key.id.to_string(), name_id(&entry));
    let name = entry.key.name.as_str().to_owned();
    let status = entry.key.status(now);
    let KeyCells { key, access, used, created, expires, state } = KeyCells::new(&entry, now);
    let trigger = |name: &'static str, label: &'static str| {
        view! { <RowTrigger name id=id.clone() describes=name_id.clone() label/> }
    };
    let usage = view! { <UsageSummary days=entry.usage(now) id=id.clone() describes=name_id.clone()/> };
    let rotate = matches!(status, Status::Active | Status::ExpiresSoon).then(|| trigger("rotate", "Rotate"));
    let revoke = (status != Status::Revoked).then(|| trigger("revoke", "Revoke"));
    let class = match status {
        Status::Expired | Status::Revoked => "dim",
        _ if is_new => "new",
        _ => "",
    };
    view! {
        <tr role="row" class=class>
            <td role="cell" data-label="Name" class="wide">
                <span><bdi id=name_id>{name}</bdi> {is_new.then(|| view! { " " <span class="badge">"New"</span> })}</span>
            </td>
            <Cell label="Key">{key}</Cell>
            <Cell label="Access">{access}</Cell>
            <Cell label="Last used">{used}{usage}</Cell>
            <Cell label="Created">{created}</Cell>
            <Cell label="Expires">{expires}</Cell>
            <Cell label="Status">{state}</Cell>
            <Cell label="" class="actions">{rotate}{revoke}</Cell>
        </tr>
    }
}

/// The columns of [`OwnedKeyRow`].
pub const OWNED_KEY_COLUMNS: [&str; 8] = ["Name", "Owner", "Key", "Access", "Last used", "Expires", "Status", ""];

/// Returns the HTML id of the name of a key, which describes the buttons of its row.
pub fn name_id(entry: &KeyEntry) -> String {
    format!("key-{}", entry.key.id)
}

/// A row of a table of keys of several people.
#[component]
pub fn OwnedKeyRow(
    entry: KeyEntry,
    now: Timestamp,
    /// What is before the name.
    tick: Option<AnyView>,
    actions: Option<AnyView>,
) -> impl IntoView {
    let (status, name_id) = (entry.key.status(now), name_id(&entry));
    let KeyCells { key, access, used, expires, state, .. } = KeyCells::new(&entry, now);
    view! {
        <tr role="row" class=if matches!(status, Status::Expired | Status::Revoked) { "dim" } else { "" }>
            <td role="cell" data-label="Name" class="wide">
                <span>{tick} " " <bdi id=name_id>{entry.key.name.as_str().to_owned()}</bdi></span>
            </td>
            <Cell label="Owner" class="person"><bdi>{entry.owner}</bdi></Cell>
            <Cell label="Key">{key}</Cell>
            <Cell label="Access">{access}</Cell>
            <Cell label="Last used">{used}</Cell>
            <Cell label="Expires">{expires}</Cell>
            <Cell label="Status">{state}</Cell>
            <Cell label="" class="actions">{actions}</Cell>
        </tr>
    }
}

/// The cells that every table of keys shows.
pub struct KeyCells {
    pub key: AnyView,
    pub access: AnyView,
    pub used: AnyView,
    pub created: AnyView,
    pub expires: AnyView,
    pub state: AnyView,
}

impl KeyCells {
    pub fn new(entry: &KeyEntry, now: Timestamp) -> Self {
        Self {
            key: key_cell(entry, now),
            access: access_cell(entry),
            used: used_cell(entry, now),
            created: view! { <Time at=entry.key.created_at format=Format::Day/> }.into_any(),
            expires: match entry.key.expires_at {
                Some(at) => view! { <Time at format=Format::Day/> }.into_any(),
                None => "Never".into_any(),
            },
            state: state_cell(entry, now),
        }
    }
}

/// A second, quieter line in a cell.
fn second_line(text: String) -> AnyView {
    view! { <span class="under">{text}</span> }.into_any()
}

/// The prefix. After a rotation, also how long the previous secret works and when it was last used.
fn key_cell(entry: &KeyEntry, now: Timestamp) -> AnyView {
    let previous = entry.old_works_until(now).map(|until| {
        let used = match entry.old_used_at {
            Some(at) => view! { "last used " <Time at format=Format::Ago { now }/> }.into_any(),
            None => "not used since".into_any(),
        };
        view! { <span class="under">"Previous secret works until " <Time at=until/> ", " {used}</span> }
    });
    view! {
        <code>{entry.key.prefix.clone()} "…"</code>
        {previous}
    }
    .into_any()
}

/// The access, the team and the rate limit.
fn access_cell(entry: &KeyEntry) -> AnyView {
    let team = entry.team.clone().map(|team| view! { <span class="under">"Team " <bdi>{team}</bdi></span> });
    let rate = entry.rate.map(|rate| match rate {
        0 => second_line("No rate limit".to_owned()),
        rate => second_line(format!("{rate} requests per minute")),
    });
    view! {
        {entry.key.access.label()}
        {team}
        {rate}
    }
    .into_any()
}

/// The time, address and program of the last use.
fn used_cell(entry: &KeyEntry, now: Timestamp) -> AnyView {
    let Some(at) = entry.used_at else { return "Never used".into_any() };
    let from = entry.used_ip.iter().chain(&entry.used_agent).cloned().collect::<Vec<_>>().join(", ");
    view! {
        <Time at format=Format::Ago { now }/>
        {second_line(from)}
    }
    .into_any()
}

fn state_cell(entry: &KeyEntry, now: Timestamp) -> AnyView {
    let status = entry.key.status(now);
    let ended = matches!(status, Status::Expired | Status::Revoked);
    let rejection = entry.rejection().filter(|_| !ended);
    let class = match status {
        _ if ended || rejection.is_some() => "state",
        Status::ExpiresSoon => "state state-soon",
        _ => "state state-on",
    };
    let rejected = rejection.map(|why| match why {
        KeyRejection::AccountDisabled => "Rejected: the account is disabled",
        KeyRejection::ApiRemoved => "Rejected: its API was removed",
        _ => "Rejected: its user left the team",
    });
    view! {
        <span class=class>{status.label()}</span>
        {rejected.map(|text| second_line(text.to_owned()))}
        {entry.leaked_at.map(|_| second_line("Reported as leaked".to_owned()))}
    }
    .into_any()
}
