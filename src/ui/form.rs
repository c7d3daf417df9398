//! The one sender of forms. A form with `method="post"` and the address of a server function is sent as the browser sends it
//! without JavaScript, and the answer is handled here: a redirect shows the next page, an error is shown in the form, and
//! nothing that was typed is lost. So a page has plain forms, and no code for sending them. Leptos' `ActionForm` adds 3 to 5 kB of
//! download for each server function.

use std::cell::{OnceCell, RefCell};

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlFormElement, RequestInit, Response, SubmitEvent, Url};

use super::navigate;
use crate::error::AppError;
use crate::model::users::takes_forms;
use crate::model::wire;

/// What the application does with answers.
pub struct Hooks {
    /// The prefix of the address of every call. It names the user of the page.
    pub prefix: String,
    /// Shows the error of the form with this address, or hides it.
    pub set_error: Callback<(String, Option<AppError>)>,
    /// Takes the answer to a form, if it is no redirect.
    pub answered: Callback<(Sent, Vec<u8>)>,
    /// Asks for the password because of this error, and then calls [`repeat`].
    pub reauthenticate: Callback<AppError>,
}

/// A form that was sent.
#[derive(Clone)]
pub struct Sent {
    form: HtmlFormElement,
    /// The path of the server function.
    pub action: String,
    /// The fields, URL-encoded.
    pub body: String,
}

thread_local! {
    static HOOKS: OnceCell<&'static Hooks> = const { OnceCell::new() };
    /// The form that waits for the password.
    static WAITING: RefCell<Option<Sent>> = const { RefCell::new(None) };
}

/// Starts to send forms.
pub fn start(hooks: Hooks) {
    HOOKS.with(|cell| {
        let _ = cell.set(Box::leak(Box::new(hooks)));
    });
}

fn hooks() -> Option<&'static Hooks> {
    HOOKS.with(|cell| cell.get().copied())
}

/// Sends a form, unless it is being sent, or is not for a server function.
pub(super) fn submit(event: &SubmitEvent, form: &HtmlFormElement) {
    let (Some(hooks), Ok(action)) = (hooks(), Url::new(&form.action())) else { return };
    let action = action.pathname();
    if !takes_forms(&action) {
        return;
    }
    event.prevent_default();
    let Some(body) = navigate::fields_of(form, event.submitter().as_ref()) else { return };
    if !form.has_attribute("aria-busy") {
        send(hooks, Sent { form: form.clone(), action, body });
    }
}

/// Sends the form again that waits for the password.
pub fn repeat() {
    if let (Some(hooks), Some(sent)) = (hooks(), WAITING.take()) {
        send(hooks, sent);
    }
}

/// Forgets the form that waits for the password.
pub fn forget() {
    WAITING.take();
}

fn send(hooks: &'static Hooks, sent: Sent) {
    let _ = sent.form.set_attribute("aria-busy", "true");
    hooks.set_error.run((sent.action.clone(), None));
    navigate::forget_prefetched();
    spawn_local(async move {
        let answer = Answer::fetch(hooks, &sent).await;
        let _ = sent.form.remove_attribute("aria-busy");
        match answer {
            Ok(answer) => answer.handle(hooks, sent),
            Err(_) => hooks.set_error.run((sent.action, Some(AppError::Unreachable))),
        }
    });
}

struct Answer {
    status: u16,
    redirect: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    async fn fetch(hooks: &Hooks, sent: &Sent) -> Result<Self, JsValue> {
        let headers = web_sys::Headers::new()?;
        headers.set("accept", wire::MEDIA_TYPE)?;
        headers.set("content-type", "application/x-www-form-urlencoded")?;
        if let Some(version) = navigate::version() {
            headers.set(wire::VERSION_HEADER, version)?;
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&JsValue::from_str(&sent.body));
        let url = format!("{}{}", hooks.prefix, sent.action);
        let response: Response = JsFuture::from(window().fetch_with_str_and_init(&url, &init)).await?.dyn_into()?;
        let redirect = response.headers().get("location")?;
        let body = navigate::body_of(&response).await?;
        Ok(Self { status: response.status(), redirect, body })
    }

    fn handle(self, hooks: &Hooks, sent: Sent) {
        match self.status {
            200..300 => match self.redirect {
                Some(url) if sent.form.has_attribute("data-document") => navigate::load(&url),
                // The page stays, and another form of it continues.
                Some(_) if sent.form.has_attribute("data-continues") => hooks.answered.run((sent, self.body)),
                Some(url) => {
                    sent.form.reset();
                    navigate::arrive(&url);
                }
                None => hooks.answered.run((sent, self.body)),
            },
            // A server of another version: the form is sent as a document, which every version understands.
            409 if self.body.is_empty() => {
                let _ = sent.form.submit();
            }
            _ => {
                let error = wire::decode(&self.body).unwrap_or(AppError::Unavailable);
                hooks.set_error.run((sent.action.clone(), Some(error.clone())));
                if matches!(error, AppError::ReauthenticationRequired | AppError::CredentialsMissing) {
                    // The dialog's own form must not take the place of the one that waits for it.
                    if !sent.form.has_attribute("data-continues") {
                        WAITING.replace(Some(sent));
                    }
                    hooks.reauthenticate.run(error);
                }
            }
        }
    }
}
