//! Fields of forms: a label, the field, a hint, and what is wrong with it.

use leptos::prelude::*;

use crate::model::users::{PAGE_USER, UserId};

/// A field of one line. `id` is its id in the page, `name` in the form.
#[component]
pub fn Field(
    id: &'static str,
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional, into)] value: String,
    #[prop(optional)] autocomplete: &'static str,
    #[prop(optional)] hint: &'static str,
    /// The shortest that is taken. There is no longest here: browsers would cut what is pasted without a word.
    #[prop(optional)]
    least: usize,
    #[prop(default = true)] required: bool,
    #[prop(optional)] autofocus: bool,
    #[prop(optional, into)] error: Signal<Option<String>>,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                class="input"
                id=id
                name=name
                type=kind
                value=value
                autocomplete=(!autocomplete.is_empty()).then_some(autocomplete)
                minlength=(least > 1).then_some(least)
                min=(kind == "number").then_some("0")
                required=required
                autofocus=autofocus
                aria-describedby=describes(id)
                aria-invalid=move || error.with(Option::is_some).then_some("true")
            />
            <FieldFoot id hint error/>
        </div>
    }
}

/// A choice of one. `options` are values and what they are called.
#[component]
pub fn Choice(
    id: &'static str,
    name: &'static str,
    label: &'static str,
    options: Vec<(String, String)>,
    #[prop(into)] selected: String,
    #[prop(optional)] hint: &'static str,
    #[prop(optional)] on_change: Option<Callback<String>>,
    #[prop(optional, into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let option = move |(value, text): (String, String)| {
        let chosen = value == selected;
        view! { <option value=value selected=chosen>{text}</option> }
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <select
                class="select"
                id=id
                name=name
                aria-describedby=describes(id)
                aria-invalid=move || error.with(Option::is_some).then_some("true")
                on:change=move |event| {
                    if let Some(on_change) = on_change {
                        on_change.run(event_target_value(&event));
                    }
                }
            >
                {options.into_iter().map(option).collect_view()}
            </select>
            <FieldFoot id hint error/>
        </div>
    }
}

/// Fields that are sent but not shown; those without a value are left out.
#[component]
pub fn Hidden(fields: Vec<(&'static str, String)>) -> impl IntoView {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view()
}

/// For whom the page is rendered; components take it from the context.
#[derive(Clone, Debug)]
pub struct RenderedFor(pub Option<UserId>);

/// Says in a form for whom its page was rendered. It stands in every form that changes something; nothing on a page for
/// visitors.
#[component]
pub fn PageUser() -> impl IntoView {
    let user = use_context::<RenderedFor>().and_then(|rendered| rendered.0);
    user.map(|user| view! { <input type="hidden" name=PAGE_USER value=user.to_string()/> })
}

#[component]
fn FieldFoot(id: &'static str, hint: &'static str, error: Signal<Option<String>>) -> impl IntoView {
    let text = move || error.get().map(|text| view! { <span class="field-error">{text}</span> });
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
