//! The dialog "Create API key".

use leptos::prelude::*;

use super::CREATE_PATH;
use crate::model::apis::Api;
use crate::model::keys::{AccessKind, DEFAULT_EXPIRY_DAYS, EXPIRY_PRESET_DAYS, Scope, expiry};
use crate::model::link::Parameters;
use crate::model::teams::Membership;
use crate::model::time::Timestamp;
use crate::ui::dialog::{Cancel, Dialog, close_to};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::{Field, PageUser, Select, SelectOption};
use crate::ui::time::ReaderClock;

#[component]
pub fn CreateDialog(
    now: Timestamp,
    form_id: String,
    teams: Vec<Membership>,
    apis: Vec<Api>,
    /// Whether an administrator creates the key for a user.
    #[prop(optional)]
    for_user: bool,
    /// The parameters of the list below the dialog.
    kept: Parameters,
) -> impl IntoView {
    let errors = FormErrors::of(CREATE_PATH);
    let back = if for_user { "/admin/keys" } else { "/profile" };
    let close = close_to(back, &kept);
    let owner = for_user.then(|| {
        view! {
            <Field
                id="key-owner"
                name="owner"
                label="User"
                kind="email"
                autofocus=true
                hint="The email address of the user that the key acts as."
                error=errors.at("owner")
            />
        }
    });
    view! {
        <Dialog id="create-key" title="Create API key" on_dismiss=close>
            <form method="post" action=CREATE_PATH class="form" id="create-key-form">
                <PageUser/>
                <input type="hidden" name="form_id" value=form_id/>
                <FormError errors/>
                {owner}
                <Field
                    id="key-name"
                    name="name"
                    label="Name"
                    autofocus=!for_user
                    hint="What the key is for, for example nightly report."
                    error=errors.at("name")
                />
                <ExpiryFields now errors/>
                <AccessFields apis errors/>
                <TeamField teams errors/>
            </form>
            <div class="dialog-foot">
                <Cancel back kept/>
                <button class="btn btn-primary" form="create-key-form">"Create"</button>
            </div>
        </Dialog>
    }
}

/// The expiry: a preset, a date or never, with the resulting date. `keep` is the current expiry of an existing key.
#[component]
pub fn ExpiryFields(
    now: Timestamp,
    #[prop(optional, into)] keep: Option<String>,
    /// The name of the field for the preset.
    #[prop(default = "expires")]
    name: &'static str,
    #[prop(default = "date")] date_name: &'static str,
    errors: FormErrors,
) -> impl IntoView {
    let first = if keep.is_some() { "keep".to_owned() } else { DEFAULT_EXPIRY_DAYS.to_string() };
    let (expires, date_field) = (errors.at("expires"), errors.at("date"));
    let choice = RwSignal::new(expires.typed.clone().unwrap_or_else(|| first.clone()));
    let date = RwSignal::new(date_field.typed.clone().unwrap_or_default());
    let message = date_field.message;
    let kept = keep.clone().map(|keep| SelectOption::new("keep", format!("Keep current: {keep}")));
    let days = EXPIRY_PRESET_DAYS.iter().map(|days| SelectOption::new(days.to_string(), format!("{days} days")));
    let rest = [SelectOption::new("date", "A date"), SelectOption::new("never", "Never")];
    let keep = StoredValue::new(keep);
    let clock = ReaderClock::from_context();
    let result = move || match expiry(&choice.get(), &date.get(), now) {
        _ if choice.get() == "keep" => keep.get_value().unwrap_or_default(),
        Ok(Some(at)) => format!("Expires on {}.", clock.minute(at)),
        Ok(None) => "Works until you revoke it.".to_owned(),
        Err(error) => error.message,
    };
    view! {
        <Select
            id="key-expires"
            name
            label="Expires"
            options=kept.into_iter().chain(days).chain(rest).collect()
            selected=first
            on_change=Callback::new(move |value| choice.set(value))
            error=expires
        />
        <div class="field" class:needs-script=move || choice.get() != "date">
            <label for="key-date">"Date"</label>
            <input
                class="input"
                id="key-date"
                name=date_name
                type="date"
                value=date_field.typed
                min=now.iso_date()
                max="9999-12-31"
                aria-describedby="key-date-about"
                aria-invalid=move || message.with(Option::is_some).then_some("true")
                on:input=move |event| date.set(event_target_value(&event))
            />
            <p class="field-foot" id="key-date-about">
                {move || message.get().map(|text| view! { <span class="field-error">{text}</span> })}
                <span class="field-hint">"The last day that the key works, in UTC. Used when Expires is set to \"A date\"."</span>
            </p>
        </div>
        <p class="quiet" role="status">{result}</p>
    }
}

