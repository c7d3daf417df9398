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
}

/// The form that failed last. Components take it from the context.
#[derive(Clone, Copy, Debug)]
pub struct LastFailure(pub RwSignal<Option<FailedForm>>);

/// The error of a form.
#[derive(Clone, Copy, Debug)]
pub struct FormErrors(Signal<Option<AppError>>);

impl FormErrors {
    /// Returns the error of the form that is sent to this address. Sending it again clears the error.
    pub fn of(action: &'static str) -> Self {
        let last = use_context::<LastFailure>();
        Self(Signal::derive(move || {
            let failed = last?.0.get().filter(|failed| failed.action == action)?;
            Some(failed.error)
        }))
    }

    /// Returns the message of a field.
    pub fn at(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || self.0.with(|error| Some(error.as_ref()?.fields()?.first(field)?.to_owned())))
    }

    pub fn is(self, error: &AppError) -> bool {
        self.0.with(|current| current.as_ref() == Some(error))
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
    let sentence = move || match errors.0.get()? {
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
