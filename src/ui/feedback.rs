//! Errors and status messages. Screen readers announce them.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::navigate;
use crate::error::AppError;
use crate::model::fields::WHOLE_FORM;

/// A form that failed, by the address that it is sent to, and its error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedForm {
    pub action: String,
    pub error: AppError,
    /// What was typed, by field, where the document was loaded again. Otherwise the form still contains it.
    pub typed: Vec<(String, String)>,
}

/// The form that failed last. Components take it from the context.
#[derive(Clone, Copy, Debug)]
pub struct LastFailure(pub RwSignal<Option<FailedForm>>);

/// The error of a form.
#[derive(Clone, Copy, Debug)]
pub struct FormErrors(Signal<Option<FailedForm>>);

/// What a failed form shows at a field.
#[derive(Clone, Debug, Default)]
pub struct FieldState {
    /// The error of the field.
    pub message: Signal<Option<String>>,
    /// What was typed, where the document was loaded again.
    pub typed: Option<String>,
}

impl From<Signal<Option<String>>> for FieldState {
    fn from(message: Signal<Option<String>>) -> Self {
        Self { message, typed: None }
    }
}

impl FormErrors {
    /// Returns the error of the form that is sent to this address. Sending it again clears the error.
    pub fn of(action: &'static str) -> Self {
        let last = use_context::<LastFailure>();
        Self(Signal::derive(move || last?.0.get().filter(|failed| failed.action == action)))
    }

    /// Returns what to show at a field.
    pub fn at(self, field: &'static str) -> FieldState {
        let message = move || self.0.with(|failed| Some(failed.as_ref()?.error.fields()?.first(field)?.to_owned()));
        FieldState { message: Signal::derive(message), typed: self.typed(field).pop() }
    }

    /// Returns what was typed into the fields of this name, where the document was loaded again.
    pub fn typed(self, field: &str) -> Vec<String> {
        let values =
            |failed: FailedForm| failed.typed.into_iter().filter(|(name, _)| name == field).map(|(_, value)| value);
        self.0.get_untracked().map(|failed| values(failed).collect()).unwrap_or_default()
    }

    pub fn is(self, error: &AppError) -> bool {
        self.0.with(|failed| failed.as_ref().is_some_and(|failed| failed.error == *error))
    }

    fn is_empty(self) -> bool {
        self.0.with(Option::is_none)
    }
}

/// The error of a form as a whole. Errors of fields are shown at the fields.
#[component]
pub fn FormError(errors: FormErrors) -> impl IntoView {
    Effect::new(move |_| {
        if !errors.is_empty() {
            request_animation_frame(super::browser::focus_invalid);
        }
    });
    let sentence = move || match errors.0.get()?.error {
        AppError::CredentialsMissing => Some("You're signed out. Sign in, then try again.".to_owned()),
        AppError::NotFound => Some("This no longer exists. Reload the page.".to_owned()),
        AppError::Invalid(errors) => errors.first(WHOLE_FORM).map(ToOwned::to_owned),
        other => Some(other.detail()),
    };
    view! { <div role="alert" class="form-error">{move || sentence().map(|text| view! { <p>{text}</p> })}</div> }
}

/// The error in place of data that couldn't be loaded.
#[component]
pub fn LoadError(what: &'static str, error: AppError) -> impl IntoView {
    view! {
        <div role="alert" class="notice">
            <p><strong>{format!("{what} couldn't be loaded.")}</strong></p>
            <p>{error.detail()}</p>
        </div>
    }
}

/// The page that could not be fetched, with a button to try again.
#[component]
pub fn UnreachableNotice(url: RwSignal<Option<String>>) -> impl IntoView {
    let retry = move |_| {
        if let Some(url) = url.get_untracked() {
            navigate::go(&url);
        }
    };
    let notice = move || {
        view! {
            <div role="alert" class="notice toast">
                <p>{AppError::Unreachable.detail()}</p>
                <button class="btn btn-sm" on:click=retry>"Try again"</button>
            </div>
        }
    };
    move || url.with(Option::is_some).then(notice)
}

/// A message about a completed action.
#[component]
pub fn StatusMessage(#[prop(into)] text: Signal<Option<String>>) -> impl IntoView {
    view! { <p role="status" class="done">{move || text.get()}</p> }
}
