//! The table "API keys", and the dialogs that a row opens: rotate, revoke, usage.

use leptos::ev::SubmitEvent;
use leptos::form::FromFormData;
use leptos::prelude::*;

use super::{Open, RevokeKey, RotateKey};
use crate::model::keys::{DayUsage, GRACES, KeyEntry, KeyRejection, RotateForm, Status, USAGE_DAYS};
use crate::model::time::{DAY, Timestamp};
use crate::model::users::browser_name;
use crate::pages::reauth::Waiting;
use crate::ui::chart::Bars;
use crate::ui::dialog::{Cancel, Dialog, Opener};
use crate::ui::field::{Choice, PageUser};
use crate::ui::notice::{FormProblem, Problems};
use crate::ui::table::{Cell, Table};

#[component]
pub fn KeyTable(keys: Vec<KeyEntry>, now: Timestamp, open: RwSignal<Open>) -> impl IntoView {
    let row = move |entry: KeyEntry| {
        let (id, name_id, name) =
            (entry.key.id.to_string(), format!("key-{}", entry.key.id), entry.key.name.as_str().to_owned());
        let status = entry.key.status(now);
        let Cells { key, access, used, created, expires, state } = Cells::of(&entry, now);
        let opener = |name: &'static str, label: &str, class: &'static str, wanted: Open| {
            let on_open = Callback::new(move |()| open.set(wanted.clone()));
            let (value, describes, label) = (id.clone(), name_id.clone(), label.to_owned());
            view! { <Opener path="/profile" name value label class describes on_open/> }
        };
        let works = matches!(status, Status::Active | Status::ExpiresSoon);
        let days = entry.usage(now);
        let (allowed, refused) = total(&days);
        let requests = format!("{allowed} allowed, {refused} refused");
        let usage = opener("usage", &requests, "link", Open::Usage(id.clone()));
        let rotate = works.then(|| opener("rotate", "Rotate", "btn btn-sm", Open::Rotate(id.clone())));
        let revoke =
            (status != Status::Revoked).then(|| opener("revoke", "Revoke", "btn btn-sm", Open::Revoke(id.clone())));
        let class = if matches!(status, Status::Expired | Status::Revoked) { "dim" } else { "" };
        view! {
            <tr role="row" class=class>
                <td role="cell" data-label="Name" class="wide"><bdi id=name_id>{name}</bdi></td>
                <Cell label="Key">{key}</Cell>
                <Cell label="Access">{access}</Cell>
                <Cell label="Last used">{used}{usage_bars(&days)}{usage}</Cell>
                <Cell label="Created">{created}</Cell>
                <Cell label="Expires">{expires}</Cell>
                <Cell label="Status">{state}</Cell>
                <Cell label="" class="actions">{rotate}{revoke}</Cell>
            </tr>
        }
    };
    let columns = vec!["Name", "Key", "Access", "Last used", "Created", "Expires", "Status", ""];
    view! { <Table label="API keys" columns>{keys.into_iter().map(row).collect_view()}</Table> }
}

/// What the tables of keys have in common: the profile's, a team's and the administrators'.
pub struct Cells {
    pub key: AnyView,
    pub access: AnyView,
    pub used: AnyView,
    pub created: AnyView,
    pub expires: AnyView,
    pub state: AnyView,
}

impl Cells {
    /// The cells of a key.
    #[must_use]
    pub fn of(entry: &KeyEntry, now: Timestamp) -> Self {
        Self {
            key: key_cell(entry, now),
            access: access_cell(entry),
            used: used_cell(entry, now),
            created: view! { <Day at=entry.key.created_at/> }.into_any(),
            expires: entry.key.expires_at.map_or_else(|| "Never".into_any(), |at| view! { <Day at/> }.into_any()),
            state: state_cell(entry, now),
        }
    }
}

/// A second, quieter line in a cell.
fn under(text: String) -> AnyView {
    view! { <span class="under">{text}</span> }.into_any()
}

/// The public beginning; after a rotation, how long the old secret works on and when it was last used.
fn key_cell(entry: &KeyEntry, now: Timestamp) -> AnyView {
    let old = entry.old_works_until(now).map(|until| {
        let until = if until.as_millis() - now.as_millis() < DAY { until.clock() } else { until.minute() };
        let used =
            entry.old_used_at.map_or_else(|| "not used since".to_owned(), |at| format!("last used {}", at.ago(now)));
        under(format!("Old secret works until {until}, {used}"))
    });
    view! {
        <code>{entry.key.prefix.clone()} "…"</code>
        {old}
    }
    .into_any()
}

/// What it may do, with whose data, and how often.
fn access_cell(entry: &KeyEntry) -> AnyView {
    let team = entry.team.clone().map(|team| view! { <span class="under">"Team " <bdi>{team}</bdi></span> });
    let rate = entry.rate.map(|rate| match rate {
        0 => under("No limit of requests".to_owned()),
        rate => under(format!("{rate} requests a minute")),
    });
    view! {
        {entry.key.access.label()}
        {team}
        {rate}
    }
    .into_any()
}

/// When, from where and by what it was last used.
fn used_cell(entry: &KeyEntry, now: Timestamp) -> AnyView {
    let Some(at) = entry.used_at else { return "Never".into_any() };
    let agent = entry.used_agent.as_deref().filter(|agent| !agent.is_empty()).map(browser_name);
    let from = entry.used_ip.clone().into_iter().chain(agent).collect::<Vec<_>>().join(", ");
    view! {
        <time datetime=at.rfc3339() title=at.minute()>{at.ago(now)}</time>
        {under(from)}
    }
    .into_any()
}