/// The access: full, read-only, one registered API, or selected scopes.
#[component]
fn AccessFields(apis: Vec<Api>, errors: FormErrors) -> impl IntoView {
    let access = errors.at("access");
    let offered: Vec<_> =
        AccessKind::ALL.into_iter().filter(|kind| *kind != AccessKind::Api || !apis.is_empty()).collect();
    let typed = offered.iter().find(|kind| access.typed.as_deref() == Some(kind.as_str()));
    let choice = RwSignal::new(typed.unwrap_or(&AccessKind::Full).as_str().to_owned());
    let scopes = errors.at("scopes").message;
    let ticked = errors.typed("scopes");
    let scope_box = |name: String, label| scope_box(ticked.contains(&name), name, label);
    let options = offered.iter().map(|kind| SelectOption::new(kind.as_str(), kind.label())).collect();
    let built_in = Scope::ALL.iter().map(|scope| scope_box(scope.as_str().to_owned(), scope.label())).collect_view();
    let registered = apis.iter().filter(|api| !api.scopes.is_empty()).map(|api| {
        let scopes = api.scopes.iter().map(|scope| scope_box(scope.name.clone(), scope.kind())).collect_view();
        view! { <p class="field-hint"><bdi>{api.name.clone()}</bdi></p> {scopes} }
    });
    let registered = registered.collect_view();
    let api_select = (!apis.is_empty()).then(|| {
        let first = apis[0].slug.clone();
        let options = apis.into_iter().map(|api| SelectOption::new(api.slug, api.name)).collect();
        view! {
            <div class:needs-script=move || choice.get() != AccessKind::Api.as_str()>
                <Select
                    id="key-api"
                    name="api"
                    label="API"
                    options
                    selected=first
                    hint="Used when Access is set to \"One API\". The key works for nothing else."
                    error=errors.at("api")
                />
            </div>
        }
    });
    view! {
        <Select
            id="key-access"
            name="access"
            label="Access"
            options
            selected=AccessKind::Full.as_str()
            hint="A read-only key can't change anything, even if it leaks."
            on_change=Callback::new(move |value| choice.set(value))
            error=access
        />
        {api_select}
        <fieldset class="field" class:needs-script=move || choice.get() != AccessKind::Only.as_str() aria-describedby="key-scopes-about">
            <legend>"Only these"</legend>
            {built_in}
            {registered}
            <p class="field-foot" id="key-scopes-about">
                {move || scopes.get().map(|text| view! { <span class="field-error">{text}</span> })}
                <span class="field-hint">"Used when Access is set to \"Only these\"."</span>
            </p>
        </fieldset>
    }
}

fn scope_box(ticked: bool, name: String, label: &'static str) -> AnyView {
    view! {
        <label class="tick">
            <input type="checkbox" name="scopes[]" value=name.clone() checked=ticked/>
            <span><code>{name}</code> " " {label}</span>
        </label>
    }
    .into_any()
}

/// The team that the key is limited to, if the user is in any.
#[component]
fn TeamField(teams: Vec<Membership>, errors: FormErrors) -> impl IntoView {
    let none = SelectOption::new("", "No team: everything you can access");
    let options =
        teams.into_iter().map(|membership| SelectOption::new(membership.team.id.to_string(), membership.team.name));
    let options: Vec<_> = [none].into_iter().chain(options).collect();
    (options.len() > 1).then(|| {
        view! {
            <Select
                id="key-team"
                name="team"
                label="Team"
                options
                selected=""
                hint="A key with a team can access only that team's data, and only while you're in the team."
                error=errors.at("team")
            />
        }
    })
}
