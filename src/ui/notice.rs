//! What went wrong or well, said where the reader looks, and read aloud where nobody looks.

use leptos::prelude::*;
use leptos::server::ServerActionError;
use leptos::server_fn::ServerFn;
use leptos::server_fn::error::ServerFnUrlError;

use crate::error::AppError;
use crate::model::fields::WHOLE_FORM;

/// What the last call of an action was refused for.
#[derive(Clone, Copy, Debug)]
pub struct Problems(Signal<Option<AppError>>);

impl Problems {
    /// Of an action; empty again as soon as it is called again.
    #[must_use]
    pub fn of<S>(action: ServerAction<S>) -> Self
    where
        S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
        S::Output: Clone + Send + Sync + 'static,
    {
        Self(Signal::derive(move || action.value().get().and_then(Result::err)))
    }

    /// Of a plain form, which the browser sends by itself: as the address of the page tells that it was sent back to.
    #[must_use]
    pub fn told<S: ServerFn<Error = AppError>>() -> Self {
        let told = use_context::<ServerActionError>().filter(|told| told.path() == S::PATH);
        Self(Signal::stored(told.map(|told| ServerFnUrlError::<AppError>::decode_err(told.err()))))
    }

    /// The sentence at a field.
    #[must_use]
    pub fn at(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || self.0.with(|error| Some(error.as_ref()?.fields()?.first(field)?.to_owned())))
    }

    /// Whether it was refused for this.
    #[must_use]
    pub fn is(self, error: &AppError) -> bool {
        self.0.with(|refused| refused.as_ref() == Some(error))
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.with(Option::is_none)
    }
}

/// What is wrong with a form as a whole; what is wrong with a field stands there.
#[component]
pub fn FormProblem(problems: Problems) -> impl IntoView {
    Effect::new(move |_| {
        if !problems.is_empty() {
            request_animation_frame(super::browser::focus_invalid);
        }
    });
    let sentence = move || match problems.0.get()? {
        AppError::CredentialsMissing => Some("You are signed out. Sign in again, then repeat this.".to_owned()),
        AppError::Invalid(errors) => errors.first(WHOLE_FORM).map(ToOwned::to_owned),
        other => Some(other.detail()),
    };
    view! { <div role="alert" class="form-problem">{move || sentence().map(|text| view! { <p>{text}</p> })}</div> }
}

/// In place of what could not be loaded: never an empty list.
#[component]
pub fn LoadProblem(what: &'static str, error: AppError) -> impl IntoView {
    view! {
        <div role="alert" class="notice">
            <p><strong>{format!("{what} could not be loaded.")}</strong></p>
            <p>{error.detail()}</p>
        </div>
    }
}

/// A sentence that tells that something was done, read aloud when it changes.
#[component]
pub fn Done(#[prop(into)] text: Signal<Option<String>>) -> impl IntoView {
    view! { <p role="status" class="done">{move || text.get()}</p> }
}
