//! Errors and status messages. Screen readers announce them.

use leptos::prelude::*;
use leptos::server::ServerActionError;
use leptos::server_fn::ServerFn;
use leptos::server_fn::error::ServerFnUrlError;

use crate::error::AppError;
use crate::model::fields::WHOLE_FORM;

/// The error of the last call of an action.
#[derive(Clone, Copy, Debug)]
pub struct ActionErrors(Signal<Option<AppError>>);

impl ActionErrors {
    /// Returns the error of an action. The next call clears it.
    pub fn of<S>(action: ServerAction<S>) -> Self
    where
        S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
        S::Output: Clone + Send + Sync + 'static,
    {
        Self(Signal::derive(move || action.value().get().and_then(Result::err)))
    }

    /// Returns the error of a plain form that was sent without JavaScript.
    pub fn of_form<S: ServerFn<Error = AppError>>() -> Self {
        let error = use_context::<ServerActionError>().filter(|error| error.path() == S::PATH);
        Self(Signal::stored(error.map(|error| ServerFnUrlError::<AppError>::decode_err(error.err()))))
    }

    /// Returns the message of a field.
    pub fn at(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || self.0.with(|error| Some(error.as_ref()?.fields()?.first(field)?.to_owned())))
    }

    pub fn is(self, error: &AppError) -> bool {
        self.0.with(|current| current.as_ref() == Some(error))
    }

    pub fn is_empty(self) -> bool {
        self.0.with(Option::is_none)
    }
}

/// The error of a form as a whole. Errors of fields are shown at the fields.
#[component]
pub fn FormError(errors: ActionErrors) -> impl IntoView {
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

/// A message about a completed action.
#[component]
pub fn StatusMessage(#[prop(into)] text: Signal<Option<String>>) -> impl IntoView {
    view! { <p role="status" class="done">{move || text.get()}</p> }
}