fn state_cell(entry: &KeyEntry, now: Timestamp) -> AnyView {
    let status = entry.key.status(now);
    let ended = matches!(status, Status::Expired | Status::Revoked);
    let refusal = entry.refusal().filter(|_| !ended);
    let class = match status {
        _ if ended || refusal.is_some() => "state",
        Status::ExpiresSoon => "state state-soon",
        _ => "state state-on",
    };
    let refused = refusal.map(|why| match why {
        KeyRejection::AccountDisabled => "Refused: the account is disabled",
        _ => "Refused: its user has left the team",
    });
    view! {
        <span class=class>{status.label()}</span>
        {refused.map(|text| under(text.to_owned()))}
        {entry.leaked_at.map(|_| under("Reported as leaked".to_owned()))}
    }
    .into_any()
}

/// A day; the minute stands in its title.
#[component]
fn Day(at: Timestamp) -> impl IntoView {
    view! { <time datetime=at.rfc3339() title=at.minute()>{at.day()}</time> }
}

#[component]
pub fn RotateDialog(
    entry: KeyEntry,
    now: Timestamp,
    rotate: ServerAction<RotateKey>,
    close: Callback<()>,
) -> impl IntoView {
    let (problems, waiting) = (Problems::of(rotate), Waiting::here());
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if let (false, Ok(form)) = (rotate.pending().get_untracked(), RotateForm::from_event(&event)) {
            waiting.send(move || drop(rotate.dispatch(RotateKey { form: form.clone() })));
        }
    };
    let seen = entry.rotated_at.map(|at| at.as_millis().to_string()).unwrap_or_default();
    let graces = GRACES.map(|(name, _, words)| (name.to_owned(), words.to_owned()));
    // A secret whose key ends sooner ends with it.
    let ends = entry.key.expires_at.map(|at| format!(" Both end with the key, on {}.", at.minute()));
    let old = entry.old_works_until(now).map(|_| " The secret before the present one stops working now.");
    view! {
        <Dialog id="rotate-key" title="Rotate this key" on_dismiss=close>
            <p>
                "The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong>
                " gets a new secret, which is shown once. Its name, access and history stay."
                {ends} {old}
            </p>
            <form method="post" action="/profile/keys/rotate" class="form" id="rotate-key-form" on:submit=send>
                <PageUser/>
                <input type="hidden" name="id" value=entry.key.id.to_string()/>
                <input type="hidden" name="seen" value=seen/>
                <FormProblem problems/>
                <Choice
                    id="key-grace"
                    name="grace"
                    label="The old secret works on for"
                    options=graces.to_vec()
                    selected="24h"
                    hint="Time to bring the new secret to all places that use the key."
                    error=problems.at("grace")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back="/profile" on_cancel=close/>
                <button class="btn btn-primary" form="rotate-key-form" disabled=move || rotate.pending().get()>"Rotate key"</button>
            </div>
        </Dialog>
    }
}

#[component]
pub fn RevokeDialog(
    entry: KeyEntry,
    now: Timestamp,
    revoke: ServerAction<RevokeKey>,
    close: Callback<()>,
) -> impl IntoView {
    let used = entry
        .used_at
        .map_or_else(|| "It was never used.".to_owned(), |at| format!("It was last used {}.", at.ago(now)));
    view! {
        <Dialog id="revoke-key" title="Revoke this key?" alert=true on_dismiss=close>
            <p>
                "The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong> " ("
                <code>{entry.key.prefix} "…"</code> ") is refused from the next request on. " {used} " This cannot be undone."
            </p>
            <FormProblem problems=Problems::of(revoke)/>
            <div class="dialog-foot">
                <Cancel back="/profile" autofocus=true on_cancel=close/>
                <ActionForm action=revoke>
                    <PageUser/>
                    <input type="hidden" name="id" value=entry.key.id.to_string()/>
                    <button class="btn btn-error" disabled=move || revoke.pending().get()>"Revoke key"</button>
                </ActionForm>
            </div>
        </Dialog>
    }
}

/// The requests of the last days as bars; nothing where there were none.
fn usage_bars(days: &[DayUsage]) -> impl IntoView + use<> {
    let values = days.iter().map(|day| (day.allowed, day.refused)).collect::<Vec<_>>();
    values.iter().any(|(allowed, refused)| allowed + refused > 0).then(|| view! { <Bars values/> })
}

fn total(days: &[DayUsage]) -> (i64, i64) {
    days.iter().fold((0, 0), |(allowed, refused), day| (allowed + day.allowed, refused + day.refused))
}

/// The requests of a key in the last days: in a sentence, as bars, and as a table.
#[component]
pub fn UsageDialog(entry: KeyEntry, now: Timestamp, close: Callback<()>) -> impl IntoView {
    let days = entry.usage(now);
    let (allowed, refused) = total(&days);
    let sentence = format!("{allowed} let through and {refused} refused in the last {USAGE_DAYS} days.");
    let values = days.iter().map(|day| (day.allowed, day.refused)).collect::<Vec<_>>();
    let row = |&DayUsage { day, allowed, refused }: &DayUsage| {
        let day = Timestamp::from_millis(day * DAY).day();
        view! {
            <tr role="row">
                <Cell label="Day">{day}</Cell>
                <Cell label="Let through" class="number">{allowed}</Cell>
                <Cell label="Refused" class="number">{refused}</Cell>
            </tr>
        }
    };
    let used = days.iter().rev().filter(|day| day.allowed + day.refused > 0).map(row).collect_view();
    view! {
        <Dialog id="key-usage" title="Requests" on_dismiss=close>
            <p>"The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong> ": " {sentence}</p>
            <div class="chart"><Bars values/></div>
            <Table label="Requests per day" columns=vec!["Day", "Let through", "Refused"]>{used}</Table>
            <div class="dialog-foot"><Cancel back="/profile" label="Close" autofocus=true on_cancel=close/></div>
        </Dialog>
    }
}
