//! The dialogs of a row: rotate and revoke.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{ROTATE_PATH, RevokeKey};
use crate::model::keys::{Grace, KeyEntry};
use crate::model::link::Parameters;
use crate::model::time::Timestamp;
use crate::ui::dialog::{Cancel, Dialog, close_to};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::{PageUser, Select, SelectOption};
use crate::ui::time::{Format, Time};

#[component]
pub fn RotateDialog(entry: KeyEntry, now: Timestamp, kept: Parameters) -> impl IntoView {
    let errors = FormErrors::of(ROTATE_PATH);
    let seen = entry.rotated_at.map(|at| at.as_millis().to_string()).unwrap_or_default();
    let graces = Grace::ALL.map(|grace| SelectOption::new(grace.name, grace.label));
    let ends = entry.key.expires_at.map(|at| view! { " Both secrets expire with the key on " <Time at/> "." });
    let previous = entry.old_works_until(now).map(|_| " The previous secret stops working now.");
    view! {
        <Dialog id="rotate-key" title="Rotate this key" on_dismiss=close_to("/profile", &kept)>
            <p>
                "The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong>
                " gets a new secret, which is shown once. Its name, access and history stay."
                {ends} {previous}
            </p>
            <form method="post" action=ROTATE_PATH class="form" id="rotate-key-form">
                <PageUser/>
                <input type="hidden" name="id" value=entry.key.id.to_string()/>
                <input type="hidden" name="seen" value=seen/>
                <FormError errors/>
                <Select
                    id="key-grace"
                    name="grace"
                    label="Keep the previous secret for"
                    options=graces.into()
                    selected="24h"
                    hint="Gives you time to update every program that uses the key."
                    error=errors.at("grace")
                />
            </form>
            <div class="dialog-foot">
                <Cancel back="/profile" kept/>
                <button class="btn btn-primary" form="rotate-key-form">"Rotate key"</button>
            </div>
        </Dialog>
    }
}

#[component]
pub fn RevokeDialog(entry: KeyEntry, now: Timestamp, kept: Parameters) -> impl IntoView {
    let used = match entry.used_at {
        Some(at) => view! { "It was last used " <Time at format=Format::Ago { now }/> "." }.into_any(),
        None => "It was never used.".into_any(),
    };
    view! {
        <Dialog id="revoke-key" title="Revoke this key?" alert=true on_dismiss=close_to("/profile", &kept)>
            <p>
                "The key " <strong><bdi>{entry.key.name.as_str().to_owned()}</bdi></strong> " ("
                <code>{entry.key.prefix} "…"</code> ") stops working with the next request. " {used} " You can't undo this."
            </p>
            <FormError errors=FormErrors::of(RevokeKey::url())/>
            <div class="dialog-foot">
                <Cancel back="/profile" kept autofocus=true/>
                <form method="post" action=RevokeKey::url()>
                    <PageUser/>
                    <input type="hidden" name="id" value=entry.key.id.to_string()/>
                    <button class="btn btn-error">"Revoke key"</button>
                </form>
            </div>
        </Dialog>
    }
}
