//! The dialog "Create API key".

use leptos::ev::SubmitEvent;
use leptos::form::FromFormData;
use leptos::prelude::*;

use super::CreateKey;
use crate::model::keys::{Access, DEFAULT_DAYS, KeyForm, PRESET_DAYS, Scope, expiry};
use crate::model::teams::Membership;
use crate::model::time::Timestamp;
use crate::pages::reauth::Waiting;
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::field::{Choice, Field, PageUser};
use crate::ui::notice::{FormProblem, Problems};

#[component]
pub fn CreateDialog(
    now: Timestamp,
    form_id: String,
    teams: Vec<Membership>,
    /// Whether it is an administrator who makes a key for a user.
    #[prop(optional)]
    for_user: bool,
    create: ServerAction<CreateKey>,
    close: Callback<()>,
) -> impl IntoView {
    let (problems, waiting) = (Problems::of(create), Waiting::here());
    let back = if for_user { "/admin/keys" } else { "/profile" };
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if let (false, Ok(form)) = (create.pending().get_untracked(), KeyForm::from_event(&event)) {
            waiting.send(move || drop(create.dispatch(CreateKey { form: form.clone() })));
        }
    };
    let owner = for_user.then(|| {
        view! {
            <Field
                id="key-owner"
                name="owner"
                label="User"
                kind="email"
                autofocus=true
                hint="The email address of whoever the key acts as."
                error=problems.at("owner")
            />
        }
    });
    view! {
        <Dialog id="create-key" title="Create API key" on_dismiss=close>
            <form method="post" action="/profile/keys" class="form" id="create-key-form" on:submit=send>
                <PageUser/>
                <input type="hidden" name="form_id" value=form_id/>
                <FormProblem problems/>
                {owner}
                <Field
                    id="key-name"
                    name="name"
                    label="Name"
                    autofocus=!for_user
                    hint="What the key is for, such as: nightly report."
                    error=problems.at("name")
                />
                <ExpiryFields now problems/>
                <AccessFields problems/>
                <TeamField teams problems/>
            </form>
            <div class="dialog-foot">
                <Cancel back on_cancel=close/>
                <button class="btn btn-primary" form="create-key-form" disabled=move || create.pending().get()>"Create"</button>
            </div>
        </Dialog>
    }
}

/// When the key expires: a preset, a date or never; and the date that it comes to. `keep` is the expiry of a key that has
/// one already, and may keep it.
#[component]
pub fn ExpiryFields(
    now: Timestamp,
    #[prop(optional, into)] keep: Option<String>,
    /// What the two fields are called in the form.
    #[prop(default = ("expires", "date"))]
    names: (&'static str, &'static str),
    problems: Problems,
) -> impl IntoView {
    let first = if keep.is_some() { "keep".to_owned() } else { DEFAULT_DAYS.to_string() };
    let choice = RwSignal::new(first.clone());
    let date = RwSignal::new(String::new());
    let kept = keep.clone().map(|keep| ("keep".to_owned(), format!("As it is: {keep}")));
    let days = PRESET_DAYS.iter().map(|days| (days.to_string(), format!("{days} days")));
    let rest = [("date".to_owned(), "A date".to_owned()), ("never".to_owned(), "Never".to_owned())];
    let keep = StoredValue::new(keep);
    let comes_to = move || match expiry(&choice.get(), &date.get(), now) {
        _ if choice.get() == "keep" => keep.get_value().unwrap_or_default(),
        Ok(Some(at)) => format!("It stops working on {}.", at.minute()),
        Ok(None) => "It works until you revoke it.".to_owned(),
        Err((_, sentence)) => sentence.to_owned(),
    };
    view! {
        <Choice
            id="key-expires"
            name=names.0
            label="Expires"
            options=kept.into_iter().chain(days).chain(rest).collect()
            selected=first
            on_change=Callback::new(move |value| choice.set(value))
            error=problems.at("expires")
        />
        <div class="field" class:needs-script=move || choice.get() != "date">
            <label for="key-date">"Date"</label>
            <input
                class="input"
                id="key-date"
                name=names.1
                type="date"
                min=now.iso_date()
                max="9999-12-31"
                aria-describedby="key-date-about"
                aria-invalid=move || problems.at("date").with(Option::is_some).then_some("true")
                on:input=move |event| date.set(event_target_value(&event))
            />
            <p class="field-foot" id="key-date-about">
                {move || problems.at("date").get().map(|text| view! { <span class="field-error">{text}</span> })}
                <span class="field-hint">"The last day on which it works, in UTC. Only for the choice: A date."</span>
            </p>
        </div>
        <p class="quiet" role="status">{comes_to}</p>
    }
}

/// What the key may do: everything, reading, or what is ticked.
#[component]
fn AccessFields(problems: Problems) -> impl IntoView {
    let choice = RwSignal::new(Access::KINDS[0].0.to_owned());
    let options = Access::KINDS.map(|(kind, label)| (kind.to_owned(), label.to_owned()));
    let scope = |scope: &Scope| {
        view! {
            <label class="tick">
                <input type="checkbox" name="scopes[]" value=scope.as_str()/>
                <span><code>{scope.as_str()}</code> " " {scope.label()}</span>
            </label>
        }
    };
    view! {
        <Choice
            id="key-access"
            name="access"
            label="Access"
            options=options.to_vec()
            selected=Access::KINDS[0].0
            hint="A key that may only read cannot change anything, whoever gets hold of it."
            on_change=Callback::new(move |value| choice.set(value))
            error=problems.at("access")
        />
        <fieldset class="field" class:needs-script=move || choice.get() != "only" aria-describedby="key-scopes-about">
            <legend>"Only these"</legend>
            {Scope::ALL.iter().map(scope).collect_view()}
            <p class="field-foot" id="key-scopes-about">
                {move || problems.at("scopes").get().map(|text| view! { <span class="field-error">{text}</span> })}
                <span class="field-hint">"Only for the access: Only these."</span>
            </p>
        </fieldset>
    }
}

/// The team that the key is limited to, where the user has one.
#[component]
fn TeamField(teams: Vec<Membership>, problems: Problems) -> impl IntoView {
    let none = (String::new(), "None: all that you reach".to_owned());
    let options = teams.into_iter().map(|membership| (membership.team.id.to_string(), membership.team.name));
    let options: Vec<_> = [none].into_iter().chain(options).collect();
    (options.len() > 1).then(|| {
        view! {
            <Choice
                id="key-team"
                name="team"
                label="Team"
                options
                selected=""
                hint="A key with a team reaches that team's data and nothing else, as long as you are in the team."
                error=problems.at("team")
            />
        }
    })
}
