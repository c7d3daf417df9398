//! Form fields: a label, the field, a hint and an error.

use leptos::prelude::*;

use super::feedback::FieldState;
use crate::model::users::{PAGE_USER, UserId};

/// A one-line field.
#[component]
pub fn Field(
    id: &'static str,
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional, into)] value: String,
    #[prop(optional)] autocomplete: &'static str,
    #[prop(optional)] hint: &'static str,
    /// There is no maximum length: browsers would truncate pasted text silently.
    #[prop(optional)]
    min_length: usize,
    #[prop(default = true)] required: bool,
    #[prop(optional)] autofocus: bool,
    #[prop(optional, into)] error: FieldState,
) -> impl IntoView {
    let FieldState { message, typed } = error;
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                class="input"
                id=id
                name=name
                type=kind
                value=typed.unwrap_or(value)
                autocomplete=(!autocomplete.is_empty()).then_some(autocomplete)
                minlength=(min_length > 1).then_some(min_length)
                min=(kind == "number").then_some("0")
                required=required
                autofocus=autofocus
                aria-describedby=describes(id)
                aria-invalid=move || message.with(Option::is_some).then_some("true")
            />
            <FieldFoot id hint message/>
        </div>
    }
}

/// An option of a [`Select`].
pub struct SelectOption {
    pub value: String,
    pub label: String,
}

impl SelectOption {
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// A drop-down list.
#[component]
pub fn Select(
    id: &'static str,
    name: &'static str,
    label: &'static str,
    options: Vec<SelectOption>,
    #[prop(into)] selected: String,
    #[prop(optional)] hint: &'static str,
    #[prop(optional)] on_change: Option<Callback<String>>,
    #[prop(optional, into)] error: FieldState,
) -> impl IntoView {
    let FieldState { message, typed } = error;
    let offered = typed.filter(|typed| options.iter().any(|option| option.value == *typed));
    let selected = offered.unwrap_or(selected);
    let option = move |SelectOption { value, label }: SelectOption| {
        let is_selected = value == selected;
        view! { <option value=value selected=is_selected>{label}</option> }
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <select
                class="select"
                id=id
                name=name
                aria-describedby=describes(id)
                aria-invalid=move || message.with(Option::is_some).then_some("true")
                on:change=move |event| {
                    if let Some(on_change) = on_change {
                        on_change.run(event_target_value(&event));
                    }
                }
            >
                {options.into_iter().map(option).collect_view()}
            </select>
            <FieldFoot id hint message/>
        </div>
    }
}

/// Hidden fields, without those that have no value.
#[component]
pub fn Hidden(fields: Vec<(&'static str, String)>) -> impl IntoView {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view()
}

/// The user of the page. Components take it from the context.
#[derive(Clone, Debug)]
pub struct RenderedFor(pub Option<UserId>);

/// Names the user of the page in a form, so that the server rejects the form after another account signed in. Every form
/// that changes something contains it.
#[component]
pub fn PageUser() -> impl IntoView {
    let user = use_context::<RenderedFor>().and_then(|rendered| rendered.0);
    user.map(|user| view! { <input type="hidden" name=PAGE_USER value=user.to_string()/> })
}

#[component]
fn FieldFoot(id: &'static str, hint: &'static str, message: Signal<Option<String>>) -> impl IntoView {
    let text = move || message.get().map(|text| view! { <span class="field-error">{text}</span> });
    view! {
        <p class="field-foot" id=describes(id)>
            {text}
            <span class="field-hint">{hint}</span>
        </p>
    }
}

fn describes(id: &str) -> String {
    format!("{id}-about")
}
